"""Can a run be stopped, killed, resumed and spread over processes without changing what it computes?"""

import signal
import socket

import pytest
import torch

pytest.importorskip("fairseq", reason="trains with fairseq")

from tiny import TINY_PRETRAINING, run, start, tone, train, write_corpus, write_wave

RECIPE = ("pretraining", "summarymixing_base_librispeech")


def settings(corpus, folder, **more):
    """``more``: dotted names with __ for the dot."""
    return {
        **TINY_PRETRAINING, "task.data": str(corpus), "checkpoint.save_dir": str(folder),
        "lr_scheduler.total_num_update": 100, "dataset.batch_size": 2, "dataset.disable_validation": True,
        "checkpoint.no_epoch_checkpoints": True, **{key.replace("__", "."): value for key, value in more.items()},
    }  # fmt: skip


def last(folder):
    return torch.load(folder / "checkpoint_last.pt", weights_only=False)


def assert_same_weights(found, expected, **tolerance):
    assert found["model"].keys() == expected["model"].keys()
    for name, weight in expected["model"].items():
        torch.testing.assert_close(
            found["model"][name], weight, msg=lambda text, name=name: f"{name}: {text}", **tolerance
        )


@pytest.mark.parametrize("mixer, pad", [("summary_mixing", True), ("self_attention", False)])
def test_stop_and_resume_equals_an_uninterrupted_run_exactly(mixer, pad, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=24)
    # dropout, layerdrop, masks, distractors, Gumbel noise, crops and batches are all drawn; the stop is inside epoch 1
    common = dict(
        model__mixer=mixer, task__enable_padding=pad, model__encoder_layerdrop=0.3, optimization__update_freq=[2]
    )
    train(*RECIPE, settings(corpus, tmp_path / "whole", optimization__max_update=8, **common))
    train(*RECIPE, settings(corpus, tmp_path / "parts", optimization__max_update=2, **common))
    assert last(tmp_path / "parts")["extra_state"]["train_iterator"]["iterations_in_epoch"] > 0
    train(*RECIPE, settings(corpus, tmp_path / "parts", optimization__max_update=8, **common))
    assert_same_weights(last(tmp_path / "parts"), last(tmp_path / "whole"), atol=0, rtol=0)


def test_killed_while_training_it_goes_on_from_what_was_saved(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    common = dict(checkpoint__save_interval_updates=1, checkpoint__keep_interval_updates=1)
    process = start(*RECIPE, settings(corpus, tmp_path / "run", optimization__max_update=10000, **common))
    saved = 0
    for line in process.stdout:
        saved += "Saved checkpoint" in line
        if saved == 3:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    updates = last(tmp_path / "run")["optimizer_history"][-1]["num_updates"]
    assert updates >= 2
    status, output = run(*RECIPE, settings(corpus, tmp_path / "run", optimization__max_update=updates + 2, **common))
    assert status == 0 and f"@ {updates} updates" in output
    assert last(tmp_path / "run")["optimizer_history"][-1]["num_updates"] == updates + 2


def test_two_processes_reach_the_weights_of_one_with_twice_the_batch(tmp_path):
    corpus = tmp_path / "corpus"
    for clip in range(2):
        write_wave(corpus / f"{clip}.wav", tone(1.0, seed=clip))
    for split in ("train", "valid"):
        (corpus / f"{split}.tsv").write_text(f"{corpus}\n0.wav\t16000\n1.wav\t16000\n")
    # What is drawn or averaged over a whole batch is off: dropout, and the losses beside the contrastive one.
    # So is layerdrop: fairseq's legacy_ddp gives a dropped layer zeros where one process gives it no gradient.
    common = dict(
        criterion__loss_weights=[0, 0], model__require_same_masks=False, model__dropout=0.0,
        model__attention_dropout=0.0, model__dropout_input=0.0, model__dropout_features=0.0,
        model__encoder_layerdrop=0.0, optimization__max_update=4,
    )  # fmt: skip
    status, output = run(*RECIPE, settings(corpus, tmp_path / "one", **common))
    assert status == 0, output[-3000:]

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    distributed = dict(
        distributed_training__distributed_world_size=2, distributed_training__distributed_backend="gloo",
        distributed_training__distributed_no_spawn=True, dataset__batch_size=1,
        distributed_training__distributed_init_method=f"tcp://localhost:{port}",
    )  # fmt: skip
    processes = [
        start(*RECIPE, settings(corpus, tmp_path / "two", **rank, **common, **distributed))
        for rank in ({"distributed_training__distributed_rank": 1}, {"distributed_training__distributed_rank": 0})
    ]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs[-1][-3000:]
    assert_same_weights(last(tmp_path / "two"), last(tmp_path / "one"), atol=1e-5, rtol=1e-4)
