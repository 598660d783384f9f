"""End a run in one line at Ctrl-C."""

import atexit
import contextlib
import functools
import multiprocessing
import os
import sys
from typing import Callable, Iterator

import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig

from .exits import is_run_by_fairseq, leave_at_exit
from .guard import guard

REPORTED_BY_PARENT = "FAIRSEQ_SUMMARYMIXING_PARENT_REPORTS"
"""Environment variable that processes have whose parent reports Ctrl-C; see ``plugin/hydra_plugins``."""

MESSAGE = "interrupted; run the same command to go on from the last checkpoint"


def install() -> None:
    """Report an interrupt instead of its stack trace, where hydra runs fairseq."""
    import fairseq_cli.train

    is_spawned = multiprocessing.parent_process() is not None
    if HydraConfig.initialized():
        sys.excepthook = functools.partial(report_interrupt, sys.excepthook)
    elif is_spawned and is_run_by_fairseq() and REPORTED_BY_PARENT not in os.environ:
        guard(fairseq_cli.train, "train", reported_at_exit)


@contextlib.contextmanager
def reported_at_exit(*args, **kwargs) -> Iterator[None]:
    """Report an interrupt in a process that fairseq has spawned, because torch ignores it there.

    Before that, the parent process prints its stack trace, unless hydra has loaded our plugin there.
    """
    try:
        yield
    except KeyboardInterrupt:
        if dist.get_rank() == 0:
            atexit.register(print, MESSAGE, file=sys.stderr)
        raise


def report_interrupt(pass_on: Callable, kind, error, trace) -> None:
    """Report an interrupt; other errors are for the previous hook, which may be torch.distributed's."""
    if issubclass(kind, KeyboardInterrupt):
        print(MESSAGE, file=sys.stderr)
        leave_at_exit(130, MESSAGE)
    else:
        pass_on(kind, error, trace)
