"""Name and check the files that ``features`` writes for a recording, and record what they were made of."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, counted
from ..json_files import read_json
from .feature_formats import FeatureFormat

OUTPUT = re.compile(r"(?P<name>.+)\.((times|layer-\d+)\.npy|npz|safetensors)", re.DOTALL)


@dataclass(frozen=True)
class FeatureFiles:
    """The files of a recording: those of a :class:`.feature_formats.FeatureFormat`, and OUT/NAME.json, which records
    what they were made of.

    Attributes:
        made_of: "audio" and "checkpoint", each as path, bytes and time of its last change in ns; "window_seconds";
            "dtype", of products' factors.
        format: how the arrays are stored.
    """

    out: Path
    name: str
    made_of: dict[str, Any]
    format: FeatureFormat

    @property
    def base(self) -> Path:
        """The files' path without their endings."""
        return self.out / self.name

    @property
    def origin(self) -> Path:
        return self.out / f"{self.name}.json"

    def read_origin(self) -> dict[str, Any] | None:
        """Read OUT/NAME.json; None where there is no such file, or it is another program's."""
        try:
            found = read_json(self.origin)
        except UserError:
            return None
        return found if self.made_of.keys() <= found.keys() else None

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
        return f"{self.out} holds features of {self.name} made of {there}, not of {asked}"

    def patterns(self) -> list[str]:
        """Return the names of all files of the recording, for people."""
        arrays = dict.fromkeys(self.format.path(Path(self.name), name).name for name in ("times", "layer-*"))
        folder = os.path.dirname(self.name)
        return [f"{self.name}.json", *(os.path.join(folder, name) for name in arrays)]


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


def refuse_other_dtype(out: Path, dtype: str) -> None:
    """Raise a UserError where features in ``out``, of any recording, were made with another dtype: their files look the
    same. The first ones are looked at, for all that stand there have one."""
    found = (
        (name, _recorded_dtype(Path(folder) / f"{name}.json"))
        for folder, _, _ in os.walk(out)
        for name in sorted(_names_in(Path(folder)))
    )
    name, there = next(((name, there) for name, there in found if there is not None), ("", dtype))
    if there != dtype:
        raise UserError(
            f"{out} holds features of {name} made of {_describe('dtype', there)}, not of {_describe('dtype', dtype)}: "
            f"use `dtype` {there}, or name another folder"
        )


def _recorded_dtype(origin: Path) -> str | None:
    """Return the dtype that OUT/NAME.json records; None where it is not ours."""
    try:
        found = read_json(origin)
    except UserError:
        return None
    return found["dtype"] if {"audio", "checkpoint", "dtype"} <= found.keys() else None


def refuse_newcomer(files: FeatureFiles) -> None:
    """Raise a UserError where another process has made these files of something else in the meantime."""
    conflict = files.conflict(files.format.path(files.base, "times").exists())
    if conflict:
        raise _refusal(files, conflict, 0)


def version(path: str | Path, name: str | None = None) -> list[Any]:
    """Return path, bytes and time of the last change in ns, which differ between files, and after a change.

    Args:
        name: in the path's place: of a part of that file.

    Raises:
        UserError: there is no such file.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return [os.path.abspath(name or path), stat.st_size, stat.st_mtime_ns]


def _refusal(files: FeatureFiles, conflict: str, others: int) -> UserError:
    more = f" ({counted(others, 'more recording')} likewise)" if others else ""
    *others_of, last = files.patterns()
    return UserError(
        f"{conflict}{more}; they stay as they are: name another folder, or remove {', '.join(others_of)} and {last} "
        "there"
    )


def _names_in(folder: Path) -> set[str]:
    """Return the names of the recordings of which features stand in a folder."""
    if not folder.is_dir():
        return set()
    found = (OUTPUT.fullmatch(name) for name in os.listdir(folder))
    return {match["name"] for match in found if match}


def _describe(key: str, value: Any) -> str:
    if key == "window_seconds":
        return f"windows of {value} s" if value else "whole recordings, without windows"
    if key == "dtype":
        return f"products in {value}"
    try:
        path, size, changed = value
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(changed / 1e9))
        return f"the {'recording' if key == 'audio' else key} {path} ({size} bytes, {date})"
    except (TypeError, ValueError):
        return f"an unknown {key}"
