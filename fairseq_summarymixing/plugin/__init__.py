"""Change fairseq's functions when its commands load this package: one-line errors, and several processes that work."""

import functools
import importlib
import os
from pathlib import Path

from ..compat import avoid_wrong_gelu_gradients
from ..errors import UserError
from .exits import exits_in_one_line

SWITCH = "FAIRSEQ_SUMMARYMIXING_PLUGIN"
"""Environment variable: ``off`` leaves fairseq's commands as they are but for reading checkpoints; default ``on``."""

INSTALL_ORDER = (
    "reading",
    "processes",
    "resuming",
    "loading",
    "configuration",
    "fine_tuning",
    "unused",
    "corpora",
    "not_finite",
    "memory",
    "saving",
    "unwritten_log",
    "same_run",
    "interrupts",
    "working_folder",
    "failures",
)
"""Files whose ``install`` changes fairseq. The checks of a later file run outside those of an earlier file."""


@functools.lru_cache(maxsize=None)
def install() -> None:
    """Put all checks and work-arounds into fairseq's functions, once per process.

    It is called when a command of fairseq imports this package as its user directory. A script that trains in Python
    may call it.
    """
    for part in INSTALL_ORDER:
        importlib.import_module(f".{part}", __name__).install()


@exits_in_one_line(UserError)
def prepare() -> None:
    """Install what reading checkpoints needs, and, if a command of fairseq imports this package, all checks and
    work-arounds; called when models or tasks are imported.

    Raises:
        UserError: the variable :data:`SWITCH` is neither ``on`` nor ``off``.
    """
    from . import reading

    avoid_wrong_gelu_gradients()
    reading.install()
    if is_wanted() and is_user_dir():
        install()


def is_wanted() -> bool:
    """Return whether the variable :data:`SWITCH` is on."""
    value = os.environ.get(SWITCH, "on")
    if value not in ("on", "off"):
        raise UserError(f"the environment variable {SWITCH} must be on or off; got {value!r}")
    return value == "on"


def is_user_dir() -> bool:
    """Return whether fairseq imports this package as its user directory, by ``common.user_dir`` or ``--user-dir``."""
    from fairseq.utils import import_user_module

    here = Path(__file__).resolve().parent.parent
    return any(Path(path).resolve() == here for path in getattr(import_user_module, "memo", ()))
