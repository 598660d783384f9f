"""Work around packages that are missing or do not work; each work-around names the problem, its reason and the versions
that need it."""

import contextlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from .errors import UserError


def avoid_wrong_gelu_gradients() -> None:
    """Keep torch 2.0's GELU on the CPU from reading uninitialised memory in the backward pass where the incoming
    gradient is transposed, as it is after wav2vec 2.0's front end, stock or ours. oneDNN is at fault; 2.1 mended it."""
    import torch

    if torch.__version__.startswith("2.0."):
        torch.backends.mkldnn.set_flags(False)


def require(extra: str, *packages: str, purpose: str = "this") -> None:
    """Import packages that only a part of this one needs.

    Args:
        extra: of setup.py, which brings them along.
        purpose: what needs them, for the message.

    Raises:
        UserError: a package cannot be imported; the message names the reason, and how to install it.
    """
    if "transformers" in packages:  # which imports torchaudio
        mend_torchaudio()
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(
                f"{purpose} needs {package}, which cannot be imported ({error}): "
                f"pip install 'fairseq-summarymixing[{extra}]'"
            ) from error


def mend_torchaudio() -> None:
    """Let ``import torchaudio`` work where it is installed. Its wheels on PyPI are built for CUDA and raise OSError
    beside a CPU's torch (2.11 and 2.13 here), while a torchaudio that has no library files works, but for a few
    functions (RNN-T loss, alignment). fairseq-fixed asks for one, and transformers 5 imports it without need."""
    try:
        importlib.import_module("torchaudio")
    except ImportError:
        return
    except OSError:
        # a module that was imported stays when its package fails, and is the one that the package finds next time
        sys.modules["torchaudio._extension.utils"]._load_lib = lambda lib: False  # as where there is no file
        importlib.import_module("torchaudio")


@contextlib.contextmanager
def quiet_fairseq() -> Iterator[None]:
    """Silence what fairseq prints and logs while tools read checkpoints; not for training. Every fairseq so far gives
    the root logger handlers and a level when it is imported (DEBUG, in ``wav2vec2_classification``), and then other
    packages' messages appear; fairseq-fixed 0.12.3.1 prints the model while it builds a fine-tuned model; torch >= 2.0
    warns of fairseq's weight_norm."""
    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), root.manager.disable
    logging.disable(logging.INFO)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
