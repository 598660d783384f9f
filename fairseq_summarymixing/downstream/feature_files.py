"""Name and check the files that ``features`` writes for a recording, and record what they were made of."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError

OUTPUT = re.compile(r"(?P<name>.+)\.(times|layer-\d+)\.npy", re.DOTALL)


@dataclass(frozen=True)
class FeatureFiles:
    """The files of a recording: OUT/NAME.layer-K.npy, OUT/NAME.times.npy, and OUT/NAME.json, which records what they
    were made of.

    Attributes:
        made_of: "audio" and "checkpoint", each as path, bytes and time of its last change in ns; "window_seconds".
    """

    out: Path
    name: str
    made_of: dict[str, Any]

    @property
    def origin(self) -> Path:
        return self.out / f"{self.name}.json"

    @property
    def times(self) -> Path:
        return self.out / f"{self.name}.times.npy"

    def layer(self, number: int) -> Path:
        return self.out / f"{self.name}.layer-{number}.npy"

    def read_origin(self) -> dict[str, Any] | None:
        """Read OUT/NAME.json; None where there is no such file, or it is another program's."""
        try:
            found = json.loads(self.origin.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and self.made_of.keys() <= found.keys() else None

    def are_begun(self) -> bool:
        """Return whether the files that are there were made of the same, by OUT/NAME.json."""
        found = self.read_origin()
        return found is not None and {key: found[key] for key in self.made_of} == self.made_of

    def samples(self) -> int | None:
        """Return the length at 16 kHz of the recording that the files were made of; None where it is not known."""
        samples = (self.read_origin() or {}).get("samples")
        return samples if isinstance(samples, int) else None

    def conflict(self, are_there: bool) -> str | None:
        """Describe what stands in the place of these files and was made of something else; None where nothing does.

        Args:
            are_there: whether layers or times of a recording of this name stand there.
        """
        found = self.read_origin()
        if found is None:
            is_foreign = self.origin.exists()
            unknown = (
                f"{self.name}.json does not record of what" if is_foreign else f"no {self.name}.json records of what"
            )
            return f"{self.out} holds {self.name}.* and {unknown} it was made" if is_foreign or are_there else None
        if not are_there or self.are_begun():
            return None
        key = next(key for key in self.made_of if found[key] != self.made_of[key])
        there, asked = _describe(key, found[key]), _describe(key, self.made_of[key])
        return f"{self.out} holds {self.name}.*.npy made of {there}, not of {asked}"


def refuse_conflicts(recordings: Sequence[FeatureFiles]) -> None:
    """Raise a UserError where features of another recording, checkpoint or window stand in the place of some."""
    listed: dict[Path, set[str]] = {}
    conflicts = []
    for files in recordings:
        folder = files.origin.parent
        if folder not in listed:  # once, not for each of the 100,000 recordings in it
            listed[folder] = _names_in(folder)
        conflict = files.conflict(Path(files.name).name in listed[folder])
        conflicts += [(files, conflict)] if conflict else []
    if conflicts:
        raise _refusal(*conflicts[0], len(conflicts) - 1)


def refuse_newcomer(files: FeatureFiles) -> None:
    """Raise a UserError where another process has made these files of something else in the meantime."""
    conflict = files.conflict(files.times.exists())
    if conflict:
        raise _refusal(files, conflict, 0)


def version(path: str | Path) -> list[Any]:
    """Return path, bytes and time of the last change in ns, which differ between files, and after a change.

    Raises:
        UserError: there is no such file.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return [os.path.abspath(path), stat.st_size, stat.st_mtime_ns]


def _refusal(files: FeatureFiles, conflict: str, others: int) -> UserError:
    more = f" ({others} more recordings likewise)" if others else ""
    return UserError(
        f"{conflict}{more}; they stay as they are: name another folder, or remove {files.name}.json, "
        f"{files.name}.times.npy and {files.name}.layer-*.npy there"
    )


def _names_in(folder: Path) -> set[str]:
    """Return the names of the recordings of which features stand in a folder."""
    if not folder.is_dir():
        return set()
    found = (OUTPUT.fullmatch(name) for name in os.listdir(folder))
    return {match["name"] for match in found if match}


def is_whole(path: Path, shape: tuple[int, ...], dtype: str) -> bool:
    """Return whether a NumPy file holds an array of this shape and type, and all of its bytes."""
    try:
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0(file)
            size = file.tell() + math.prod(shape) * np.dtype(dtype).itemsize
            return header == (shape, False, np.dtype(dtype)) and os.fstat(file.fileno()).st_size == size
    except (OSError, ValueError):
        return False


def _describe(key: str, value: Any) -> str:
    if key == "window_seconds":
        return f"windows of {value} s" if value else "whole recordings, without windows"
    try:
        path, size, changed = value
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(changed / 1e9))
        return f"the {'recording' if key == 'audio' else key} {path} ({size} bytes, {date})"
    except (TypeError, ValueError):
        return f"an unknown {key}"
