"""Can a run be stopped, killed and resumed without changing what it computes?"""

import signal

import pytest

pytest.importorskip("fairseq", reason="trains with fairseq")

from tiny import assert_same_weights, last_checkpoint, resumable, run, start, train, write_corpus

RECIPE = ("pretraining", "summarymixing_base_librispeech")


@pytest.mark.parametrize("mixer, pad", [("summary_mixing", True), ("self_attention", False)])
def test_stop_and_resume_equals_an_uninterrupted_run_exactly(mixer, pad, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=24)
    # dropout, layerdrop, masks, distractors, Gumbel noise, crops and batches are all drawn; the stop is inside epoch 1
    common = dict(
        model__mixer=mixer, task__enable_padding=pad, model__encoder_layerdrop=0.3, optimization__update_freq=[2]
    )
    train(*RECIPE, resumable(corpus, tmp_path / "whole", optimization__max_update=8, **common))
    train(*RECIPE, resumable(corpus, tmp_path / "parts", optimization__max_update=2, **common))
    assert last_checkpoint(tmp_path / "parts")["extra_state"]["train_iterator"]["iterations_in_epoch"] > 0
    train(*RECIPE, resumable(corpus, tmp_path / "parts", optimization__max_update=8, **common))
    assert_same_weights(last_checkpoint(tmp_path / "parts"), last_checkpoint(tmp_path / "whole"), atol=0, rtol=0)


def test_killed_while_training_it_goes_on_from_what_was_saved(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    common = dict(checkpoint__save_interval_updates=1, checkpoint__keep_interval_updates=1)
    process = start(*RECIPE, resumable(corpus, tmp_path / "run", optimization__max_update=10000, **common))
    saved = 0
    for line in process.stdout:
        saved += "Saved checkpoint" in line
        if saved == 3:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    updates = last_checkpoint(tmp_path / "run")["optimizer_history"][-1]["num_updates"]
    assert updates >= 2
    status, output = run(*RECIPE, resumable(corpus, tmp_path / "run", optimization__max_update=updates + 2, **common))
    assert status == 0 and f"@ {updates} updates" in output
    assert last_checkpoint(tmp_path / "run")["optimizer_history"][-1]["num_updates"] == updates + 2
