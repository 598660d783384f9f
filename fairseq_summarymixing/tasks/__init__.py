"""fairseq tasks. Importing the package registers them, also where fairseq skips a user directory that
was imported before."""

from .. import plugin

plugin.prepare()

from . import audio_finetuning_summarymixing, wav2vec2_summarymixing  # noqa: E402, F401
