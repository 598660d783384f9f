"""Read and write fairseq manifests, SPLIT.tsv (root, then path and frames), and write what goes with them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import atomic_write
from ..text_files import read_lines
from .report import printable
from .transcripts import dictionary, letters, symbol

ZIP_PART = re.compile(r"^(?P<zip>.*\.zip):(?P<offset>\d{1,18}):(?P<length>\d{1,18})$")
MOST_FRAMES = 2**36  # 49 days at 16 kHz
ANY_ZIP_PART = re.compile(r"\.zip:")


@dataclass(frozen=True)
class Row:
    """A row of a manifest: path relative to the root, with "/"; frames at its own rate; text and label if known."""

    path: str
    frames: int
    text: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Trial:
    """One trial of speaker verification: two paths of a split, and whether their speaker is the same."""

    same: bool
    first: str
    second: str


def is_manifest(path: Path) -> bool:
    """Return whether a .tsv is a manifest: report.tsv and other tables begin with several columns."""
    first = next(iter(read_lines(path)), "")
    return bool(first.strip()) and "\t" not in first.strip()


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


def check_root(root: str | Path) -> None:
    """Raise a UserError where a manifest cannot hold the folder that its paths are relative to."""
    reason = unwritable(os.path.abspath(root))
    if reason:
        raise UserError(f"{printable(os.path.abspath(root))} cannot stand in a manifest: {reason}")


def write_splits(
    folder: str | Path,
    root: str | Path,
    splits: Mapping[str, Sequence[Row]],
    trials: Mapping[str, Sequence[Trial]] | None = None,
) -> None:
    """Write every split's .tsv, and what belongs to its rows: texts, labels, trials.

    Rows with texts get SPLIT.wrd, SPLIT.ltr and one dict.ltr.txt of all splits; rows with labels get SPLIT.cls and one
    dict.cls.txt. Rows are written in the order given; a repeated row weighs as much more. All files are complete before
    the first one is moved into place.

    Args:
        folder: created if need be.
        root: the folder that the rows' paths are relative to; written as an absolute path.
        splits: rows by split name. Either all rows have a text or none has, and so of labels.
        trials: by split name, for SPLIT.trials.

    Raises:
        UserError: rows with and without text or label are mixed, a path cannot be written down, a trial names a path
            that is not in its split, the disk is full.
    """
    root = os.path.abspath(root)
    rows = [row for split in splits.values() for row in split]
    check_root(root)
    for path in (row.path for row in rows):
        if unwritable(path):
            raise UserError(f"{path!r} cannot stand in a manifest: {unwritable(path)}")
    has_text, has_label = _all_or_none("transcript", rows, "text"), _all_or_none("label", rows, "label")
    contents: dict[str, list[str]] = {}
    for name, split in splits.items():
        contents[f"{name}.tsv"] = [root] + [f"{row.path}\t{row.frames}" for row in split]
        if has_text:
            contents[f"{name}.wrd"] = [row.text for row in split]
            contents[f"{name}.ltr"] = [letters(row.text) for row in split]
        if has_label:
            contents[f"{name}.cls"] = [symbol(row.label) for row in split]
    once = {row.path: row for row in rows}.values()  # a recording in two splits counts once
    if has_text:
        contents["dict.ltr.txt"] = dictionary(letters(row.text) for row in once)
    if has_label:
        contents["dict.cls.txt"] = dictionary(symbol(row.label) for row in once)
    for name, pairs in (trials or {}).items():
        _check_trials(name, pairs, {row.path for row in splits[name]})
        contents[f"{name}.trials"] = trial_lines(pairs)
    write_together(folder, contents)


def file_names(
    splits: Iterable[str], has_text: bool = False, has_label: bool = False, trials: Iterable[str] = ()
) -> list[str]:
    """Return the names of the files that ``write_splits`` writes."""
    kinds = ["tsv"] + ["wrd", "ltr"] * has_text + ["cls"] * has_label
    names = [f"{split}.{kind}" for split in splits for kind in kinds]
    names += ["dict.ltr.txt"] * has_text + ["dict.cls.txt"] * has_label
    return names + [f"{split}.trials" for split in trials]


def write_together(folder: str | Path, contents: Mapping[str, Sequence[str]]) -> None:
    """Write the lines of several files of a folder; all are complete before the first one is moved into place.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    with contextlib.ExitStack() as stack:
        for name, lines in contents.items():
            file = stack.enter_context(atomic_write(Path(folder) / name))
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())  # a full disk shows here, before any file has been moved into place


def _all_or_none(what: str, rows: Sequence[Row], field: str) -> bool:
    missing = [row.path for row in rows if not getattr(row, field)]
    if missing and any(getattr(row, field) is not None for row in rows):
        raise UserError(f"{missing[0]} has no {what}, other recordings have one")
    return bool(rows) and not missing


def _check_trials(split: str, trials: Sequence[Trial], paths: Collection[str]) -> None:
    for trial in trials:
        for path in (trial.first, trial.second):
            if path not in paths:
                raise UserError(f"a trial of {split} names {path}, which is not in {split}.tsv")


def trial_lines(trials: Iterable[Trial]) -> list[str]:
    """Return the lines of SPLIT.trials."""
    return [f"{int(trial.same)}\t{trial.first}\t{trial.second}" for trial in trials]


def read_manifest(path: str | Path, check_files: bool = False) -> tuple[str, list[tuple[str, int]]]:
    """Read a .tsv and check every line. Returns (root, [(path relative to root, frames), ...]).

    A row is ``relative/path<TAB>frames``, or ``relative/file.zip:offset:length<TAB>frames``. A row that stands there
    several times weighs as much more.

    Args:
        check_files: also look whether each file is there; about a million look-ups per million rows.

    Raises:
        UserError: names the file, the line and the reason. There is no file; the root folder is missing; no rows; a
            row without exactly two fields, with an absolute path, with frames that are no positive integer or absurdly
            many, or with a malformed zip part; with ``check_files`` a missing file.
    """
    check_there(path)
    lines = read_lines(path)
    root = checked_root(path, lines[0] if lines else "")
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
    return root, rows


def check_there(path: str | Path) -> None:
    """Raise a UserError where there is no manifest."""
    if not os.path.lexists(path):
        raise UserError(
            f"there is no manifest {path}; write it with fairseq-summarymixing manifest, or name another split"
        )


start_folders: list[str] = []
"""The folder in which the command was given, where its work is done in another, as in hydra's sweeps; else empty."""


def checked_root(path: str | Path, line: str) -> str:
    """Return the root that the first line of a manifest names, which may be relative to where the command was given."""
    root = line.strip()
    if not root or "\t" in root:
        raise UserError(f"{path}:1: expected the folder that the paths are relative to; found {root[:60]!r}")
    from_start = [found for found in (os.path.join(start, root) for start in start_folders) if os.path.isdir(found)]
    root = from_start[0] if from_start else root
    if not os.path.isdir(root):
        raise UserError(f"{path}:1: the folder {root} does not exist; make the manifest again where the audio is now")
    return root


def _wrong(fields: list[str]) -> str | None:
    """Return what is wrong with one row's fields, or None."""
    if len(fields) != 2:
        return f"expected 'path<TAB>frames', two fields; found {len(fields)} in {' '.join(fields)[:80]!r}"
    path, frames = fields
    if not (frames.isascii() and frames.isdigit() and int(frames[:20]) > 0):
        return f"expected a positive number of frames; found {frames[:40]!r} for {path}"
    if len(frames) > 20 or int(frames) > MOST_FRAMES:
        return f"expected at most {MOST_FRAMES} frames, as FLAC files hold; found {frames[:40]} for {path}"
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
    if os.path.isfile(full_path):
        return None
    return f"the file {full_path} does not exist; bring it back, or take its row out of the manifest and its labels"
