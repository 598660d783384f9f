"""Report what was left out of a manifest, and why."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import counted, printable
from ..files import atomic_write


class Report:
    """A list of (path, reason) that is written as report.tsv."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []

    def add(self, path: str, reason: str) -> None:
        self.entries.append((path, reason))

    def such_as(self, paths: Collection[str] | None = None) -> str:
        """Return " (PATH: REASON)" of the last entry, or of the last one of these paths; "" without any."""
        for path, reason in reversed(self.entries):
            if paths is None or path in paths:
                return f" ({printable(path)}: {printable(reason)})"
        return ""

    def summary(self, path: Path) -> str:
        """Return how many recordings were left out, and where that is listed: the last line of a corpus's summary."""
        left_out = f"left out: {counted(len(self.entries), 'recording')}"
        return f"{left_out}, see {path}" if self.entries else left_out

    def write(self, folder: Path) -> Path:
        """Write FOLDER/report.tsv, sorted, names with odd characters escaped; returns its path."""
        with atomic_write(folder / "report.tsv") as file:
            file.write("path\treason\n")
            file.writelines(f"{printable(path)}\t{printable(reason)}\n" for path, reason in sorted(self.entries))
        return folder / "report.tsv"
