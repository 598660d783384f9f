"""Find the audio files in a tree."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path


def find_audio(source: Path, extensions: Sequence[str], report: Callable[[str, str], None]) -> list[str]:
    """Return paths relative to ``source``, with "/", sorted. Extensions without dot, in either case.

    Follows links, and enters a folder that is linked twice once. Hidden files and folders are passed over: on
    shared disks they are other programs' notes with audio extensions. ``report(path, reason)`` gets the
    folders that cannot be read.
    """
    endings = tuple(f".{extension.lower()}" for extension in extensions)
    found, entered = [], set()

    def unreadable(error: OSError) -> None:
        report(os.path.relpath(error.filename, source), f"folder not readable: {error.strerror}")

    for folder, subfolders, names in os.walk(source, followlinks=True, onerror=unreadable):
        real = os.path.realpath(folder)
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        # Sorted, so that of two links to one folder the same one is entered everywhere.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in names:
            if name.lower().endswith(endings) and not name.startswith("."):
                found.append(os.path.relpath(os.path.join(folder, name), source).replace(os.sep, "/"))
    return sorted(found)
