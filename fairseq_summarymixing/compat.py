"""Work-arounds for versions of torch and torchaudio, each with what, why, and until which version; quiet tools."""

import contextlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

import torch


def avoid_wrong_gelu_gradients() -> None:
    """On the CPU, torch 2.0's GELU reads uninitialised memory in backward where the incoming gradient is
    transposed, as it is behind wav2vec 2.0's front end, stock or ours. oneDNN is at fault; 2.1 mended it."""
    if torch.__version__.startswith("2.0."):
        torch.backends.mkldnn.set_flags(False)


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
    """For tools that read checkpoints, not for training. Every fairseq so far gives the root logger handlers
    and a level when it is imported (DEBUG, in ``wav2vec2_classification``), and then other packages' messages
    appear; fairseq-fixed 0.12.3.1 prints the model while it builds a fine-tuned one; torch >= 2.0 warns of
    fairseq's weight_norm."""
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
