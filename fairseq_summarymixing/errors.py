"""Report mistakes that a user can mend as one-line errors."""

import argparse
import contextlib
import errno
import os
import re
import signal
import sys
import threading
from typing import Any, Callable, Dict, Iterator, Optional, Sequence

LONGEST = 1000


class UserError(ValueError):
    """A mistake that the user can correct. Its message is one line: what was expected, what was found, where, and what
    to do.

    An argument of a function stands in backquotes, as in "`batch_seconds` must be 0 or more". The command line names
    its own option instead, prints the line without a stack trace and exits with status 1.

    Args:
        message: the line; what names and values from outside bring along (line ends, control characters) is escaped.
        details: lines to print below it.
    """

    def __init__(self, message: str = "", details: str = ""):
        super().__init__(printable(message) + (f"\n{details}" if details else ""))


def printable(text: str) -> str:
    """Return the text with tabs, line ends and bytes that are not UTF-8 written as \\t, \\n, \\udc80."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def exit_status(work: Callable[[], None], parser: Optional[argparse.ArgumentParser] = None) -> int:
    """Run a command and return its exit status: 0; 1 after a user's mistake or a system error about a file or memory
    (one line on stderr); 130 after Ctrl-C.

    SIGTERM, as batch systems send it, leaves by SystemExit(143), so that nothing half-written stays.

    Args:
        parser: of the command's options, whose names stand in the line instead of the arguments'.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _leave_in_order)
    try:
        work()
        sys.stdout.flush()
    except UserError as error:
        message = str(error) if parser is None else in_options(str(error), parser)
        print(f"error: {shortened(message)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # of ``... | head``
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print("error: there is not enough memory: give less at once, or use a larger machine", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno == errno.ENOSPC and error.filename is None:  # of a file that is open, such as standard output
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            print(f"error: cannot write: {error.strerror}", file=sys.stderr)
        elif error.filename is None or error.strerror is None:
            raise
        else:
            print(f"error: cannot use {os.fsdecode(error.filename)}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again; what was finished is kept", file=sys.stderr)
        return 130
    return 0


def shortened(message: str) -> str:
    """Return a message whose lines hold 1000 characters at most: a damaged file may put anything into it."""
    half = LONGEST // 2 - 3
    lines = [line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}" for line in message.split("\n")]
    return "\n".join(lines)


# torch, of an allocation
NO_MEMORY = re.compile("can't allocate memory|[Cc]annot allocate memory|not enough memory|[Oo]ut of memory|bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is a lack of memory, of the machine or of a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None
    )


@contextlib.contextmanager
def enough_memory_for(what: str, remedy: str) -> Iterator[None]:
    """Turn the error of an allocation inside into a UserError; others pass."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"there is not enough memory for {what}: {remedy}") from error


def counted(number: int, noun: str) -> str:
    """Return "1 file" or "2 files"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Return "1.25 hours", below an hour "12.3 minutes", below a minute "4.5 seconds"."""
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} hours"
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"


def first_of(items: Sequence[str], joint: str = ", ", noun: str = "more") -> str:
    """Return the first three items and how many there are besides: "a, b, c and 2 more"."""
    more = f" and {len(items) - 3} {noun}" if len(items) > 3 else ""
    return joint.join(items[:3]) + more


def one_line(error: BaseException) -> str:
    """Return an error's message as a line of at most 200 characters, with the error's kind where it says little."""
    text = printable(str(error).strip().split("\n")[0])[:200]
    return text if len(text.split()) > 2 else f"{type(error).__name__} {text}".strip()


def in_options(message: str, parser: argparse.ArgumentParser) -> str:
    """Return the message with the options of a command in the place of a function's arguments in backquotes."""
    names = option_names(parser)
    return re.sub(r"`(\w+)`", lambda found: names.get(found[1], found[0]), message)


def option_names(parser: argparse.ArgumentParser) -> Dict[str, str]:
    """Return the option of each argument, such as ``--batch-seconds`` of ``batch_seconds``, or its place's name."""
    names: Dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                names.update(option_names(inner))
        else:
            names[action.dest] = action.option_strings[-1] if action.option_strings else str(action.metavar)
    return names


def _leave_in_order(number: int, _: Any) -> None:
    raise SystemExit(128 + number)
