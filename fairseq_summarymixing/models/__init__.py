"""fairseq models. Importing the package registers them, also where fairseq skips a user directory that
was imported before."""

from . import wav2vec2_summarymixing  # noqa: F401
