"""What becomes of a recipe's number that is negative, 0, NaN or far too large? Asked of every numeric field of our
model and tasks: it is refused by name in one line, or it is valid."""

import dataclasses
import math
from typing import Optional

import pytest

pytest.importorskip("fairseq")

import tiny
import torch
from omegaconf import OmegaConf, open_dict

from fairseq_summarymixing.models import wav2vec2_summarymixing as models
from fairseq_summarymixing.modules.choices import CHOICES
from fairseq_summarymixing.plugin import configuration
from fairseq_summarymixing.tasks import audio_finetuning_summarymixing, wav2vec2_summarymixing

CONFIGS = {
    ("pretraining", "model"): models.Wav2Vec2SummaryMixingConfig,
    ("pretraining", "task"): wav2vec2_summarymixing.Wav2Vec2SummaryMixingTaskConfig,
    ("finetuning", "task"): audio_finetuning_summarymixing.AudioFinetuningSummaryMixingConfig,
}
CASES = [
    (recipe, group, field.name, value)
    for (recipe, group), config in CONFIGS.items()
    for field in dataclasses.fields(config)
    if field.type in (int, float, Optional[int], Optional[float])
    for value in ((-1, 0, 10**30) if field.type in (int, Optional[int]) else (-1.0, 0.0, math.nan, math.inf, 1e30))
]
# What the checks of the tasks let pass, which means: no lower limit, no comparison, never a warning
VALID = {"min_sample_size": [0], "hours_per_update": [0.0, 1e30], "health_patience": [10**30], "max_skipped": [0.0]}
# Fields of stock's tasks, whose meaning is stock's: each value is another way to make batches, or none
STOCKS = {"num_batch_buckets", "subsample", "seed"}


@pytest.fixture(scope="module")
def composed():
    tinies = {"pretraining": tiny.TINY_PRETRAINING, "finetuning": tiny.TINY_FINETUNING}
    names = {"pretraining": "summarymixing_base_librispeech", "finetuning": "base_10h"}
    return {
        recipe: tiny.compose(recipe, names[recipe], {**settings, **tiny.paths("d", "s")})
        for recipe, settings in tinies.items()
    }


def that_reads(name):
    """The choices that read a field of the model, where the default ones do not."""
    default = models.Wav2Vec2SummaryMixingConfig()
    chosen = {}
    for choice, parts in CHOICES.items():
        readers = [value for value, part in parts.items() if name in part.fields]
        if readers and getattr(default, choice) not in readers:
            chosen[choice] = readers[0]
    return chosen


def check(cfg, recipe, group):
    """All that is checked before anything large is built; of a model also that it can be built."""
    with configuration.possible_run(cfg):
        pass
    if group == "model":
        with torch.device("meta"):
            models.Wav2Vec2SummaryMixingModel(cfg.model)
    elif recipe == "pretraining":
        wav2vec2_summarymixing.check_config(cfg.task)
    else:
        audio_finetuning_summarymixing.check_max_skipped(cfg.task)


@pytest.mark.parametrize("recipe, group, name, value", CASES)
def test_a_number_is_refused_by_name_or_valid(recipe, group, name, value, composed):
    cfg = OmegaConf.create(OmegaConf.to_container(composed[recipe]))
    chosen = that_reads(name) if group == "model" else {}
    if "frontend" in chosen:
        chosen["conv_feature_layers"] = models.Wav2Vec2SummaryMixingConfig().conv_feature_layers
    if "positions" in chosen:
        chosen.update(conv_pos=128, conv_pos_groups=16)
    with open_dict(cfg):
        for key, found in {**chosen, name: value}.items():
            OmegaConf.update(cfg, f"{group}.{key}", found, merge=False)
    try:
        check(cfg, recipe, group)
    except ValueError as error:
        assert name in str(error) and "\n" not in str(error), str(error)
    else:
        assert group == "model" or name in STOCKS or value in VALID[name]
