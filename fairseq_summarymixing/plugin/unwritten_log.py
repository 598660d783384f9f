"""Report once that a log file cannot be written, where logging prints a stack trace for each line."""

import logging
import sys
from typing import Set

_reported: Set[str] = set()


def install() -> None:
    """Replace what logging does where a line cannot be written to a file."""
    logging.FileHandler.handleError = report_once


def report_once(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    """Print a warning for each file; of other errors than the system's logging prints the trace."""
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        logging.Handler.handleError(handler, record)
    elif handler.baseFilename not in _reported:
        _reported.add(handler.baseFilename)
        print(
            f"warning: cannot write the log {handler.baseFilename}: {error.strerror}; the run goes on, and lines are "
            "missing there",
            file=sys.stderr,
        )
