"""Name what is compared: runs and checkpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import UserError, counted


def unique_names(noun: str, paths: Sequence[str | Path], names: Sequence[str] | None = None) -> list[str]:
    """Return a name for each path: those given, or as much of the paths' ends as makes them differ.

    Args:
        noun: what the paths are of, such as "run".

    Raises:
        UserError: there is no path, one is given twice, or there is not one name of its own for each.
    """
    if not paths:
        raise UserError(f"there is no {noun}: name one or more")
    real = [os.path.realpath(path) for path in paths]
    for path in paths:
        if real.count(os.path.realpath(path)) > 1:
            raise UserError(f"the {noun} {path} is given twice; name each once")
    if names is None:
        return _ends([Path(os.path.abspath(path)) for path in paths])
    names = [name.strip() for name in names]
    if len(names) != len(paths) or not all(names) or len(set(names)) < len(names):
        raise UserError(
            f"`names`: expected {counted(len(paths), 'name')}, one of its own for each {noun}, commas between; "
            f"got {','.join(names)}"
        )
    return names


def _ends(paths: Sequence[Path]) -> list[str]:
    without_endings = [path if path.is_dir() else path.with_suffix("") for path in paths]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in without_endings]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
