"""Recognise errors of fairseq and torch by the words in their messages: one table, for every version."""

import re
from typing import Dict, Tuple, Type, Union

Errors = Union[Type[BaseException], Tuple[Type[BaseException], ...]]

WORDS: Dict[str, Tuple[Errors, str]] = {
    # fairseq, while it fine-tunes
    "another normalisation": (Exception, "normalize"),
    "parameters that do not fit": (Exception, "loading state_dict"),
    # ... while it fills batches
    "a clip longer than a batch": (AssertionError, "max_tokens"),
    # ... while it restores a checkpoint
    "another model's checkpoint": (Exception, "^Cannot load model parameters"),
    "other batches": (Exception, "dataloader mismatch"),
    "no model to fine-tune": (Exception, "^--finetune-from-model"),
    "no model to load": (OSError, "^Model file not found"),
    # torch, of a process that loads data and was killed; not of a process that raised an error
    "a killed worker": (RuntimeError, "DataLoader worker(?!.*Original Traceback)"),
    # gloo and NCCL, where another process of the run is gone
    "a lost process": (RuntimeError, "gloo/transport|by peer|[Bb]roken pipe|ncclRemoteError|remote process exited"),
}


def is_about(error: BaseException, what: str) -> bool:
    """Return whether this is the error called so in :data:`WORDS`."""
    kinds, words = WORDS[what]
    return isinstance(error, kinds) and re.search(words, str(error).strip(), re.DOTALL) is not None


def first_line(error: BaseException) -> str:
    """Return the first line of the error's message; without a message, the error's kind."""
    return _lines(error)[0]


def last_line(error: BaseException) -> str:
    """Return the last line of the error's message; without a message, the error's kind."""
    return _lines(error)[-1]


def _lines(error: BaseException) -> list:
    return str(error).strip().splitlines() or [type(error).__name__]
