"""fairseq models. Importing the package registers them, also where fairseq skips a user directory that
was imported before. A model of another objective is made of what stands in ``__all__``."""

from .. import plugin

plugin.prepare()

from . import wav2vec2_summarymixing  # noqa: E402, F401
from ._fields import ENCODER_CONFIGS, recipe_fields  # noqa: E402
from ._speech_encoder import FairseqSpeechEncoder  # noqa: E402

__all__ = ["ENCODER_CONFIGS", "FairseqSpeechEncoder", "recipe_fields"]
