"""Hugging Face classes; importing them registers them, so that directories of ``export hf`` load without a trust
flag."""

import functools
from pathlib import Path

from .. import __version__
from ..compat import mend_torchaudio

mend_torchaudio()

from transformers import (  # noqa: E402
    AutoConfig,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoModelForPreTraining,
)

from .code import AUTO_MAP, write_code  # noqa: E402
from .configuration_summarymixing import SummaryMixingConfig  # noqa: E402
from .modeling_summarymixing import (  # noqa: E402
    SummaryMixingForCTC,
    SummaryMixingForPreTraining,
    SummaryMixingForSequenceClassification,
    SummaryMixingModel,
)

AUTO_CLASSES = {
    "AutoModel": (AutoModel, SummaryMixingModel),
    "AutoModelForPreTraining": (AutoModelForPreTraining, SummaryMixingForPreTraining),
    "AutoModelForCTC": (AutoModelForCTC, SummaryMixingForCTC),
    "AutoModelForAudioClassification": (AutoModelForAudioClassification, SummaryMixingForSequenceClassification),
}


def _with_code(save):
    """Return a ``save_pretrained`` whose directory also loads where this package is not installed."""

    @functools.wraps(save)
    def save_pretrained(self, save_directory, *arguments, **options):
        self.config.auto_map = dict(AUTO_MAP)
        save(self, save_directory, *arguments, **options)
        write_code(Path(save_directory), __version__, self.config.to_dict())

    return save_pretrained


AutoConfig.register(SummaryMixingConfig.model_type, SummaryMixingConfig, exist_ok=True)
for auto, model in AUTO_CLASSES.values():
    auto.register(SummaryMixingConfig, model, exist_ok=True)
    model.save_pretrained = _with_code(model.save_pretrained)

__all__ = ["AUTO_CLASSES", "SummaryMixingConfig", *(model.__name__ for _, model in AUTO_CLASSES.values())]
