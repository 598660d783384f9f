"""Do runs of two processes come back, in each way to start them, and end together when one of them fails?"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

pytest.importorskip("fairseq", reason="trains with fairseq")

from processes import free_port, kill, run_pair, start_pair, train_pair
from tiny import assert_same_weights, command, finetuning, last_checkpoint, resumable, train, write_corpus

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin.interrupts import MESSAGE
from fairseq_summarymixing.plugin.resuming import rescale_position

RECIPE = ("pretraining", "summarymixing_base_librispeech")
CLIPS = 24  # of which one process takes 12 batches, two take 6 each
DROPOUTS = ("dropout", "attention_dropout", "dropout_input", "dropout_features", "encoder_layerdrop")
NOT_DRAWN = {f"model__{name}": 0.0 for name in DROPOUTS}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=CLIPS)


@pytest.fixture(scope="module")
def pair(corpus, tmp_path_factory):
    """Folders of two runs of two processes: one of 8 updates, and one that was stopped after 3, inside epoch 1."""
    folder = tmp_path_factory.mktemp("pair")
    given = dict(model__encoder_layerdrop=0.3, optimization__max_update=8)
    train_pair(*RECIPE, resumable(corpus, folder / "whole", **given))
    given.update(optimization__max_update=3)
    statuses, outputs, _ = run_pair("spawn", *RECIPE, resumable(corpus, folder / "part", **given))
    assert statuses == [0], outputs[0][-3000:]
    return folder


# dropout, layerdrop, masks, distractors, Gumbel noise, crops and batches are all drawn
@pytest.mark.parametrize("way, field", [("spawn", None), ("torchrun", "restore_file")])
def test_two_processes_resume_exactly(way, field, pair, corpus, tmp_path):
    more = dict(model__encoder_layerdrop=0.3, optimization__max_update=8)
    if field is None:
        shutil.copy(pair / "part/checkpoint_last.pt", tmp_path)
    else:
        more[f"checkpoint__{field}"] = str(pair / "part/checkpoint_last.pt")
    statuses, outputs, _ = run_pair(way, *RECIPE, resumable(corpus, tmp_path, **more))
    assert statuses == [0], outputs[0][-3000:]
    assert_same_weights(last_checkpoint(tmp_path), last_checkpoint(pair / "whole"), atol=0, rtol=0)


def test_two_processes_start_from_a_models_weights(pair, corpus, tmp_path):
    more = dict(checkpoint__finetune_from_model=str(pair / "part/checkpoint_last.pt"), optimization__lr=[1e-30])
    train_pair(*RECIPE, resumable(corpus, tmp_path, model__encoder_layerdrop=0.3, **more))
    found, expected = last_checkpoint(tmp_path), last_checkpoint(pair / "part")
    torch.testing.assert_close(found["model"]["mask_emb"], expected["model"]["mask_emb"])
    assert found["optimizer_history"][-1]["num_updates"] == 1


def test_fine_tuning_on_two_processes_resumes_exactly(pair, corpus, tmp_path):
    given = dict(dataset__batch_size=2, dataset__disable_validation=True, checkpoint__best_checkpoint_metric="loss")
    given.update(lr_scheduler__phase_ratio=None, lr_scheduler__warmup_steps=1)
    given.update(lr_scheduler__hold_steps=9, lr_scheduler__decay_steps=9)
    pretrained = pair / "part/checkpoint_last.pt"
    for name, stops in {"whole": [4], "parts": [2, 4]}.items():
        for updates in stops:
            settings = finetuning(corpus, tmp_path / name, pretrained, optimization__max_update=updates, **given)
            train_pair("finetuning", "base_10h", settings)
    assert_same_weights(last_checkpoint(tmp_path / "parts"), last_checkpoint(tmp_path / "whole"), atol=0, rtol=0)


@pytest.fixture(scope="module")
def one_process(corpus, tmp_path_factory):
    """Folders of two runs of one process, of 8 updates and of 3, each update of two batches; no dropout."""
    folder = tmp_path_factory.mktemp("one_process")
    for name, updates in (("whole", 8), ("part", 3)):
        more = dict(optimization__max_update=updates, optimization__update_freq=[2])
        train(*RECIPE, resumable(corpus, folder / name, **NOT_DRAWN, **more))
    return folder


# Sums over batches are in another order, and dropout is drawn once per process and update: without it, what differs is
# rounding. The updates after it are those of the same batches. fairseq's default ddp_backend is pytorch_ddp.
def test_two_processes_go_on_from_one_and_one_from_two(one_process, corpus, tmp_path):
    shutil.copy(one_process / "part/checkpoint_last.pt", tmp_path)
    more = dict(NOT_DRAWN, distributed_training__ddp_backend="pytorch_ddp")
    train_pair(*RECIPE, resumable(corpus, tmp_path, optimization__max_update=5, **more))
    train(
        *RECIPE,
        resumable(corpus, tmp_path, optimization__max_update=8, optimization__update_freq=[2], **NOT_DRAWN),
    )
    assert_same_weights(last_checkpoint(tmp_path), last_checkpoint(one_process / "whole"), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "before, now, used, update_freq, expected",
    [
        (2, 1, 3, [1], 6),
        (1, 2, 6, [1], 3),
        (1, 2, 5, [1], 2),
        (8, 8, 5, [1], 5),
        (2, 1, 1, [4], 0),
        (8, 2, 3, [9, 3], 12),
        (1, 1, 3, [2], 2),
    ],
)
def test_batches_that_were_used_are_not_used_again(before, now, used, update_freq, expected, caplog):
    position = {"epoch": 2, "iterations_in_epoch": used, "num_processes": before}
    rescale_position(position, now, update_freq)
    assert position == {"epoch": 2, "iterations_in_epoch": expected}
    again = used * before - expected * now
    assert (f", {again} of them will be used again" in caplog.text) == (again > 0)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_without_data_ends_both_in_one_line(rank, corpus, tmp_path):
    missing = [{}, {}]
    missing[rank] = {"task.data": "/nowhere"}
    statuses, outputs, seconds = run_pair("by hand", *RECIPE, resumable(corpus, tmp_path), of_rank=missing)
    assert statuses == [1, 1] and seconds < 60
    lines = [output.strip().splitlines()[-1] for output in outputs]
    assert lines[rank] == "error: task.data=/nowhere is no folder: expected one that holds train.tsv"
    assert lines[1 - rank].startswith(f"error: process {rank} on ")
    assert lines[1 - rank].endswith(lines[rank][len("error: ") :])
    assert "Traceback" not in "".join(outputs)


def test_a_save_dir_that_another_training_uses_is_refused(corpus, tmp_path):
    hold = (  # with a process that loads its data, and outlives it
        "import os, sys, time; from fairseq_summarymixing.plugin.save_dir import hold_save_dir; "
        "hold_save_dir(sys.argv[1]); os.fork() or time.sleep(60); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"is in use by another training .process {other.pid} on .*name another folder"):
        train(*RECIPE, resumable(corpus, tmp_path))
    other.kill()
    other.wait()
    for name in ("checkpoint_1_5.pt.tmp", ".checkpoint_last.pt.abcdefgh.part"):  # half written when it was killed
        (tmp_path / name).write_bytes(b"PK")
    train(*RECIPE, resumable(corpus, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".training.lock", "checkpoint_last.pt"]


def test_a_link_in_the_place_of_the_lock_is_not_followed(corpus, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.training.lock").symlink_to(tmp_path / "precious.txt")
    with pytest.raises(UserError, match="cannot write to checkpoint.save_dir"):
        train(*RECIPE, resumable(corpus, tmp_path / "run"))
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("buffer", [10, 0])
def test_too_little_shared_memory_ends_in_one_line(buffer, corpus, tmp_path):
    small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=100k tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*small, "true"], capture_output=True).returncode:
        pytest.skip("a small /dev/shm cannot be mounted here")
    given = resumable(
        corpus, tmp_path, dataset__num_workers=2, optimization__max_update=60, dataset__data_buffer_size=buffer
    )
    process = subprocess.run(
        small + command(*RECIPE, given),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.returncode == 1 and "Traceback" not in process.stderr
    line = process.stderr.strip().splitlines()[-1]
    # torch 2.0 writes without a look whether there is room, and the system kills it
    assert "error: /dev/shm is full" in line or "error: a process that loads data was killed" in line


def test_a_process_that_fails_ends_the_others_and_one_that_is_done_does_not(tmp_path):
    code = """
import sys, time
import torch.distributed as dist
from fairseq_summarymixing.plugin import failures
rank, fails = int(sys.argv[1]), sys.argv[3] == "fails"
dist.init_process_group("gloo", init_method=f"tcp://localhost:{sys.argv[2]}", world_size=2, rank=rank)
failures.GRACE_SECONDS = 2.0
failures.watch_other_processes()
if rank == 1:
    if fails:
        with failures.failing_together():
            raise RuntimeError("of any kind")
    sys.exit()
time.sleep(6)
print("done")
"""
    for ending, status in (("fails", 1), ("is done", 0)):
        port = str(free_port())
        both = [
            subprocess.Popen([sys.executable, "-c", code, rank, port, ending], stdout=-1, stderr=-1, text=True)
            for rank in "01"
        ]
        out, err = both[0].communicate(timeout=60)
        assert both[0].returncode == status, err
        assert ("process 1 on" in err and "its log has the reason" in err) == (ending == "fails") != ("done" in out)
        both[1].communicate(timeout=60)


def test_the_others_do_not_repeat_what_gloo_says_when_a_process_is_killed():
    code = """
import os, signal, sys
import torch
import torch.distributed as dist
from fairseq_summarymixing.plugin import failures
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"tcp://localhost:{sys.argv[2]}", world_size=2, rank=rank)
failures.watch_other_processes()
if rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
with failures.fails_with_the_others():
    dist.all_reduce(torch.ones(1))
"""
    port = str(free_port())
    both = [subprocess.Popen([sys.executable, "-c", code, rank, port], stderr=-1, text=True) for rank in "01"]
    err = both[0].communicate(timeout=60)[1]
    both[1].communicate(timeout=60)
    last = err.strip().splitlines()[-1]
    assert both[0].returncode == 1 and "UserError: process 1 on" in last
    assert "has ended without a message" in last


def test_a_process_that_outlives_the_store_prints_nothing_of_it():
    code = """
import sys, time
import torch.distributed as dist
from fairseq_summarymixing.plugin import failures
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"tcp://localhost:{sys.argv[2]}", world_size=2, rank=rank)
failures.watch_other_processes()
time.sleep(1 + 3 * rank)
"""
    port = str(free_port())
    both = [subprocess.Popen([sys.executable, "-c", code, rank, port], stderr=-1, text=True) for rank in "01"]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0] and not any("frame #" in error for error in errors), (
        errors
    )


def test_ctrl_c_ends_both_in_one_line_and_keeps_the_checkpoint(corpus, tmp_path):
    fields = dict(optimization__max_update=100000, checkpoint__save_interval_updates=2)
    both = start_pair("by hand", *RECIPE, resumable(corpus, tmp_path, **fields))
    try:
        until = time.monotonic() + 200
        while not (tmp_path / "checkpoint_last.pt").exists() and time.monotonic() < until:
            time.sleep(0.1)
        for process in both:
            process.send_signal(signal.SIGINT)
        outputs = [process.communicate(timeout=60)[0] for process in both]
    finally:
        for process in both:
            kill(process)
    assert "Traceback" not in "".join(outputs) and "frame #" not in "".join(outputs)
    assert 130 in [process.returncode for process in both]
    for process, output in zip(both, outputs):  # torch's wait for the others does not see it, and a message ends that
        last = output.strip().splitlines()[-1]
        assert last.endswith(MESSAGE) and (process.returncode == 130 or re.match(r"error: process \d on ", last))
    assert last_checkpoint(tmp_path)["optimizer_history"][-1]["num_updates"] >= 1


def test_checkpoints_written_asynchronously_need_iopath(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="write_checkpoints_asynchronously=true needs iopath"):
        train(*RECIPE, resumable(corpus, tmp_path, checkpoint__write_checkpoints_asynchronously=True))
