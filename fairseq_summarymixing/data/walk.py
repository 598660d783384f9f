"""Find the audio files in a tree."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from .formats import extension_of, is_audio, why_passed_over


def find_audio(source: Path, extensions: Collection[str], report: Callable[[str, str], None]) -> list[str]:
    """Return the paths of the files with one of ``extensions``, relative to ``source``, with "/", sorted.

    Extensions are without dot; names may have them in either case. ``report(path, reason)`` gets the recordings of
    other formats, and the folders that cannot be read.
    """
    found = []
    for path in find_files(source, report):
        if extension_of(path) in extensions:
            found.append(path)
        elif is_audio(path):
            report(path, why_passed_over(path, extensions))
    return found


def find_files(source: Path, report: Callable[[str, str], None]) -> list[str]:
    """Return the paths of all files, relative to ``source``, with "/", sorted.

    Follows links, and enters a folder that is linked twice once. Hidden files and folders are passed over: on
    shared disks they are other programs' notes with audio extensions. ``report(path, reason)`` gets the
    folders that cannot be read.
    """
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
        inside = os.path.relpath(folder, source).replace(os.sep, "/")
        found += [name if inside == "." else f"{inside}/{name}" for name in names if not name.startswith(".")]
    return sorted(found)
