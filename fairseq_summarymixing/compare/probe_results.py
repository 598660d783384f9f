"""Read what ``probe`` has found of frozen encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..json_files import Check, are_texts, check_fields, is_list_of, is_number, is_text, read_json

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
            check_fields(path, result, SHOWN, "run probe again, or name another folder")
        results += found.values()
    return results


def _is_table(value: Any) -> bool:
    if not isinstance(value, dict) or not are_texts(headings := value.get("headings")):
        return False
    return is_list_of(lambda row: are_texts(row) and len(row) == len(headings))(value.get("rows"))


def _is_checkpoint(value: Any) -> bool:
    """Return whether it has a name, and of each seed a share of each hidden state."""
    if not isinstance(value, dict) or not is_text(value.get("name")):
        return False
    seeds = value.get("layer_weights")
    return bool(seeds) and is_list_of(lambda one: one and _are_shares(one) and len(one) == len(seeds[0]))(seeds)


_are_shares = is_list_of(lambda value: is_number(value) and 0 <= value <= 1)
SHOWN: Mapping[str, Check] = {
    "task": is_text,
    "head": is_text,
    "description": is_text,
    "splits": lambda value: bool(value) and are_texts(value),
    "notes": are_texts,
    "tables": is_list_of(_is_table),
    "checkpoints": lambda value: bool(value) and is_list_of(_is_checkpoint)(value),
}
