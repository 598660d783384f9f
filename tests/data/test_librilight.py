"""manifests/librilight.py on a miniature of Libri-Light: same tree, same .json, seconds instead of hours."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny import accept_ctrl_c

from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.data.segmentation import segments

SCRIPT = Path(__file__).resolve().parents[2] / "manifests" / "librilight.py"
LENGTHS = ("--min-seconds", "1", "--max-seconds", "3")
# Speech in seconds; of 55/ode/b cut inside a stretch, of 9/psalms/c too little.
SPEECH = {
    "small/55/ode/a": [[0.4, 1.52], [2.0, 3.2], [3.92, 4.4], [5.04, 7.0]],
    "small/55/ode/b": [[0.0, 7.04], [7.6, 8.0]],
    "small/55/tales/a": [[1.0, 1.64], [2.0, 4.8]],
    "small/9/psalms/c": [[0.24, 0.72], [1.0, 1.4]],
    "medium/9/psalms/d": [[0.08, 2.0], [2.4, 3.76]],
}


def write_recording(corpus, name, speech, seconds=10.0, **options):
    """Noise where there is speech, which makes every sample differ from every other, and digital zero elsewhere."""
    samples = np.zeros(round(seconds * 16000), dtype=np.int16)
    random = np.random.RandomState(len(name))
    for start, stop in speech:
        part = samples[round(start * 16000) : round(stop * 16000)]
        part[:] = random.randint(1, 3000, len(part))
    flac = corpus / f"{name}.flac"
    flac.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(flac, samples, options.get("rate", 16000))
    write_marks(corpus, name, speech)
    return samples


def write_marks(corpus, name, speech):
    marks = {"speaker": name.split("/")[1], "book_meta": {"id": "319"}, "snr": 5.391, "voice_activity": speech}
    (corpus / f"{name}.json").write_text(json.dumps(marks, indent=1))


@pytest.fixture
def librilight(tmp_path):
    corpus = tmp_path / "librilight"
    for name, speech in SPEECH.items():
        write_recording(corpus, name, speech)
    return corpus


def contents(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*.flac")}


def report(out):
    lines = (out / "report.tsv").read_text().splitlines()[1:]
    return {Path(path).name: reason for path, reason in (line.split("\t") for line in lines)}


def test_speech_is_stitched_sample_by_sample(librilight, tmp_path, run):
    result = run("librilight.py", librilight, tmp_path / "out", *LENGTHS)
    assert result.returncode == 0, result.stderr
    root, rows = read_manifest(tmp_path / "out" / "train.tsv", check_files=True)
    assert root == str(tmp_path / "out" / "audio")
    assert rows == [
        ("55/ode/a-000.flac", round(2.8 * 16000)),
        ("55/ode/a-001.flac", round(1.96 * 16000)),
        ("55/ode/b-000.flac", 48000),
        ("55/ode/b-001.flac", 48000),
        ("55/ode/b-002.flac", round(1.44 * 16000)),
        ("55/tales/a-000.flac", round(2.44 * 16000)),
        ("55/tales/a-001.flac", 16000),
        ("9/psalms/d-000.flac", round(1.92 * 16000)),
        ("9/psalms/d-001.flac", round(1.36 * 16000)),
    ]
    for name in set(SPEECH) - {"small/9/psalms/c"}:
        whole, _ = soundfile.read(librilight / f"{name}.flac", dtype="int16")
        stem = name.partition("/")[2]
        parts = [soundfile.read(os.path.join(root, path), dtype="int16")[0] for path, _ in rows if stem + "-" in path]
        assert [len(part) for part in parts] == [frames for path, frames in rows if stem + "-" in path]
        np.testing.assert_array_equal(np.concatenate(parts), whole[whole != 0])


def test_segments_are_10_to_30_s_16_bit_flac_if_nothing_else_is_asked_for(tmp_path, run):
    write_recording(tmp_path / "small", "1/b/f", [[0, 12], [13, 29], [30, 85], [86, 100]], seconds=101)
    assert run("librilight.py", tmp_path / "small", tmp_path / "out").returncode == 0
    infos = [soundfile.info(path) for path in sorted((tmp_path / "out").rglob("*.flac"))]
    assert [info.duration for info in infos] == [28, 30, 25, 14]
    assert {(info.format, info.subtype, info.samplerate, info.channels) for info in infos} == {
        ("FLAC", "PCM_16", 16000, 1)
    }
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["lengths"] == {"14-16": 1, "24-26": 1, "28-30": 2}


def test_one_size_or_all_of_them_give_the_same_names(librilight, tmp_path, run):
    assert run("librilight.py", librilight / "small", tmp_path / "out", *LENGTHS).returncode == 0
    rows = read_manifest(tmp_path / "out" / "train.tsv")[1]
    assert [path for path, _ in rows][:2] == ["55/ode/a-000.flac", "55/ode/a-001.flac"]
    assert not any(path.startswith("9/") for path, _ in rows)


def test_the_summary_accounts_for_all_speech(librilight, tmp_path, run):
    out = tmp_path / "out"
    (librilight / "small/55/tales/a.flac").write_bytes(b"fLaC")
    result = run("librilight.py", librilight, out, *LENGTHS)
    summary = json.loads((out / "summary.json").read_text())
    kept, short, damaged = 4.76 + 7.44 + 3.28, 0.88, 3.44
    assert (summary["recordings"], summary["recordings_kept"], summary["segments"]) == (5, 3, 7)
    assert summary["hours_kept"] * 3600 == pytest.approx(kept)
    assert summary["hours_of_speech"] * 3600 == pytest.approx(kept + short + damaged)
    assert summary["left_out"] == {
        "less speech than `min_seconds`": {"recordings": 1, "hours": pytest.approx(short / 3600)},
        "not readable as audio": {"recordings": 1, "hours": pytest.approx(damaged / 3600)},
    }
    hours = {name: seconds / 3600 for name, seconds in (("min", 3.28), ("median", 7.74), ("max", 12.2))}
    assert summary["hours_per_speaker"] == pytest.approx(hours)
    assert summary["lengths"] == {"0-2": 4, "2-4": 3}
    assert (out / "speakers.tsv").read_text().splitlines() == [
        "speaker\trecordings\tsegments\thours",
        "55\t2\t5\t0.0034",
        "9\t1\t2\t0.0009",
    ]
    assert "recordings: 5, 3 of them kept" in result.stdout
    assert "left out, not readable as audio: 1 recording, 3.4 seconds of speech" in result.stdout
    assert "speech: 19.8 seconds, 15.5 seconds of it kept" in result.stdout
    assert "speakers: 2, each with 3.3 seconds to 12.2 seconds, in the median 7.7 seconds" in result.stdout
    assert [line.split() for line in result.stdout.splitlines() if "#" in line] == [
        ["0-2", "s", "#" * 50, "4"],
        ["2-4", "s", "#" * 38, "3"],
    ]
    assert report(out)["c.flac"] == "less speech than `min_seconds`: 0.88 s"


def test_what_cannot_be_used_is_left_out_with_the_reason(librilight, tmp_path, run):
    book, speech, out = librilight / "small" / "7" / "bad", [[0.0, 5.0]], tmp_path / "out"
    for name in (
        "no_json",
        "cut",
        "middle",
        "outside",
        "overlap",
        "nan",
        "list",
        "text",
        "folder",
        "huge",
        "empty",
        "rate",
        "no_flac",
    ):
        write_recording(librilight, f"small/7/bad/{name}", speech, rate=8000 if name == "rate" else 16000)
    write_recording(librilight, "medium/55/ode/a", speech)
    write_recording(librilight, "small/stray", speech)
    (book / "no_json.json").unlink()
    (book / "no_flac.flac").unlink()
    (book / "list.json").write_text("[1, 2]")
    (book / "folder.json").unlink()
    (book / "folder.json").mkdir()
    (book / "text.json").write_text('{"voice_activity": [[0.0, 2')
    for name, marks in (
        ("outside", [[0, 4], [9, 11.5]]),
        ("overlap", [[0, 4], [3, 6]]),
        ("nan", [[0, float("nan")]]),
        ("huge", [[0, 1e300]]),
        ("empty", []),
    ):
        write_marks(librilight, f"small/7/bad/{name}", marks)
    data = bytearray((book / "cut.flac").read_bytes())
    (book / "cut.flac").write_bytes(data[: len(data) // 2])
    middle = len(data) // 3
    data[middle : middle + 2000] = b"\x55" * 2000
    (book / "middle.flac").write_bytes(data)

    result = run("librilight.py", librilight, out, *LENGTHS)
    assert result.returncode == 0, result.stderr
    reasons = report(out)
    for name, reason in (
        ("no_json.flac", "no .json: No such file"),
        ("list.flac", "damaged .json: list.json holds no readable 'voice_activity'"),
        ("text.flac", "damaged .json: "),
        ("folder.flac", f"damaged .json: {book}/folder.json is a folder"),
        ("nan.flac", "voice activity unreadable: expected"),
        ("huge.flac", "voice activity unreadable: expected seconds; found 1e+300"),
        ("empty.flac", "no voice activity"),
        ("overlap.flac", "voice activity out of order: 3.00 to 6.00 s, after 4.00 s"),
        ("outside.flac", "voice activity outside the recording: up to 11.50 s, the recording has 10.00 s"),
        ("cut.flac", "truncated: "),
        ("middle.flac", "damaged: between "),
        ("rate.flac", "not 16 kHz mono: 8000 Hz"),
        ("no_flac.json", "no .flac beside it"),
        ("stray.flac", "not SPEAKER/BOOK/FILE.flac"),
        ("a.flac", "its segments would have the same names as those of "),
    ):
        assert reasons.pop(name).startswith(reason), name
    assert reasons.keys() == {"c.flac"}
    assert not list((out / "audio").glob("7/*/*")), "segments of a damaged recording were left behind"
    assert len(read_manifest(out / "train.tsv", check_files=True)[1]) == 9


def test_marks_may_end_a_little_after_the_recording(tmp_path, run):
    samples = write_recording(tmp_path / "small", "1/b/f", [[0.0, 2.0]], seconds=2)
    write_marks(tmp_path / "small", "1/b/f", [[0.0, 2.08]])
    assert run("librilight.py", tmp_path / "small", tmp_path / "out", *LENGTHS).returncode == 0
    written, _ = soundfile.read(tmp_path / "out" / "audio" / "1" / "b" / "f-000.flac", dtype="int16")
    np.testing.assert_array_equal(written, samples)


def test_a_second_run_decodes_only_what_is_missing_or_has_changed(librilight, tmp_path, run, monkeypatch):
    out, copied, copy = tmp_path / "out", [], segments._copy
    arguments = ("librilight.py", librilight, out, *LENGTHS)
    run(*arguments)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    train = (out / "train.tsv").read_bytes()

    def counted(recording, targets):
        copied.extend(target.name for target in targets)
        copy(recording, targets)

    monkeypatch.setattr(segments, "_copy", counted)
    assert run(*arguments).returncode == 0
    assert copied == []
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")} == before

    (out / "audio/55/ode/b-001.flac").unlink()
    (out / "audio/9/psalms/d-000.flac").write_bytes(b"")
    marks = librilight / "small/55/tales/a.json"
    os.utime(marks, (time.time() + 60,) * 2)
    assert run(*arguments).returncode == 0
    assert sorted(copied) == ["a-000.flac", "a-001.flac", "b-001.flac", "d-000.flac"]
    assert (out / "train.tsv").read_bytes() == train

    copied.clear()
    write_recording(librilight, "small/55/tales/a", SPEECH["small/55/tales/a"])
    os.utime(librilight / "small/55/tales/a.flac", (0, 0))  # another recording, with an older time
    assert run(*arguments).returncode == 0
    assert sorted(copied) == ["a-000.flac", "a-001.flac"]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="links to a pipe by Linux's /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_completed_by_the_next(tmp_path, run, signal_number):
    corpus, out, speech = tmp_path / "small", tmp_path / "out", [[0, 3.2], [4, 9.6]]
    for number in range(5):
        write_recording(corpus, f"1/book/{number}", speech)
    # The run waits at the third recording for the text of its .json, until it is stopped.
    # A nameless pipe, as a shell's <(command) gives: named ones are refused.
    reading, writing = os.pipe()
    pipes = [corpus / f"1/book/{number}.json" for number in (2, 3, 4)]
    for pipe in pipes:
        pipe.unlink()
        pipe.symlink_to(f"/proc/{os.getpid()}/fd/{reading}")
    command = [sys.executable, str(SCRIPT), str(corpus), str(out), *LENGTHS, "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=accept_ctrl_c
    )
    notes = out / "audio" / "sources.tsv"
    while not notes.exists() or notes.read_text().count("\n") < 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal_number)
    os.close(writing)
    os.close(reading)
    _, errors = process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    assert len(kept) == 6
    assert not list(out.rglob("*.part"))
    assert not list(out.glob("*.tsv"))
    assert "Traceback" not in errors
    assert process.returncode == (130 if signal_number == signal.SIGINT else -signal.SIGKILL)

    for pipe in pipes:
        pipe.unlink()
        write_marks(corpus, f"1/book/{pipe.stem}", speech)
    assert run("librilight.py", corpus, out, *LENGTHS).returncode == 0
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert run("librilight.py", corpus, tmp_path / "fresh", *LENGTHS).returncode == 0
    assert len(contents(out)) == 15
    assert contents(out) == contents(tmp_path / "fresh")
    assert (out / "train.tsv").read_text() == (tmp_path / "fresh/train.tsv").read_text().replace("/fresh/", "/out/")


def test_valid_is_a_folder_of_recordings_or_a_manifest(librilight, tmp_path, run, write_tone):
    folder = tmp_path / "LibriSpeech" / "dev-clean"
    for name in ("84/121/84-121-0001.flac", "84/121/84-121-0000.flac"):
        write_tone(folder / name)
    write_tone(folder / "84/121/slow.flac", rate=8000)
    out = tmp_path / "out"
    assert run("librilight.py", librilight, out, *LENGTHS, "--valid", folder).returncode == 0
    expected = (str(folder), [("84/121/84-121-0000.flac", 8000), ("84/121/84-121-0001.flac", 8000)])
    assert read_manifest(out / "valid.tsv", check_files=True) == expected
    assert report(out)["slow.flac"].startswith("8000 Hz")

    again = tmp_path / "again"
    assert run("librilight.py", librilight, again, *LENGTHS, "--valid", out / "valid.tsv").returncode == 0
    assert read_manifest(again / "valid.tsv") == expected


def test_mistakes_are_one_line_errors_before_anything_is_written(librilight, tmp_path, run, write_tone):
    slow = write_tone(tmp_path / "slow" / "a.flac", rate=8000).parent
    (tmp_path / "nothing").mkdir()
    for arguments, message in (
        ((tmp_path / "none", "out"), "there is no folder"),
        ((tmp_path / "nothing", "out"), "holds no SPEAKER/BOOK/FILE.flac"),
        ((librilight, librilight / "out"), f"OUT must not lie in {librilight}"),
        ((librilight, "out", "--min-seconds", "20"), "at least twice --min-seconds"),
        ((librilight, "out", "--min-seconds", "0"), "must be positive"),
        ((librilight, "out", "--min-seconds", "nan"), "must be positive"),
        ((librilight, "out", "--max-seconds", "inf"), "must be positive and finite"),
        ((librilight, "out", "--min-seconds", "1e-9"), "at least twice --min-seconds"),
        ((librilight, "out", "--valid", tmp_path / "none"), "expected a folder of recordings or a manifest"),
        ((librilight, "out", "--valid", tmp_path / "nothing"), "holds no recording that can be used"),
        ((librilight, "out", "--valid", slow), "/a.flac: 8000 Hz"),
        ((librilight, "out", "--valid", slow / "a.flac"), "is not UTF-8 text"),
    ):
        result = run("librilight.py", arguments[0], tmp_path / arguments[1], *arguments[2:])
        assert result.returncode == 1
        assert message in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert not (tmp_path / "out").exists()


def test_a_folder_begun_with_other_lengths_and_a_corpus_without_use_are_refused(librilight, tmp_path, run):
    out = tmp_path / "out"
    assert run("librilight.py", librilight, out, *LENGTHS).returncode == 0
    before = contents(out)
    assert "was begun with other settings" in run("librilight.py", librilight, out, "--min-seconds", "1").stderr
    assert contents(out) == before
    # None has 10 s of speech.
    result = run("librilight.py", librilight, tmp_path / "long")
    assert "no recording can be used, of 5 (" in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "long" / "train.tsv").exists()
