"""Mistakes that a user can mend, told in one line."""

import contextlib
from typing import Iterator


class UserError(ValueError):
    """What was expected, what was found, where, and what to do, in one line.

    The command line prints it without a stack trace and exits with status 1.
    """


@contextlib.contextmanager
def exits_in_one_line() -> Iterator[None]:
    """Where fairseq is run by hydra, end the run with the message of a ValueError alone, and status 1.

    hydra would print a stack trace. Called from Python, the ValueError passes through.
    """
    from hydra.core.hydra_config import HydraConfig

    try:
        yield
    except ValueError as error:
        if HydraConfig.initialized():
            raise SystemExit(f"error: {error}") from None
        raise
