"""Ctrl-C ends a run in one line."""

import sys

from hydra.core.hydra_config import HydraConfig

from ..errors import leave_at_exit


def install() -> None:
    """Report an interrupt instead of its stack trace, where hydra runs fairseq and nobody else does."""
    if HydraConfig.initialized() and sys.excepthook is sys.__excepthook__:
        sys.excepthook = report_interrupt


def report_interrupt(kind, error, trace) -> None:
    if issubclass(kind, KeyboardInterrupt):
        message = "interrupted; run the same command to go on from the last checkpoint"
        print(message, file=sys.stderr)
        leave_at_exit(130, message)
    else:
        sys.__excepthook__(kind, error, trace)
