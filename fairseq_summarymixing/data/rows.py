"""Read rows of recordings that stay where they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..errors import UserError
from .formats import EXTENSIONS
from .manifest import Row, read_manifest
from .parallel import map_in_threads
from .recordings import Recording, examine
from .report import Report
from .walk import find_audio


def read_rows(source: Path, workers: int | None, report: Report) -> tuple[str, list[Row]]:
    """Return (root, rows) of a manifest, or of all 16 kHz recordings in a folder, sorted by path.

    What a folder holds that cannot be used goes to the report.

    Raises:
        UserError: neither, nothing in it can be used, or the manifest is damaged.
    """
    if source.is_file():
        root, rows = read_manifest(source, check_files=True)
        return root, [Row(*row) for row in rows]
    if not source.is_dir():
        raise UserError(f"{source} does not exist; expected a folder of recordings or a manifest")
    paths, rows = find_audio(source, EXTENSIONS, report.add), []
    for path, result in zip(paths, map_in_threads(partial(examine, source=source), paths, workers, source.name)):
        if isinstance(result, Recording):
            rows.append(result.row)
        else:
            report.add(str(source / path), str(result))
    if not rows:
        raise UserError(f"{source} holds no recording that can be used{report.such_as()}")
    return str(source), rows
