"""Report what was left out of a manifest, and why."""

from __future__ import annotations

from pathlib import Path

from ..errors import printable
from ..files import atomic_write


class Report:
    """A list of (path, reason) that is written as report.tsv."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []

    def add(self, path: str, reason: str) -> None:
        self.entries.append((path, reason))

    def write(self, folder: Path) -> Path:
        """Write FOLDER/report.tsv, sorted, names with odd characters escaped; returns its path."""
        with atomic_write(folder / "report.tsv") as file:
            file.write("path\treason\n")
            file.writelines(f"{printable(path)}\t{printable(reason)}\n" for path, reason in sorted(self.entries))
        return folder / "report.tsv"
