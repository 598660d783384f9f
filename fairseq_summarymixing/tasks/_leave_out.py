"""Read which recordings a user leaves out of a run by name."""

import os
from pathlib import Path
from typing import Set, Union

from ..errors import UserError, counted
from ..text_files import read_lines


def read_leave_out(path: Union[str, Path], folder: Union[str, Path]) -> Set[str]:
    """Read which paths a run leaves out, one a line, each as the manifests in ``folder`` write it.

    Raises:
        UserError: the file cannot be read, or a path stands in no manifest (``*.tsv``) of the folder.
    """
    try:
        paths = {line.strip() for line in read_lines(path) if line.strip()}
    except UserError as error:
        raise UserError(f"task.leave_out: {error}") from error
    unknown = set(paths)
    for manifest in sorted(Path(folder).glob("*.tsv")):
        if unknown and manifest.is_file():
            with open(manifest, encoding="utf-8", errors="replace") as rows:
                unknown.difference_update(row.split("\t")[0].strip() for row in rows)
    if unknown:
        raise UserError(
            f"task.leave_out={path} names {counted(len(unknown), 'path')} that no manifest in "
            f"{os.path.abspath(folder)} holds, the first is {min(unknown)}: write paths as they stand in the manifests"
        )
    return paths
