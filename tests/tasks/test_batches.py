"""Which utterances share a batch: is little wasted, is it redrawn each epoch, and can it be repeated?"""

import logging
import re

import numpy as np
import pytest
import torch

pytest.importorskip("fairseq", reason="tests the fairseq task")

from fairseq import tasks
from tiny import TINY_PRETRAINING, compose, dotted, pretraining, write_corpus

from fairseq_summarymixing.modules.build import MIXERS
from fairseq_summarymixing.tasks._batches import report_batches, shuffled_by_length

RECIPE = ("pretraining", "summarymixing_base_librispeech")
RATE = 16000
MAX_TOKENS = 360 * RATE


def libri_light_like(count):
    """(count,) lengths of 10 to 30 s in samples: mean 22 s, three in ten just below 30 s."""
    random = np.random.default_rng(0)
    cut = 30 - np.minimum(random.exponential(0.7, count), 20)
    others = 10 + 20 * random.beta(1.2, 1.5, count)
    return (np.where(random.random(count) < 0.3, cut, others) * RATE).astype(np.int64)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=24)


def make_task(corpus, lengths=None, **more):
    """A task whose train.tsv names utterances of ``lengths``, which can be batched but not loaded."""
    changes = {"task.enable_padding": True, **dotted(more)}
    task = tasks.setup_task(compose(*RECIPE, {**TINY_PRETRAINING, "task.data": str(corpus), **changes}).task)
    for split in ("train", "valid"):
        task.load_dataset(split)
    if lengths is not None:
        task.datasets["train"].sizes = lengths
    return task


def iterate(task, split="train", **limits):
    return task.get_batch_iterator(task.datasets[split], **{"max_tokens": MAX_TOKENS, **limits})


def batches_of(task, epoch, **limits):
    return iterate(task, epoch=epoch, **limits).frozen_batches


def pairs(batches, count):
    """(count, count), True = in one batch."""
    batch_of = np.empty(count, dtype=int)
    for number, batch in enumerate(batches):
        batch_of[batch] = number
    return batch_of[:, None] == batch_of[None, :]


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("count", [800, 20000])
def test_little_is_wasted_on_a_corpus_like_libri_light(count, pad, corpus):
    lengths = libri_light_like(count)
    task = make_task(corpus, lengths, task__max_sample_size=None)
    report = report_batches(batches_of(task, 1), lengths, pad, 30 * RATE, MAX_TOKENS)
    # 200,000 utterances: 0.5 % padding, batches 97.6 % full; fully sorted, 0.0 % and 97.5 %
    assert report.fill > (0.96 if count == 20000 else 0.92)
    assert (report.padding if pad else report.cropped) < 0.02
    assert (report.cropped if pad else report.padding) == 0


def test_the_report_counts_padding_and_cropping_by_hand():
    batches, sizes = [np.array([0, 1]), np.array([2])], np.array([10, 6, 20])
    padded = report_batches(batches, sizes, pad=True, max_sample_size=16, max_tokens=20)
    assert padded == (16.0, pytest.approx(36 / 40), pytest.approx(4 / 36), pytest.approx(4 / 36))
    cropped = report_batches(batches, sizes, pad=False, max_sample_size=16, max_tokens=None)
    assert cropped == (14.0, None, 0.0, pytest.approx(8 / 36))


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("pad", [True, False])
def test_every_batch_is_within_max_tokens_and_every_utterance_in_one_batch(pad, multiple, corpus):
    lengths = libri_light_like(2003)
    task = make_task(corpus, lengths, task__enable_padding=pad, task__max_sample_size=20 * RATE)
    batches = batches_of(task, 3, required_batch_size_multiple=multiple)
    taken = [len(batch) * min(lengths[batch].max(), 20 * RATE) for batch in batches]
    assert max(taken) <= MAX_TOKENS
    indices = np.concatenate(batches)
    assert len(np.unique(indices)) == len(indices)
    # fairseq-fixed leaves out a last batch that is no multiple
    assert len(indices) == 2003 if multiple == 1 else len(indices) > 2003 - multiple


def test_an_utterance_above_max_sample_size_counts_as_long_as_its_crop(corpus):
    task = make_task(corpus, np.full(40, 1000 * RATE), task__max_sample_size=20 * RATE)
    assert [len(batch) for batch in batches_of(task, 1)] == [18, 18, 4]


def test_each_epoch_brings_others_together(corpus):
    count = 5000
    task = make_task(corpus, libri_light_like(count), task__max_sample_size=None)
    first, second = (pairs(batches_of(task, epoch), count) for epoch in (1, 2))
    again = ((first & second).sum() - count) / (first.sum() - count)
    assert again < 0.25  # 0.6 % with 200,000 utterances; 94 % where sorting alone decides
    assert np.array_equal(pairs(batches_of(task, 1), count), first)


def test_the_order_hangs_on_lengths_seed_and_epoch_alone():
    lengths = libri_light_like(500)
    order = shuffled_by_length(lengths, 4000, seed=1, epoch=2)
    np.random.seed(99)
    assert np.array_equal(shuffled_by_length(lengths, 4000, seed=1, epoch=2), order)
    assert not np.array_equal(shuffled_by_length(lengths, 4000, seed=2, epoch=2), order)
    assert (np.diff(lengths[order]) < 4000).all()
    assert np.array_equal(lengths[shuffled_by_length(lengths, 0, 1, 2)], np.sort(lengths)[::-1])


def test_two_processes_share_the_batches_of_one(corpus):
    lengths = libri_light_like(1000)
    parts = []
    for shard in (0, 1):
        np.random.seed(shard)  # each process has randomness of its own
        iterator = iterate(make_task(corpus, lengths), epoch=3, num_shards=2, shard_id=shard)
        parts.append([tuple(batch) for batch in iterator.ordered_batches(3, False, True) if len(batch)])
    whole = {tuple(batch) for batch in batches_of(make_task(corpus, lengths), 3)}
    assert not set(parts[0]) & set(parts[1])
    assert set(parts[0]) | set(parts[1]) == whole
    assert abs(len(parts[0]) - len(parts[1])) <= 1


def test_a_resume_in_the_middle_of_an_epoch_takes_what_was_left(corpus):
    # the second epoch of a run that was never stopped; then stopped after 3 batches
    task = make_task(corpus)
    for epoch in (1, 2):
        iterator = iterate(task, epoch=epoch, max_tokens=4 * RATE)
        epoch_iterator = iterator.next_epoch_itr()
        batches = [next(epoch_iterator) for _ in range(3)]
    state = iterator.state_dict()
    left = list(epoch_iterator)
    assert state["epoch"] == 2 and len(left) > 3
    resumed = iterate(make_task(corpus), epoch=state["epoch"], max_tokens=4 * RATE)
    resumed.load_state_dict(state)
    again = list(resumed.next_epoch_itr())
    assert len(again) == len(left)
    for found, expected in zip(again, left):
        assert torch.equal(found["id"], expected["id"])
        assert torch.equal(found["net_input"]["source"], expected["net_input"]["source"])
    ids = torch.cat([batch["id"] for batch in batches + again])
    assert sorted(ids.tolist()) == list(range(24))


def test_each_validation_takes_the_same_batches(corpus):
    task = make_task(corpus)

    def validate():
        # as fairseq's trainer does
        batches = iterate(task, "valid", max_tokens=4 * RATE, epoch=1).next_epoch_itr(False, set_dataset_epoch=False)
        return [batch["id"].tolist() for batch in batches]

    first = validate()
    for epoch in (1, 2):
        list(iterate(task, epoch=epoch, max_tokens=4 * RATE).next_epoch_itr())
    np.random.seed(5)
    assert validate() == first


def test_the_start_of_a_run_logs_what_its_batches_waste(corpus, caplog):
    lengths = libri_light_like(3000)
    settings = dict(task__max_sample_size=480000, task__hours_per_update=None)
    with caplog.at_level(logging.INFO):
        for multiple in (1, 8):
            for pad in (True, False):
                task = make_task(corpus, lengths, task__enable_padding=pad, **settings)
                iterate(task, required_batch_size_multiple=multiple)
    logged = [line for line in caplog.messages if "one update takes about" in line]
    assert "takes about 0.09" in logged[0]  # 360 s are 0.1 h
    batches = r"; batches take 9\d\.\d % of dataset\.max_tokens, "
    assert re.search(batches + r"hold 0\.[4-9] % padding and crop 0\.0 % of the audio$", logged[0])
    assert re.search(batches + r"hold 0\.0 % padding and crop 0\.[4-9] % of the audio$", logged[1])
    wasteful = [line for line in caplog.messages if "required_batch_size_multiple" in line]
    assert len(wasteful) == 2 and wasteful[0].startswith("dataset.required_batch_size_multiple=8 makes ")


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_padded_batch_trains_as_its_utterances_would_alone(mixer, corpus):
    # What is drawn or averaged over a whole batch is off: dropout, and the losses beside the contrastive loss
    off = ["dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop"]
    off += ["dropout_input", "dropout_features"]
    changes = {f"model__{name}": 0.0 for name in off}
    changes.update(model__mixer=mixer, model__extractor_mode="layer_norm", model__layer_norm_first=True)
    changes.update(model__require_same_masks=False, criterion__loss_weights=[0, 0])
    changes.update(task__enable_padding=True, task__max_sample_size=20000)
    cfg = compose(*RECIPE, pretraining(corpus, "unused", **changes))
    torch.manual_seed(0)
    task = tasks.setup_task(cfg.task)
    task.load_dataset("train")
    model, criterion, data = task.build_model(cfg.model), task.build_criterion(cfg.criterion), task.datasets["train"]

    class Optimizer:
        @staticmethod
        def backward(loss):
            loss.backward()

    def step(indices):
        sample = data.collater([data[index] for index in indices])
        loss, frames, _ = task.train_step(sample, model, criterion, Optimizer, update_num=7)
        return loss.item(), frames

    indices = [5, 0, 9, 3, 14]
    assert sum(data.sizes[indices] > 20000) in (1, 2) and len(set(data.sizes[indices])) == 5
    loss, frames = step(indices)
    together = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    alone = [step([index]) for index in indices]
    assert len({count for _, count in alone}) > 1
    assert frames == sum(count for _, count in alone)
    assert loss == pytest.approx(sum(part for part, _ in alone), rel=1e-4)
    for name, weight in model.named_parameters():
        if name in together:
            scale = together[name].abs().max().item()
            torch.testing.assert_close(weight.grad, together[name], rtol=1e-4, atol=1e-4 * scale + 1e-7, msg=name)
