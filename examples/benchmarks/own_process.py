"""Call a function in a process of its own, whose memory is then its own."""

import multiprocessing
import signal
from multiprocessing.connection import Connection
from typing import Any, Callable

from fairseq_summarymixing.errors import UserError


def in_own_process(function: Callable, *arguments: Any) -> Any:
    """Return what a function of a module returns in a new process, or raise what it raises there.

    Raises:
        UserError: the process was killed.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function, *arguments), daemon=True)
    # Inherited: after Ctrl-C the process is ended below, and prints no stack trace
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError as error:
        process.join()
        raise UserError(
            f"the process that measures was ended (status {process.exitcode}; -9 is a lack of memory or `kill -9`): "
            "measure less at once, or on a larger machine"
        ) from error
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _send(sender: Connection, function: Callable, *arguments: Any) -> None:
    try:
        outcome = function(*arguments)
    except Exception as error:  # pickled, and raised by the caller
        outcome = error
    sender.send(outcome)
