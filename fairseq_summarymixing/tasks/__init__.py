"""fairseq tasks. Importing the package registers them, also where fairseq skips a user directory that
was imported before. ``unpack`` is for loops of a user's own over the batches that ``wav2vec2_summarymixing`` loads."""

from .. import plugin

plugin.prepare()

from . import audio_finetuning_summarymixing, wav2vec2_summarymixing  # noqa: E402, F401
from ._waveforms import unpack  # noqa: E402

__all__ = ["unpack"]
