"""End a run in one line at Ctrl-C."""

import functools
import sys
from typing import Callable

from hydra.core.hydra_config import HydraConfig

from ..errors import leave_at_exit


def install() -> None:
    """Report an interrupt instead of its stack trace, where hydra runs fairseq."""
    if HydraConfig.initialized():
        sys.excepthook = functools.partial(report_interrupt, sys.excepthook)


def report_interrupt(pass_on: Callable, kind, error, trace) -> None:
    """Leave other errors to the hook before, which may be torch.distributed's."""
    if issubclass(kind, KeyboardInterrupt):
        message = "interrupted; run the same command to go on from the last checkpoint"
        print(message, file=sys.stderr)
        leave_at_exit(130, message)
    else:
        pass_on(kind, error, trace)
