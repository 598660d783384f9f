"""The configuration of wav2vec 2.0 with SummaryMixing, in Hugging Face's terms."""

import math
from dataclasses import fields
from typing import Any, Dict

from transformers import Wav2Vec2Config

from ..checkpoints.field_names import NORMS, SHARED_FIELDS, TRANSLATED_FIELDS, hf_field_names
from ..checkpoints.names import HF_OUR_MODEL
from ..modules.config import EncoderConfig, FrontendConfig
from ..modules.log_mel import HOP


def own_defaults() -> Dict[str, Any]:
    """Return the attributes of front end and encoder that ``Wav2Vec2Config`` lacks, with their defaults."""
    own = [each for config in (FrontendConfig, EncoderConfig) for each in fields(config)]
    names = hf_field_names(each.name for each in own if each.name not in SHARED_FIELDS)
    return {names[each.name]: each.default for each in own if each.name in names}


class SummaryMixingConfig(Wav2Vec2Config):
    """A configuration for 16 kHz waveforms: the fields of ``Wav2Vec2Config``, which keep their meaning, and those of
    ``FrontendConfig`` and ``EncoderConfig`` that it lacks: ``mixer``, ``encoder_layer``, ``frontend``, ``positions``
    and their options.

    ``conv_dim``, ``conv_kernel`` and ``conv_stride`` are of the convolutions of whichever front end;
    ``depthwise_conv_kernel_size`` is called ``conv_depthwise_kernel_size``.
    """

    model_type = HF_OUR_MODEL

    def __init__(self, **kwargs):
        own = {name: kwargs.pop(name, default) for name, default in own_defaults().items()}
        super().__init__(**kwargs)
        for name, value in own.items():
            setattr(self, name, value)

    @property
    def inputs_to_logits_ratio(self):
        """The number of samples from one frame to the next."""
        return math.prod(self.conv_stride) * (HOP if self.frontend == "log_mel" else 1)


def module_config(config: SummaryMixingConfig, kind: type) -> Any:
    """The :class:`FrontendConfig` or :class:`EncoderConfig`, whichever ``kind`` is, of a configuration."""
    layers = tuple(zip(config.conv_dim, config.conv_kernel, config.conv_stride))
    translated = (layers, layers, NORMS[config.feat_extract_norm])
    names = [each.name for each in fields(kind)]
    found = {name: getattr(config, theirs) for name, theirs in hf_field_names(names).items()}
    found.update((name, value) for name, value in zip(TRANSLATED_FIELDS, translated) if name in names)
    return kind(**found)
