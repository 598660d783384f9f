"""Is every field of the task's configuration read, or refused by name unless it is the default?"""

import dataclasses
import inspect
import math

import pytest

fairseq = pytest.importorskip("fairseq", reason="tests the fairseq task")

import checkpoint_files
import torch
from fairseq import checkpoint_utils
from fairseq.tasks import audio_pretraining, fairseq_task
from omegaconf import OmegaConf

from fairseq_summarymixing.models import wav2vec2_summarymixing as models
from fairseq_summarymixing.tasks import wav2vec2_summarymixing as module
from fairseq_summarymixing.tasks._skipping import SkippingTask
from fairseq_summarymixing.tasks.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingTask,
    Wav2Vec2SummaryMixingTaskConfig,
)

FIELDS = {field.name: field for field in dataclasses.fields(Wav2Vec2SummaryMixingTaskConfig) if field.name != "_name"}
GIVEN = {"update_freq": [1], "seed": 1, "tpu": False}  # what other groups of a recipe fill in
LATER = {"persistent_workers", "rebuild_batches"} if fairseq.__version__ == "0.12.2" else set()


def build(folder, **fields):
    cfg = Wav2Vec2SummaryMixingTaskConfig(**{**GIVEN, "data": str(folder), **fields})
    model = models.Wav2Vec2SummaryMixingConfig(_name="wav2vec2_summarymixing", encoder_layers=1)
    with torch.device("meta"):
        return Wav2Vec2SummaryMixingTask.setup_task(cfg).build_model(OmegaConf.structured(model))


def other_value(name):
    value = GIVEN.get(name, FIELDS[name].default)
    if isinstance(value, bool):
        return not value
    return "low" if name == "text_compression_level" else 3 if isinstance(value, (int, float)) else "other"


def is_read(name):
    """Whether our task or fairseq's reads ``cfg.name``, or asks a configuration for it."""
    sources = [
        inspect.getsource(owner)
        for owner in (module, SkippingTask, fairseq_task, audio_pretraining.AudioPretrainingTask)
    ]
    return any(f"cfg.{name}" in source or f'cfg, "{name}"' in source for source in sources)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_read_or_refused_by_name(name, tmp_path):
    if name in module.READ:
        assert is_read(name) or name in LATER
    else:
        with pytest.raises(ValueError, match=f"task.{name}={other_value(name)} is not supported by the task"):
            build(tmp_path, **{name: other_value(name)})


def test_defaults_are_accepted(tmp_path):
    build(tmp_path)
    build(tmp_path, max_sample_size=4000, hours_per_update=1.6)
    if "subsample" in FIELDS:  # not in fairseq 0.12.2
        build(tmp_path, subsample=1.0)


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(max_skipped=math.nan), "task.max_skipped must lie between 0 and 1 and finite; got nan"),
        (dict(max_skipped=-0.1), "task.max_skipped must lie between 0 and 1; got -0.1"),
        (dict(max_skipped=1.5), "task.max_skipped must lie between 0 and 1; got 1.5"),
        (dict(health_patience=0), "task.health_patience must be at least 1; got 0"),
        (dict(hours_per_update=-1.0), "task.hours_per_update must lie between 0 and 1000000; got -1.0"),
        (dict(hours_per_update=math.inf), "task.hours_per_update must lie between 0 and 1000000 and finite; got inf"),
        (dict(sample_rate=0), "task.sample_rate must lie between 1000 and 768000; got 0"),
        (dict(min_sample_size=-1), "task.min_sample_size must be at least 0; got -1"),
        (dict(max_sample_size=0), "task.max_sample_size must be at least 1; got 0"),
        (dict(min_sample_size=9, max_sample_size=8), "task.min_sample_size=9 is above task.max_sample_size=8"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused_by_name(fields, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, **fields)


def test_the_task_inside_a_fine_tuned_checkpoint_may_be_overridden_by_name(checkpoint, tmp_path):
    path = checkpoint_files.ctc(tmp_path / "ctc.pt", checkpoint("lite"))
    (tmp_path / "dict.ltr.txt").write_text("".join(f"{letter} 1\n" for letter in checkpoint_files.LETTERS))
    overrides = {"data": str(tmp_path), "labels": "ltr"}
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)], arg_overrides=overrides)
    assert model.w2v_encoder.w2v_model.cfg.mixer == "summary_mixing_lite"
