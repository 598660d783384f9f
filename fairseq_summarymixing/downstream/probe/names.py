"""Name the checkpoints of a study."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import UserError, counted


def different_names(checkpoints: Sequence[str | Path], names: Sequence[str] | None) -> list[str]:
    """Return a name for each checkpoint: those given, or as much of the ends of their paths as makes them differ.

    Raises:
        UserError: there is no checkpoint, one is given twice, or there is not one name of its own for each.
    """
    paths = [Path(os.path.abspath(path)) for path in checkpoints]
    if not paths:
        raise UserError("`checkpoints` is empty: name one or more")
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"the checkpoint {path} is given twice")
    if names is None:
        depths = range(1, max(len(path.parts) for path in paths) + 1)
        found = (["/".join(path.with_suffix("").parts[-depth:]) for path in paths] for depth in depths)
        return next((names for names in found if len(set(names)) == len(names)), list(map(str, paths)))
    names = [name.strip() for name in names]
    if len(names) != len(paths) or not all(names) or len(set(names)) < len(names):
        raise UserError(
            f"`names`: expected {counted(len(paths), 'name')}, one of its own for each checkpoint, commas between; "
            f"got {','.join(names)}"
        )
    return names
