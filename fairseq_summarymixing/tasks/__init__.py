"""fairseq tasks. Importing the package registers them, also where fairseq skips a user directory that
was imported before."""

from ..compat import prepare_fairseq
from ..plugin import install

prepare_fairseq()
install()

from . import wav2vec2_summarymixing  # noqa: E402, F401
