"""Read what ``probe`` has found of frozen encoders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError

Result = dict[str, Any]


def is_probe(result: Any) -> bool:
    """Return whether the content of a result.json is of ``probe``."""
    return isinstance(result, dict) and "task" in result and "checkpoints" in result


def read_probes(folders: Sequence[str | Path]) -> list[Result]:
    """Read each result.json of ``probe`` in the folders and one below them, in the order given.

    Raises:
        UserError: a folder has none, or a file cannot be read.
    """
    results = []
    for folder in folders:
        paths = sorted([*Path(folder).glob("result.json"), *Path(folder).glob("*/result.json")])
        found = [result for path in paths if is_probe(result := _read(path))]
        if not found:
            raise UserError(f"`probes`: {folder} holds no result.json of probe: name the folder that it wrote to")
        results += found
    return results


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
