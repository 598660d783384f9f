"""Is a recipe that cannot train refused in one line, before anything is built?"""

import math

import pytest

pytest.importorskip("fairseq")

import torch
from omegaconf import OmegaConf, open_dict
from tiny import TINY_FINETUNING, TINY_PRETRAINING, compose, paths

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin import configuration, machine, ranges


@pytest.fixture(scope="module")
def composed():
    """A pre-training's and a fine-tuning's configuration."""
    return {
        "pretraining": compose(
            "pretraining", "summarymixing_base_librispeech", {**TINY_PRETRAINING, **paths("d", "s")}
        ),
        "finetuning": compose("finetuning", "base_10h", {**TINY_FINETUNING, **paths("d", "s")}),
    }


def check(cfg, **changes):
    cfg = OmegaConf.create(OmegaConf.to_container(cfg))
    with open_dict(cfg):
        for name, value in changes.items():
            OmegaConf.update(cfg, name.replace("__", "."), value, merge=False)
    with configuration.possible_run(cfg):
        pass


def test_recipes_are_possible(composed):
    for cfg in composed.values():
        check(cfg)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(optimization__update_freq=[0]), "optimization.update_freq must be at least 1; got 0"),
        (dict(optimization__update_freq=[]), "optimization.update_freq must hold a number for each epoch"),
        (dict(optimization__clip_norm=-1.0), "optimization.clip_norm must be at least 0; got -1.0"),
        (dict(optimization__lr=[0.1, math.nan]), "optimization.lr must be at least 0 and finite; got nan"),
        (dict(optimization__max_update=-1), "optimization.max_update must be at least 0; got -1"),
        (dict(optimization__max_update=0, lr_scheduler__total_num_update=0), "learning rates of polynomial_decay are"),
        (dict(optimization__max_update=0), "nothing would end this run: set optimization.max_update or"),
        (dict(dataset__max_tokens=0), "dataset.max_tokens must be at least 1; got 0"),
        (dict(dataset__max_tokens=-1), "dataset.max_tokens must be at least 1; got -1"),
        (dict(dataset__max_tokens=None), "no batch size is given: set dataset.max_tokens"),
        (dict(dataset__num_workers=-1), "dataset.num_workers must be at least 0; got -1"),
        (dict(dataset__num_workers=10**9), "dataset.num_workers must lie between 0 and 1024; got 1000000000"),
        (dict(model__encoder_layers=10**6), "model.encoder_layers must lie between 1 and 1000; got 1000000"),
        (dict(common__log_interval=0), "common.log_interval must be at least 1; got 0"),
        (dict(common__seed=-3), "common.seed must lie between 0 and 4294967295; got -3"),
        (dict(checkpoint__save_interval=0), "checkpoint.save_interval must be at least 1; got 0"),
        (dict(checkpoint__keep_interval_updates=-2), "checkpoint.keep_interval_updates must be at least -1; got -2"),
        (dict(optimizer__weight_decay=-0.1), "optimizer.weight_decay must be at least 0; got -0.1"),
        (dict(lr_scheduler__warmup_updates=-1), "lr_scheduler.warmup_updates must be at least 0; got -1"),
    ],
    ids=str,
)
def test_numbers_out_of_range(change, message, composed):
    with pytest.raises(UserError, match=message):
        check(composed["pretraining"], **change)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            dict(lr_scheduler__phase_ratio=[0.5, 0.5, 0.5]),
            "phase_ratio must be three shares that sum to 1; got ",
        ),
        (dict(lr_scheduler__phase_ratio=[0.5, -0.5, 1]), "lr_scheduler.phase_ratio must lie between 0 and 1; got -0.5"),
        (dict(optimization__max_update=0), "learning rates of tri_stage are laid out over it"),
        (dict(lr_scheduler__max_update=-1), "lr_scheduler.max_update must be at least 0; got -1"),
        (dict(lr_scheduler__max_update=0), "lr_scheduler.max_update must be at least 1, over which"),
    ],
    ids=str,
)
def test_numbers_of_fine_tuning_out_of_range(change, message, composed):
    with pytest.raises(UserError, match=message):
        check(composed["finetuning"], **change)


OF_NEWER_FAIRSEQ = {"model.layer_decay"}  # not in 0.12.2


def test_every_number_with_a_range_is_a_field_of_fairseqs(composed):
    names = {name for names in ranges.RANGES.values() for name in names.split()}
    found = {name for name in names if any(OmegaConf.select(cfg, name.split(".")[0]) for cfg in composed.values())}
    assert found == names
    for name in names:
        group, field = name.split(".")
        assert any(field in cfg[group] for cfg in composed.values()) or name in OF_NEWER_FAIRSEQ, name


@pytest.mark.parametrize("name, reason", [("nosuch/log", ": No such file or directory"), ("", " is a folder")])
def test_a_log_file_that_cannot_be_written(name, reason, composed, tmp_path):
    with pytest.raises(UserError, match=f"common.log_file={tmp_path}.*{reason}"):
        check(composed["pretraining"], common__log_file=str(tmp_path / name))
    check(composed["pretraining"], common__log_file=str(tmp_path / "log"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_fp16_without_a_gpu(composed):
    for more in ({}, {"common__cpu": False}):
        with pytest.raises(UserError, match="common.fp16=true needs a GPU, and torch finds no GPU here: .* set "):
            check(composed["pretraining"], common__fp16=True, **more)


def test_shared_memory_that_full_batches_may_not_fit_in_is_named(composed, monkeypatch, caplog):
    monkeypatch.setattr(machine, "_free", lambda folder: 64 * 2**20)  # as docker gives it
    check(composed["pretraining"], dataset__num_workers=6, dataset__max_tokens=1_000_000)
    assert "/dev/shm has 67 MB free, and full batches on their way may take 88 MB" in caplog.text
    caplog.clear()
    check(composed["pretraining"], dataset__num_workers=0, dataset__max_tokens=100_000_000)
    check(composed["pretraining"], dataset__num_workers=6, dataset__max_tokens=100_000)
    assert not caplog.text
