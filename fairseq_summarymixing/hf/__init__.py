"""Hugging Face classes. Importing this registers them: directories of ``export hf`` then load without a trust flag."""

from ..compat import mend_torchaudio

mend_torchaudio()

from transformers import (  # noqa: E402
    AutoConfig,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoModelForPreTraining,
)

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

AutoConfig.register(SummaryMixingConfig.model_type, SummaryMixingConfig, exist_ok=True)
for auto, model in AUTO_CLASSES.values():
    auto.register(SummaryMixingConfig, model, exist_ok=True)

__all__ = ["AUTO_CLASSES", "SummaryMixingConfig", *(model.__name__ for _, model in AUTO_CLASSES.values())]
