"""Read what ``probe`` has found of frozen encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..json_files import read_json

Result = dict[str, Any]


def is_probe(result: Any) -> bool:
    """Return whether the content of a result.json is of ``probe``."""
    return isinstance(result, dict) and "task" in result and "checkpoints" in result


def read_probes(folders: Sequence[str | Path]) -> list[Result]:
    """Read each result.json of ``probe`` in the folders and one below them, in the order given.

    Raises:
        UserError: a folder has none, or a file cannot be read or lacks what is shown of it.
    """
    results = []
    for folder in folders:
        paths = sorted([*Path(folder).glob("result.json"), *Path(folder).glob("*/result.json")])
        found = {path: result for path in paths if is_probe(result := read_json(path))}
        if not found:
            raise UserError(f"`probes`: {folder} holds no result.json of probe: name the folder that it wrote to")
        for path, result in found.items():
            _check(path, result)
        results += found.values()
    return results


def _check(path: Path, result: Result) -> None:
    for name, is_right in SHOWN.items():
        if not is_right(result.get(name)):
            raise UserError(f"{path}: {name} is not as probe writes it: run probe again, or name another folder")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are(value: Any, is_right: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(is_right, value))


def _are_texts(value: Any) -> bool:
    return _are(value, _is_text)


def _is_table(value: Any) -> bool:
    if not isinstance(value, dict) or not _are_texts(headings := value.get("headings")):
        return False
    return _are(value.get("rows"), lambda row: _are_texts(row) and len(row) == len(headings))


def _is_checkpoint(value: Any) -> bool:
    """Return whether it has a name, and of each seed a share of each hidden state."""
    if not isinstance(value, dict) or not _is_text(value.get("name")):
        return False
    seeds = value.get("layer_weights")
    return bool(seeds) and _are(seeds, lambda one: one and _are(one, _is_share) and len(one) == len(seeds[0]))


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


SHOWN: Mapping[str, Callable[[Any], bool]] = {
    "task": _is_text,
    "head": _is_text,
    "description": _is_text,
    "splits": lambda value: bool(value) and _are_texts(value),
    "notes": _are_texts,
    "tables": lambda value: _are(value, _is_table),
    "checkpoints": lambda value: bool(value) and _are(value, _is_checkpoint),
}
