"""Mistakes that a user can mend, told in one line."""

import contextlib
import sys
from typing import Callable, Iterator


class UserError(ValueError):
    """What was expected, what was found, where, and what to do, in one line.

    The command line prints it without a stack trace and exits with status 1.
    """


def exit_status(work: Callable[[], None]) -> int:
    """Run a command's work. Returns 0, 1 after a user's mistake (one line on stderr), 130 after Ctrl-C."""
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, run the same command to go on", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def exits_in_one_line(kind: type[Exception] = ValueError) -> Iterator[None]:
    """Where fairseq is run by hydra, end the run with the message of an error of this kind alone, and status 1.

    hydra would print a stack trace. Called from Python, the error passes through.
    """
    from hydra.core.hydra_config import HydraConfig

    try:
        yield
    except kind as error:
        if HydraConfig.initialized():
            raise SystemExit(f"error: {error}") from None
        raise
