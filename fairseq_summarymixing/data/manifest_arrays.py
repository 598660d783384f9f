"""Read a manifest of millions of rows into arrays, without an object for each row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..text_files import read_text
from .manifest import check_there, checked_root, read_manifest

DIGITS = 10  # of a number of frames; always below MOST_FRAMES
NOT_A_ZIP_PART = re.compile(rb"\.zip:(?!\d{1,18}:\d{1,18}\t)")
SPACE, DELETE = 32, 127


class ManifestArrays(NamedTuple):
    """The N rows of a manifest."""

    text: np.ndarray
    """(bytes,) uint8, UTF-8; holds each path."""
    begins: np.ndarray
    """(N,) int64, where each path begins in ``text``."""
    ends: np.ndarray
    """(N,) int64, where it ends."""
    frames: np.ndarray
    """(N,) int64."""

    def only(self, kept: np.ndarray) -> ManifestArrays:
        """Return the rows where ``kept``, (N,) bool, is True."""
        return ManifestArrays(self.text, self.begins[kept], self.ends[kept], self.frames[kept])


def read_manifest_arrays(path: str | Path) -> tuple[str, ManifestArrays]:
    """Read what :func:`.manifest.read_manifest` reads, with its errors. Returns root and rows."""
    check_there(path)
    text = read_text(path).encode()
    text += b"" if text.endswith(b"\n") else b"\n"
    second = text.index(b"\n") + 1
    root = checked_root(path, text[:second].decode())
    rows = None if NOT_A_ZIP_PART.search(text) else parse_plain(np.frombuffer(text, np.uint8)[second:])
    return root, parse_any(read_manifest(path)[1]) if rows is None else rows


def parse_plain(text: np.ndarray) -> ManifestArrays | None:
    """Parse rows of ``path<TAB>frames``; None where any row has another form, right or wrong.

    Args:
        text: (bytes,) uint8, which ends with a line end.
    """
    tabs, ends = np.flatnonzero(text == ord("\t")), np.flatnonzero(text == ord("\n"))
    if len(tabs) != len(ends) or not len(ends):
        return None
    begins = np.concatenate([[0], ends[:-1] + 1])
    if not ((begins < tabs) & (tabs < ends)).all():
        return None
    first, frames = text[begins], parse_digits(text, tabs + 1, ends)
    # what is stripped from paths in other alphabets is left to Python
    if frames is None or not ((first > SPACE) & (first < DELETE) & (first != ord("/"))).all():
        return None
    return ManifestArrays(text, begins, tabs, frames)


def parse_digits(text: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """Parse positive numbers of 1 to DIGITS digits, each from ``begins`` to ``ends``; None where one is none."""
    widths, numbers = ends - begins, np.zeros(len(ends), np.int64)
    if widths.min() < 1 or widths.max() > DIGITS:
        return None
    for place in range(widths.max()):
        there = np.flatnonzero(widths > place)
        digits = text[ends[there] - 1 - place] - np.uint8(ord("0"))  # below "0", it wraps around to above 9
        if digits.max() > 9:
            return None
        numbers[there] += digits.astype(np.int64) * 10**place
    return numbers if numbers.min() > 0 else None


def parse_any(rows: list[tuple[str, int]]) -> ManifestArrays:
    """Return rows as arrays."""
    paths = [path.encode() for path, _ in rows]
    ends = np.cumsum([len(path) for path in paths])
    begins = np.concatenate([[0], ends[:-1]])
    text = np.frombuffer(b"".join(paths), np.uint8)
    return ManifestArrays(text, begins, ends, np.array([frames for _, frames in rows]))
