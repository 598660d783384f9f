"""Is a file there whole or not at all, and does nothing stay behind, however a process ends?"""

import contextlib
import errno
import fcntl
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from tiny import ROOT

from fairseq_summarymixing import files
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.files import atomic_file, atomic_folder, atomic_write, make_folder, sweep_leftovers

# Writes TARGET in one of three ways, in steps, so that a kill may come at any of them
WRITER = """
import sys, time
from fairseq_summarymixing.files import atomic_file, atomic_folder, atomic_write

def fill(file, letter, seconds):
    for _ in range(20):
        file.write(letter * 5000)
        time.sleep(seconds / 20)

kind, target, letter, seconds = sys.argv[1], sys.argv[2], sys.argv[3].encode(), float(sys.argv[4])
while True:
    print("begun", flush=True)
    if kind == "write":
        with atomic_write(target, "wb") as file:
            fill(file, letter, seconds)
    elif kind == "file":
        with atomic_file(target) as temporary, open(temporary, "wb") as file:
            fill(file, letter, seconds)
    else:
        with atomic_folder(target) as temporary, open(temporary / "content", "wb") as file:
            fill(file, letter, seconds)
"""


def start_writer(kind, target, letter="a", seconds=0.02):
    command = [sys.executable, "-c", WRITER, kind, str(target), letter, str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_temporary(process, folder):
    while not any(path.stat().st_size for path in folder.glob(".*.part")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def end(process, signal_number=signal.SIGKILL):
    """Returns what it wrote to stderr."""
    process.send_signal(signal_number)
    return process.communicate()[1]


@contextlib.contextmanager
def new_process():
    """What this process has swept counts for this process alone."""
    before = set(files._swept)
    files._swept.clear()
    yield
    files._swept.update(before)


@pytest.mark.parametrize("kind", ["write", "file", "folder"])
def test_what_a_killed_process_left_goes_with_the_next_write(kind, tmp_path):
    process = start_writer(kind, tmp_path / "target", seconds=30)
    wait_for_temporary(process, tmp_path)
    with new_process(), atomic_write(tmp_path / "other"):
        pass
    assert len(list(tmp_path.glob(".*.part"))) == 1, "its writer still lived"
    end(process)
    with new_process(), atomic_write(tmp_path / "other"):
        pass
    assert os.listdir(tmp_path) == ["other"]


def test_two_processes_that_write_one_target_and_are_killed_leave_it_whole(tmp_path):
    target, dice, errors = tmp_path / "target", random.Random(1), []
    kinds = ["write", "file"]
    running = [start_writer(kind, target, letter) for kind, letter in zip(kinds, "ab")]
    for turn in range(12):
        assert running[turn % 2].stdout.readline() == "begun\n"  # its interpreter has started
        time.sleep(dice.uniform(0.05, 0.3))
        errors.append(end(running[turn % 2]))
        running[turn % 2] = start_writer(dice.choice(kinds), target, "ab"[turn % 2])
        if target.exists():
            content = target.read_bytes()
            assert len(content) == 100_000 and set(content) in ({ord("a")}, {ord("b")})
    while not target.exists():
        assert running[0].poll() is None, running[0].stderr.read()
        time.sleep(0.005)
    errors += [end(process) for process in running]
    assert not any(errors), "a writer lost its temporary file to the other"
    sweep_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["target"]


def test_a_sweep_at_any_moment_takes_nothing_from_a_living_writer(tmp_path):
    done = threading.Event()

    def sweep():
        while not done.is_set():
            sweep_leftovers(tmp_path)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in sweepers:
        thread.start()
    try:
        for number in range(60):
            with atomic_write(tmp_path / "file") as file:
                file.write(str(number))
            with atomic_file(tmp_path / "other") as temporary:
                temporary.write_text(str(number))
            assert (tmp_path / "file").read_text() == (tmp_path / "other").read_text() == str(number)
    finally:
        done.set()
        for thread in sweepers:
            thread.join()
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


@pytest.mark.parametrize("kind", [atomic_write, atomic_file, atomic_folder])
def test_a_sweep_before_the_lock_makes_the_writer_begin_again(kind, tmp_path, monkeypatch):
    lock, swept = fcntl.flock, []

    def sweep_first(descriptor, operation):
        if not swept:
            swept.append(None)  # the sweep locks as well
            swept.extend(sweep_leftovers(tmp_path))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with kind(tmp_path / "target") as temporary:
        if kind is atomic_file:
            temporary.touch()
    assert len(swept) == 2
    assert os.listdir(tmp_path) == ["target"]


def test_a_lock_on_a_file_that_was_removed_gives_nobody_the_folder(tmp_path, monkeypatch):
    """A second sweep removes the lock file that the first has opened, and the writer makes it anew."""
    folder, lock, held = tmp_path / ".other.abcdefgh.part", fcntl.flock, []
    folder.mkdir()

    def made_anew(descriptor, operation):
        if not held:
            (folder / ".lock").unlink()
            held.append(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT))
            lock(held[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / "other").touch()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", made_anew)
    try:
        assert sweep_leftovers(tmp_path) == []
        assert sorted(os.listdir(folder)) == [".lock", "other"]
    finally:
        os.close(held[0])


def test_a_writer_whose_lock_was_removed_and_made_anew_begins_again(tmp_path, monkeypatch):
    lock, others = fcntl.flock, []

    def made_anew(descriptor, operation):
        if not others:
            others.extend(tmp_path.glob(".target.*.part/.lock"))
            others[0].unlink()
            others[0].touch()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", made_anew)
    with atomic_file(tmp_path / "target") as temporary:
        assert temporary.parent != others[0].parent
        temporary.touch()


@pytest.mark.parametrize("kind", [atomic_write, atomic_file])
def test_pipes_and_devices_are_no_targets_and_stay(kind, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    for name, what in (("pipe", "a named pipe"), ("device", "a device")):
        with pytest.raises(UserError, match=f"{name} is {what}.*; expected the name of a file"), kind(tmp_path / name):
            pass
    assert sorted(os.listdir(tmp_path)) == ["device", "pipe"]


def test_a_process_killed_before_it_locked_its_folder_leaves_nothing_for_ever(tmp_path):
    (tmp_path / ".model.abcdefgh.part").mkdir()
    (tmp_path / ".model.abcdefg1.part").touch()
    assert len(sweep_leftovers(tmp_path)) == 2
    assert os.listdir(tmp_path) == []


def test_a_sweep_leaves_what_is_not_ours(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.write_text("kept")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".link.abcdefgh.part").symlink_to(outside)
    os.mkfifo(folder / ".pipe.abcdefgh.part")
    for name in ("model.part", ".model.part", ".model.abcdefgh.part.txt", "model.abcdefgh.part", "a.pt.tmp"):
        (folder / name).touch()
    before = sorted(os.listdir(folder))
    assert sweep_leftovers(folder) == []
    assert sorted(os.listdir(folder)) == before and outside.read_text() == "kept"
    (folder / ".other.abcdefgh.part").touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # so it is another user's
    assert sweep_leftovers(folder) == []
    assert (folder / ".other.abcdefgh.part").exists()
    assert sweep_leftovers(tmp_path / "none") == []


def test_a_sweep_removes_other_programs_files_where_it_is_asked_to(tmp_path):
    for name in ("checkpoint_last.pt", "checkpoint_1_5.pt.tmp", ".checkpoint_best.pt.abcdefgh.part"):
        (tmp_path / name).touch()
    (tmp_path / "folder.pt.tmp").mkdir()
    removed = sweep_leftovers(tmp_path, unlocked=["*.pt.tmp"])
    assert [path.name for path in removed] == [".checkpoint_best.pt.abcdefgh.part", "checkpoint_1_5.pt.tmp"]
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_last.pt", "folder.pt.tmp"]


def test_where_there_are_no_locks_files_are_written_and_leftovers_stay(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".file.abcdefgh.part").write_text("perhaps another machine's")
    for kind in (atomic_file, atomic_folder):
        with kind(tmp_path / kind.__name__) as temporary:
            if kind is atomic_file:
                temporary.touch()
    with atomic_write(tmp_path / "file") as file:
        file.write("whole")
    assert sorted(os.listdir(tmp_path)) == [".file.abcdefgh.part", "atomic_file", "atomic_folder", "file"]


def test_a_folder_that_takes_no_files_is_refused_before_there_are_any():
    with pytest.raises(UserError, match="^cannot write /proc/self: [^\n]+; nothing was changed$"):
        make_folder("/proc/self")


@pytest.mark.parametrize("kind", [atomic_write, atomic_file, atomic_folder])
def test_an_error_leaves_nothing(kind, tmp_path):
    with pytest.raises(RuntimeError), kind(tmp_path / "target"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"), kind(tmp_path / "file" / "target"):
        pass


def test_a_folder_is_readable_as_others_are_with_all_that_is_in_it(tmp_path):
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "inner").mkdir()
        for path in (temporary / "file", temporary / "inner" / "file"):
            path.touch(0o600)
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert (tmp_path / "folder" / "file").stat().st_mode == (tmp_path / "folder" / "inner" / "file").stat().st_mode
    assert (tmp_path / "folder" / "file").stat().st_mode == usual
    assert os.access(tmp_path / "folder" / "inner", os.X_OK)
    assert os.listdir(tmp_path / "folder") in (["file", "inner"], ["inner", "file"])
