"""Can a run be stopped, killed and resumed without changing what it computes?"""

import signal

import pytest
import torch

pytest.importorskip("fairseq", reason="trains with fairseq")

from tiny import TINY_PRETRAINING, run, start, train, write_corpus

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
