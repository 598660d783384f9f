"""Check that a path to be read is a file: reading a named pipe may wait for ever, and a device never ends."""

import os
import stat
from pathlib import Path
from typing import Optional, Union

from .errors import UserError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def kind_of(path: Union[str, Path], once: bool = True) -> Optional[str]:
    """Return what a path is if it is no file, such as "a folder"; None for a file, and for a path that does not exist.

    Args:
        once: the file is read once, from beginning to end; then the unnamed pipe of a shell's ``<(command)`` counts as
            a file.
    """
    try:
        kind = KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except (OSError, ValueError):  # ValueError: of a name that holds a NUL character
        return None
    if kind == KINDS[stat.S_IFIFO] and not os.path.exists(os.path.realpath(path)):
        return None if once else "a pipe, which can be read only once: write a file"
    return kind


def no_folder(path: Union[str, Path]) -> str:
    """Return the error for a path that is no folder."""
    return f"{path} is a file" if os.path.exists(path) else f"there is no folder {path}"


def check_file(path: Union[str, Path]) -> None:
    """Raise a UserError if a path exists and is no file; that it does not exist is reported when it is read."""
    kind = kind_of(path)
    if kind is not None:
        raise UserError(f"{path} is {kind}; expected a file")
