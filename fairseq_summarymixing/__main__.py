"""The command ``fairseq-summarymixing``, which ends in one line at Ctrl-C, even while its modules are imported."""

import os
import signal
import sys
from typing import NoReturn

INTERRUPTED = "interrupted: run the same command again; what was finished is kept"  # as errors.exit_status has it


def main() -> int:
    """Run the command line, and return its exit status."""
    answers = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not in a shell's background
    if answers:
        signal.signal(signal.SIGINT, _leave)
    from .cli import main as run

    if answers:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run()
    except KeyboardInterrupt:  # before the verb's work begins
        return _leave()


def _leave(*_) -> NoReturn:
    """End the process at once; the module that is being imported might handle an exception as an error of its own."""
    print(INTERRUPTED, file=sys.stderr, flush=True)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
