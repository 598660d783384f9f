"""The argument AUDIO of the verbs that take recordings, and the error they end with if some of these fail."""

import argparse

from ..errors import UserError, in_options

LIST_MARK, STDIN = "@", "-"
DESCRIPTION = (
    "AUDIO: recordings of any sample rate and length, folders of them, manifests (.tsv), or lists of these, one a "
    f"line: {LIST_MARK}FILE, or {STDIN} for standard input. Recordings that cannot be used are reported, the others "
    "are computed, and the exit status is 1."
)


def add_audio(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("audio", nargs="+", metavar="AUDIO", help="file, folder, manifest, or list")


class Failures:
    """The recordings that a command could not use, reported as they are met, in the words of its options."""

    def __init__(self, parser: argparse.ArgumentParser):
        self._parser, self._count = parser, 0

    def __call__(self, path: str, reason: str) -> None:
        from ..errors import printable
        from .progress import warn

        self._count += 1
        warn(f"error: cannot use {printable(path)}: {in_options(reason, self._parser)}")

    def raise_if_any(self, done: str) -> None:
        """Raise a UserError where there were any.

        Args:
            done: what did not happen to them, such as "transcribed".
        """
        if self._count:
            raise UserError(f"{self._count} {'recording was' if self._count == 1 else 'recordings were'} not {done}")
