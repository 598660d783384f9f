"""End a command of fairseq's in one line, with the exit status of an error, whatever its threads and workers do."""

import atexit
import contextlib
import logging
import multiprocessing
import os
import sys
from typing import Callable, Iterator, List, Type

from ..errors import shortened


@contextlib.contextmanager
def exits_in_one_line(kind: Type[Exception] = ValueError) -> Iterator[None]:
    """End a command of fairseq's with a one-line error and status 1, for an error of this kind.

    It would print a stack trace. Called from Python, the error passes through.
    """
    try:
        yield
    except kind as error:
        if is_run_by_fairseq():
            message = shortened(str(error))
            leave_at_exit(1, message)
            raise SystemExit(f"error: {message}") from None
        raise


def is_run_by_fairseq() -> bool:
    """Return whether this process is one of fairseq's commands, such as fairseq-hydra-train or fairseq-validate, or of
    those that it spawns, one for each device."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.initialized() or _is_command_of_fairseq(sys.argv[0])


def _is_command_of_fairseq(program: str) -> bool:
    """Return whether a program is fairseq-NAME, or fairseq_cli/NAME.py as ``python -m fairseq_cli.NAME`` runs it."""
    folder, name = os.path.split(os.path.abspath(program))
    is_script = name.startswith("fairseq-") and not name.startswith("fairseq-summarymixing")
    return is_script or os.path.basename(folder) == "fairseq_cli"


before_leaving: List[Callable[[str], None]] = []
"""Called with the message of the error that a process ends with."""


def leave_at_exit(status: int, message: str) -> None:
    """Let a run that is about to end do so with this status, workers that load its data included.

    fairseq's thread that fetches batches cannot be stopped, and Python's own way out aborts (SIGABRT) where it
    meets that thread inside torch.
    """
    atexit.register(_leave, status, message)


def _leave(status: int, message: str) -> None:
    for report in before_leaving:
        report(message)
    leave_now(status)


def leave_now(status: int) -> None:
    """End this process and the workers that load its data, whatever its threads do."""
    for worker in multiprocessing.active_children():
        worker.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
