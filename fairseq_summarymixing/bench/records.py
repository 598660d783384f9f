"""Read the records that ``bench run`` wrote."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..json_files import is_number
from ..text_files import read_lines

Record = dict[str, Any]

GROUP = ("work", "shape", "batch", "dtype", "device", "compiled")
"""Records that are alike in these stand in one table."""
OF_ALL = ("machine", "threads", "torch", "commit", "date", "repeat")


def _is_name(value: Any) -> bool:
    """Return whether a value may stand in a table and in a file's name."""
    return isinstance(value, str) and re.fullmatch(r"\w+", value) is not None


def _is_above_0(value: Any) -> bool:
    return is_number(value) and value > 0


def _is_amount(value: Any) -> bool:
    return is_number(value) and value >= 0


def _are_parts(value: Any) -> bool:
    names = ("forward", "backward", "activation_bytes")
    return isinstance(value, dict) and all(_is_amount(part[name]) for part in value.values() for name in names)


KEY = {
    **dict.fromkeys(("work", "shape", "dtype", "device", "candidate"), _is_name),
    **dict.fromkeys(("batch", "seconds"), _is_above_0),
    "compiled": lambda value: isinstance(value, bool),
}
MEASURED = {
    **dict.fromkeys(("step", "fastest_step", "slowest_step"), _is_above_0),
    "activation_bytes": _is_amount,
    "peak_bytes": lambda value: value is None or _is_amount(value),
    # NaN before torch 2.1, which counts no operations
    "floor_seconds": lambda value: _is_amount(value) or (isinstance(value, float) and math.isnan(value)),
}
PARTS = {"parts": _are_parts, "optimizer": _is_amount}


def read_records(paths: Sequence[str | Path]) -> list[Record]:
    """Return every record; of several records of one group, length and candidate, the last."""
    records: dict[tuple, Record] = {}
    for path in paths:
        lines = read_lines(path)
        for number, line in enumerate(lines, start=1):
            if not line.strip() or (len(lines) > 1 and line.startswith("{") and not line.endswith("}")):
                continue  # a run that was killed cut its last line, to which a later one may have appended
            try:
                record = json.loads(line)
                wrong = _wrong_field(record)
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                raise UserError(f"{path}:{number}: expected a record of bench run; found {line[:60]!r}") from error
            if wrong:
                found = json.dumps(record[wrong])[:60]
                raise UserError(f"{path}:{number}: {wrong} of a record of bench run cannot be {found}; remove the line")
            records[(*(record[name] for name in GROUP), record["seconds"], record["candidate"])] = record
    if not records:
        named = ", ".join(map(str, paths))
        raise UserError(f"{named} holds no records; make some with: fairseq-summarymixing bench run")
    return list(records.values())


def _wrong_field(record: Record) -> str | None:
    """Return the name of the first field whose value is of the wrong kind; a LookupError where a field is missing."""
    [record[name] for name in OF_ALL]
    if "skipped" in record:
        fields = {**KEY, "skipped": lambda value: isinstance(value, str)}
    else:
        fields = {**KEY, **MEASURED, **(PARTS if "parts" in record else {})}
    return next((name for name, is_right in fields.items() if not is_right(record[name])), None)


def title(record: Record) -> str:
    compiled = ", compiled" if record["compiled"] else ""
    return f"{record['work']}, {record['shape']}, batch of {record['batch']}, {record['dtype']}{compiled}"


def measured(group: Sequence[Record]) -> list[Record]:
    return [record for record in group if "skipped" not in record]


def part_names(group: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in measured(group) for name in record.get("parts", ())))
