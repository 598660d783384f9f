"""Read and write fairseq manifests: split.tsv (root, then path and frames), split.wrd, split.ltr and dict.ltr.txt."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import atomic_write
from .transcripts import dictionary, letters

ZIP_PART = re.compile(r"^(?P<zip>.*\.zip):(?P<offset>\d+):(?P<length>\d+)$")
ANY_ZIP_PART = re.compile(r"\.zip:")


@dataclass(frozen=True)
class Row:
    """One recording of a manifest: path relative to the root, with "/"; frames at its own rate; transcript if known."""

    path: str
    frames: int
    text: str | None = None


def unwritable(path: str) -> str | None:
    """Return why a manifest cannot hold this path, or None. fairseq strips lines and splits them at the tab."""
    if any(ord(character) < 32 or character in "\x7f\x85\u2028\u2029" for character in path):
        return "tab, line end or control character in the name; rename it"
    if any(0xD800 <= ord(character) <= 0xDFFF for character in path):
        return "the name is not UTF-8; rename it"
    if path != path.strip():
        return "the name begins or ends with a space; rename it"
    if ":" in path and Path(path).suffix not in (".wav", ".flac", ".ogg"):
        return "':' in the name, which fairseq reads as part of a zip file; rename it"
    return None


def write_splits(folder: str | Path, root: str | Path, splits: Mapping[str, Sequence[Row]]) -> None:
    """Write every split's .tsv, and where the rows have texts its .wrd and .ltr, and one dict.ltr.txt of all.

    Rows are written in the order given. All files are complete before the first one is moved into place.

    Args:
        folder: created if need be.
        root: the folder that the rows' paths are relative to; written as an absolute path.
        splits: rows by split name. Either all rows have a text or none has.

    Raises:
        UserError: rows with and without text are mixed, a path cannot be written down, the disk is full.
    """
    folder, root = Path(folder), os.path.abspath(root)
    if unwritable(root):
        raise UserError(f"{root!r} cannot stand in a manifest: {unwritable(root)}")
    rows = [row for split in splits.values() for row in split]
    labelled = any(row.text is not None for row in rows)
    for row in rows:
        if unwritable(row.path):
            raise UserError(f"{row.path!r} cannot stand in a manifest: {unwritable(row.path)}")
        if labelled and not row.text:
            raise UserError(f"{row.path} has no transcript, other recordings have one")
    contents = {}
    for name, split in splits.items():
        contents[f"{name}.tsv"] = [root] + [f"{row.path}\t{row.frames}" for row in split]
        if labelled:
            contents[f"{name}.wrd"] = [row.text for row in split]
            contents[f"{name}.ltr"] = [letters(row.text) for row in split]
    if labelled:
        text_of = {row.path: row.text for row in rows}  # a recording in two splits counts once
        contents["dict.ltr.txt"] = dictionary(letters(text) for text in text_of.values())
    with contextlib.ExitStack() as stack:
        for name, lines in contents.items():
            file = stack.enter_context(atomic_write(folder / name))
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())  # a full disk shows here, before any file has been moved into place


def read_manifest(path: str | Path, check_files: bool = False) -> tuple[str, list[tuple[str, int]]]:
    """Read a .tsv and check every line. Returns (root, [(path relative to root, frames), ...]).

    A row is ``relative/path<TAB>frames``, or ``relative/file.zip:offset:length<TAB>frames``.

    Args:
        check_files: also look whether each file is there; about a million look-ups per million rows.

    Raises:
        UserError: names the file, the line and the reason. The root folder is missing; no rows; a row without
            exactly two fields, with an absolute path, with frames that are no positive integer, with a
            malformed zip part, or with the path of an earlier row; with ``check_files`` a missing file.
    """
    try:
        # Universal line ends, as fairseq opens it.
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    root = lines[0].strip() if lines else ""
    if not root or "\t" in root:
        raise UserError(f"{path}:1: expected the folder that the paths are relative to; found {root[:60]!r}")
    if not os.path.isdir(root):
        raise UserError(f"{path}:1: the folder {root} does not exist; make the manifest again where the audio is now")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        fields = line.strip().split("\t")
        reason = _wrong(fields)
        if reason is None and check_files:
            reason = _missing(root, fields[0])
        if reason is not None:
            raise UserError(f"{path}:{number}: {reason}")
        rows.append((fields[0], int(fields[1])))
    if not rows:
        raise UserError(f"{path} has no rows, only a root")
    if len({row[0] for row in rows}) < len(rows):
        _raise_duplicate(path, rows)
    return root, rows


def _wrong(fields: list[str]) -> str | None:
    """Return what is wrong with one row's fields, or None."""
    if len(fields) != 2:
        return f"expected 'path<TAB>frames', two fields; found {len(fields)} in {' '.join(fields)[:80]!r}"
    path, frames = fields
    if not (frames.isascii() and frames.isdigit() and int(frames) > 0):
        return f"expected a positive number of frames; found {frames[:40]!r} for {path}"
    if path.startswith("/") or os.path.isabs(path):
        return f"expected a path relative to the root; found the absolute {path}"
    if not path:
        return "expected a path before the tab; found none"
    if ANY_ZIP_PART.search(path) and not ZIP_PART.match(path):
        return f"expected 'file.zip:offset:length' with two integers; found {path}"
    return None


def _missing(root: str, path: str) -> str | None:
    in_zip = ZIP_PART.match(path)
    full_path = os.path.join(root, in_zip["zip"] if in_zip else path)
    return None if os.path.isfile(full_path) else f"the file {full_path} does not exist"


def _raise_duplicate(manifest: str | Path, rows: list[tuple[str, int]]) -> None:
    first_line: dict[str, int] = {}
    for number, (path, _) in enumerate(rows, start=2):
        if path in first_line:
            raise UserError(f"{manifest}:{number}: {path} is in line {first_line[path]} already")
        first_line[path] = number
