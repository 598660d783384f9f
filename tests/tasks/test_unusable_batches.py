"""What becomes of an update whose batches hold no usable recording, or one that makes gradients NaN?"""

import json
import logging
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("fairseq", reason="tests the fairseq task")

from processes import fork_pair, train_pair
from tiny import ROOT, assert_same_weights, last_checkpoint, pretraining, tone, train, write_wave

from fairseq_summarymixing.errors import UserError

RECIPE = ("pretraining", "summarymixing_base_librispeech")
SECOND = 16000
LOUDNESS = ("fairseq_summarymixing.data.audio", "LARGEST_SAMPLE", math.inf)  # of recordings that are read at all
# What is drawn or averaged over a whole batch is off, so that batches of one give what a batch of all gives
ALONE_AS_TOGETHER = {
    "criterion.loss_weights": [0, 0],
    "model.require_same_masks": False,
    "model.encoder_layerdrop": 0.0,
    "model.extractor_mode": "layer_norm",
    "model.layer_norm_first": True,
    **{f"model.{name}": 0.0 for name in ("dropout", "attention_dropout", "dropout_input", "dropout_features")},
}


def write_corpus(folder, good, bad, splits=("train", "valid")):
    """``good`` recordings of a second, then ``bad`` ones that are not there, which are longest by the manifest."""
    for split in splits:
        for clip in range(good):
            write_wave(folder / f"{split}-{clip}.wav", tone(1.0, seed=clip))
        rows = [f"{split}-{clip}.wav\t{SECOND}" for clip in range(good)]
        rows += [f"missing-{clip}.wav\t{3 * SECOND}" for clip in range(bad)]
        (folder / f"{split}.tsv").write_text("\n".join([str(folder), *rows]) + "\n")
    return folder


def add_overflowing(corpus, name="loud.wav", split="train"):
    """A finite recording of floats so large that every model overflows."""
    import soundfile

    soundfile.write(str(corpus / name), 3e38 * np.sign(tone(1.0)), SECOND, subtype="FLOAT")
    with open(corpus / f"{split}.tsv", "a") as manifest:
        manifest.write(f"{name}\t{SECOND}\n")


def settings(corpus, folder, **more):
    fields = dict(
        task__max_skipped=0.9,
        dataset__batch_size=1,
        dataset__disable_validation=True,
        lr_scheduler__total_num_update=100,
    )
    return pretraining(corpus, folder, **{**fields, **more})


def test_an_epoch_may_begin_with_batches_of_which_nothing_is_usable(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", good=2, bad=2)  # the missing are longest, so first in the plan
    for updates in (5, 7):  # and again after a restart
        train(*RECIPE, settings(corpus, tmp_path, optimization__max_update=updates))
    assert last_checkpoint(tmp_path)["optimizer_history"][-1]["num_updates"] == 7


@pytest.mark.parametrize("bf16", [False, True])
def test_an_update_without_a_usable_recording_changes_neither_weights_nor_the_loss(bf16, tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", good=3, bad=1)
    changes = dict(optimization__max_update=8, optimizer__weight_decay=0.1, common__bf16=bf16)
    changes.update(checkpoint__save_interval_updates=1, checkpoint__keep_interval_updates=-1)
    changes.update(checkpoint__no_epoch_checkpoints=False)
    with caplog.at_level(logging.INFO):
        train(*RECIPE, settings(corpus, tmp_path, **changes))
    saved = {}
    for path in tmp_path.glob("checkpoint*.pt"):
        state = torch.load(path, weights_only=False)
        saved[state["optimizer_history"][-1]["num_updates"]] = state
    unchanged = []
    for update in range(2, 9):
        before, after = saved[update - 1], saved[update]
        if all(torch.equal(before["model"][name], weight) for name, weight in after["model"].items()):
            unchanged.append(update)
            moments = [state["last_optimizer_state"]["state"] for state in (before, after)]
            assert all(torch.equal(first["exp_avg"], moments[1][key]["exp_avg"]) for key, first in moments[0].items())
    assert len(unchanged) == 2  # an epoch has four updates
    assert sum("no utterance of its batches is usable" in message for message in caplog.messages) == 1
    lines = [json.loads(message) for message in caplog.messages if message.startswith('{"epoch"')]
    assert [line["num_updates"] for line in lines if line.get("loss") == "nan"] == [str(update) for update in unchanged]
    assert all(float(line["train_loss"]) > 0 for line in lines if "train_loss" in line)


def test_batches_without_a_usable_recording_count_nothing_in_two_processes(tmp_path):
    # Seven batches that two processes share out again in each of four epochs, as one update: three without a usable
    # recording and, to make them eight, one of nothing
    validation = {"dataset.disable_validation": False, "dataset.validate_interval": 1, "dataset.batch_size_valid": 1}
    common = {**ALONE_AS_TOGETHER, **validation, "optimization.max_update": 4}
    whole = write_corpus(tmp_path / "whole", good=4, bad=0)
    train(*RECIPE, settings(whole, tmp_path / "one", **{**common, "dataset.batch_size": 4}))
    spoilt = write_corpus(tmp_path / "spoilt", good=4, bad=3)
    train_pair(*RECIPE, settings(spoilt, tmp_path / "two", **{**common, "optimization.update_freq": [4]}))
    one, two = (last_checkpoint(tmp_path / name) for name in ("one", "two"))
    assert two["optimizer_history"][-1]["num_updates"] == 4
    assert_same_weights(two, one, atol=1e-5, rtol=1e-4)
    assert two["extra_state"]["val_loss"] == pytest.approx(one["extra_state"]["val_loss"], rel=1e-3)


def test_accumulated_batches_without_a_usable_recording_leave_the_update_exactly_as_without_them(tmp_path):
    # dropout, layerdrop and losses over a whole batch are on
    for name, bad in (("whole", 0), ("spoilt", 2)):
        corpus = write_corpus(tmp_path / name, good=1, bad=bad)
        train(*RECIPE, settings(corpus, tmp_path / name, optimization__max_update=6, optimization__update_freq=[3]))
    whole, spoilt = (last_checkpoint(tmp_path / name) for name in ("whole", "spoilt"))
    assert_same_weights(spoilt, whole, atol=0, rtol=0)


def test_fairseq_validate_passes_over_batches_of_which_nothing_is_usable(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", good=3, bad=1)
    train(*RECIPE, settings(corpus, tmp_path))
    options = (
        "--task wav2vec2_summarymixing --valid-subset valid --user-dir fairseq_summarymixing --max-tokens 48000 "
        "--batch-size 1 --required-batch-size-multiple 1 --cpu --criterion wav2vec --infonce"
    )
    validate = str(Path(sys.executable).parent / "fairseq-validate")
    command = [validate, str(corpus), "--path", str(tmp_path / "checkpoint_last.pt"), *options.split()]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert output.returncode == 0, output.stderr[-2000:]
    assert "| nsentences 3 |" in output.stdout, output.stdout[-2000:]


def test_a_recording_that_makes_gradients_nan_is_named_and_can_be_left_out_at_that_update(tmp_path, monkeypatch):
    monkeypatch.setattr(".".join(LOUDNESS[:2]), LOUDNESS[2])
    corpus = write_corpus(tmp_path / "corpus", good=9, bad=0)
    add_overflowing(corpus)
    folder, changes = tmp_path / "run", dict(dataset__batch_size=2, optimization__max_update=10)
    changes.update(checkpoint__save_interval_updates=1, checkpoint__no_epoch_checkpoints=True)
    messages = []
    for _ in range(2):  # a restart meets it again
        with pytest.raises(UserError) as error:
            train(*RECIPE, settings(corpus, folder, **changes))
        messages.append(str(error.value))
    assert len(set(messages)) == 1 and "\n" not in messages[0]
    line = (
        r"^loss or gradients of update (\d+) are not finite because of a batch that holds (.*): look for .*"
        r"task\.leave_out=FILE$"
    )
    found = re.search(line, messages[0])
    update, names = int(found[1]), found[2].split(", ")
    assert 1 < update <= 5 and "loud.wav" in names and len(names) == 2

    (tmp_path / "left-out.txt").write_text("loud.wav\n")
    changes.update(task__leave_out=str(tmp_path / "left-out.txt"))
    train(*RECIPE, settings(corpus, folder, **changes))
    train(*RECIPE, settings(corpus, tmp_path / "never stopped", **changes))
    resumed, expected = (last_checkpoint(path) for path in (folder, tmp_path / "never stopped"))
    assert_same_weights(resumed, expected, atol=0, rtol=0)


def test_the_batch_at_fault_is_named_by_every_process(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", good=7, bad=0)
    add_overflowing(corpus)
    changes = dict(optimization__update_freq=[2], optimization__max_update=4)
    statuses, outputs = fork_pair(*RECIPE, settings(corpus, tmp_path, **changes), [LOUDNESS])
    assert statuses == [1, 1]
    for output in outputs:
        last = output.rstrip().splitlines()[-1]
        assert re.search(r"UserError: loss or gradients of update [12] .* a batch that holds loud\.wav: look", last), (
            last
        )


def test_a_model_that_has_diverged_is_not_blamed_on_recordings(tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", good=4, bad=0)
    with pytest.raises(UserError, match="whatever the utterances: the model has diverged") as error:
        train(*RECIPE, settings(corpus, tmp_path, optimization__lr=[1e15], optimization__max_update=12))
    assert ".wav" not in str(error.value)
    assert any("health: the loss is " in message for message in caplog.messages)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"task\.leave_out: cannot read .*: No such file"),
        ("train-0.wav\nother/x.wav\n", r"names 1 path that no manifest in .* holds, the first is other/x\.wav"),
    ],
)
def test_a_list_of_recordings_to_leave_out_must_be_right(content, message, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", good=2, bad=0)
    if content:
        (tmp_path / "list.txt").write_text(content)
    with pytest.raises(UserError, match=message):
        train(*RECIPE, settings(corpus, tmp_path, task__leave_out=str(tmp_path / "list.txt")))


def test_what_is_left_out_is_not_counted_as_found_unusable(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", good=3, bad=2)
    (tmp_path / "list.txt").write_text("\ufeffmissing-0.wav\r\nmissing-1.wav\n\n")
    changes = dict(task__leave_out=str(tmp_path / "list.txt"), task__max_skipped=0.0, optimization__max_update=5)
    train(*RECIPE, settings(corpus, tmp_path, dataset__disable_validation=False, **changes))
    assert (tmp_path / "checkpoint_last.pt").exists()
