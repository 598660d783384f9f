"""Name the versions of what computed a result."""

from __future__ import annotations

import platform

import torch

from .. import __version__


def versions() -> dict[str, str]:
    """Return the versions of this package, fairseq, torch and Python by their names."""
    import fairseq

    return {
        "fairseq_summarymixing": __version__,
        "fairseq": fairseq.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
