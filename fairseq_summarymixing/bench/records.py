"""Read the records that ``bench run`` wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..text_files import read_lines

Record = dict[str, Any]

GROUP = ("work", "shape", "batch", "dtype", "device", "compiled")
"""Records that are alike in these stand in one table."""
# Fields in records of earlier versions, and their names now
FORMER_NAMES = {"saved_bytes": "activation_bytes"}
OF_ALL = ("machine", "threads", "torch", "commit", "date", "repeat")
MEASURED = (
    "step",
    "fastest_step",
    "slowest_step",
    "activation_bytes",
    "peak_bytes",
    "floor_seconds",
)


def read_records(paths: Sequence[str | Path]) -> list[Record]:
    """Return every record; of several records of one group, length and candidate, the last."""
    records: dict[tuple, Record] = {}
    for path in paths:
        lines = read_lines(path)
        for number, line in enumerate(lines, start=1):
            if not line.strip() or (len(lines) > 1 and line.startswith("{") and not line.endswith("}")):
                continue  # a run that was killed cut its last line, to which a later one may have appended
            try:
                record = json.loads(line, object_hook=_renamed)
                key = (*(record[name] for name in GROUP), record["seconds"], record["candidate"])
                [record[name] for name in (*OF_ALL, *(() if "skipped" in record else MEASURED))]
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                raise UserError(f"{path}:{number}: expected a record of bench run; found {line[:60]!r}") from error
            records[key] = record
    if not records:
        named = ", ".join(map(str, paths))
        raise UserError(f"{named} holds no records; make some with: fairseq-summarymixing bench run")
    return list(records.values())


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    return {FORMER_NAMES.get(name, name): value for name, value in fields.items()}


def title(record: Record) -> str:
    compiled = ", compiled" if record["compiled"] else ""
    return f"{record['work']}, {record['shape']}, batch of {record['batch']}, {record['dtype']}{compiled}"


def measured(group: Sequence[Record]) -> list[Record]:
    return [record for record in group if "skipped" not in record]


def part_names(group: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in measured(group) for name in record.get("parts", ())))
