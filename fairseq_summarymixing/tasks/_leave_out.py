"""Read which recordings a user leaves out of a run by name."""

import os
from pathlib import Path
from typing import Set, Union

from ..errors import UserError


def read_leave_out(path: Union[str, Path], folder: Union[str, Path]) -> Set[str]:
    """Read which paths a run leaves out, one a line, each as the manifests in ``folder`` write it.

    Raises:
        UserError: the file cannot be read, or a path stands in no manifest (``*.tsv``) of the folder.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"cannot read task.leave_out={path}: {reason}") from error
    paths = {line.strip() for line in lines if line.strip()}
    unknown = set(paths)
    for manifest in sorted(Path(folder).glob("*.tsv")):
        if unknown:
            with open(manifest, encoding="utf-8", errors="replace") as rows:
                unknown.difference_update(row.split("\t")[0].strip() for row in rows)
    if unknown:
        raise UserError(
            f"task.leave_out={path} names {len(unknown)} paths that no manifest in {os.path.abspath(folder)} holds, "
            f"the first is {min(unknown)}: write paths as they stand in the manifests"
        )
    return paths
