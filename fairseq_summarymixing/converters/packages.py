"""Packages that only some conversions need."""

import importlib

from ..compat import mend_torchaudio
from ..errors import UserError


def require(extra: str, *packages: str) -> None:
    """Raises UserError that says how to install what cannot be imported."""
    mend_torchaudio()  # transformers imports it
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(
                f"this needs {package}, which cannot be imported ({error}): "
                f"pip install 'fairseq-summarymixing[{extra}]'"
            ) from error
