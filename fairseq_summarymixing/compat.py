"""Work-arounds for versions of fairseq and torch: each says what, why, and until which version."""

import contextlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

import torch


def prepare_fairseq() -> None:
    """Everything that stock fairseq needs in this process. Called when the plugin is imported."""
    register_safe_classes()
    avoid_wrong_gelu_gradients()
    keep_everything_while_looking_for_nan()


def register_safe_classes() -> None:
    """fairseq 0.12.2 and fairseq-fixed 0.12.3.1 call torch.load without ``weights_only``, which is true by
    default from torch 2.6 on and refuses fine-tuned checkpoints, since they hold a Dictionary."""
    from .checkpoints.state import safe_classes

    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals(list(safe_classes()))


def avoid_wrong_gelu_gradients() -> None:
    """On the CPU, torch 2.0's GELU reads uninitialised memory in backward where the incoming gradient is
    transposed, as it is behind wav2vec 2.0's front end, stock or ours. oneDNN is at fault; 2.1 mended it."""
    if torch.__version__.startswith("2.0."):
        torch.backends.mkldnn.set_flags(False)


def keep_everything_while_looking_for_nan() -> None:
    """When gradients are not finite, fairseq's trainer repeats the step inside a NanDetector, whose hooks keep
    tensors the first time that they print and not the second, which torch's checkpointing refuses."""
    from fairseq.nan_detector import NanDetector

    from .modules.recompute import keep_everything

    if hasattr(NanDetector, "keeping"):
        return
    enter, leave = NanDetector.__enter__, NanDetector.__exit__

    def __enter__(self):
        self.keeping = keep_everything()
        self.keeping.__enter__()
        return enter(self)

    def __exit__(self, kind, error, trace):
        self.keeping.__exit__(None, None, None)
        return leave(self, kind, error, trace)

    NanDetector.keeping, NanDetector.__enter__, NanDetector.__exit__ = None, __enter__, __exit__


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
