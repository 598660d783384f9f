"""Read the logs of a training: fairseq's JSON lines, and what it logs of model, size and GPU before."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path
from typing import IO, Any

from ..checkpoints.names import FINETUNED_PREFIX
from ..errors import UserError, counted
from ..input_files import check_file
from ..text_files import encoding_of
from .run import FINETUNING, LARGEST, Run, Series

# The first key of every JSON line that fairseq logs; hydra's log has time and name before it, log_file not.
RECORD = re.compile(r'\{"epoch": .*')
PARAMETERS = re.compile(r"num\. shared model params: (\d[\d,]{0,20})(?![\d,])")
TOTAL_MEMORY = re.compile(r"total memory = (\d{1,9}(?:\.\d{1,9})?) GB")
# fairseq logs its whole configuration as a Python dict that holds enums, which nothing reads back.
LOGGED_MODEL = re.compile(r"'model': \{'_name': '(\w+)'")
LOGGED_FIELDS = {
    "mixer": re.compile(r"'mixer': '?(\w+)'?"),
    "encoder_layer": re.compile(r"'encoder_layer': '(\w+)'"),
    "frontend": re.compile(r"'frontend': '(\w+)'"),
    "num_negatives": re.compile(r"'num_negatives': (\d{1,9})\b"),
}

MOST_UPDATES = 10**12
TIME = re.compile(r"^\[?20\d\d-\d\d-\d\d \d\d:\d\d:\d\d")  # of a line of fairseq's or of hydra's


def read_logs(run: Run) -> None:
    """Fill in what the logs of a run's folder hold, the oldest first.

    Raises:
        UserError: there is no log, or no JSON line in any.
    """
    logs = _in_order([path for path in run.folder.glob("*.log") if path.is_file()])
    if not logs:
        below = sorted(str(path.relative_to(run.folder)) for path in run.folder.glob("*/**/*.log"))[:3]
        hint = f"; there are {', '.join(below)}: name that folder" if below else ""
        raise UserError(
            f"{run.folder} has no *.log file; write the training's log there, with 2>&1 | tee -a "
            f"{run.folder}/train.log or common.log_file={run.folder}/train.log{hint}"
        )
    kinds: dict[str, Series] = {}
    for log in logs:
        _read_log(run, log, kinds)
    inner, epochs = kinds.pop("", {}), kinds.pop("train", {})
    subsets = {subset: series for subset, series in kinds.items() if series}
    run.train = inner or epochs
    if subsets:
        run.valid_subset = "valid" if "valid" in subsets else next(iter(subsets))
        run.valid = subsets[run.valid_subset]
        if len(subsets) > 1:
            run.notes.append(f"validation values are of {run.valid_subset}; logged too: {', '.join(sorted(subsets))}")
    if not run.train and not run.valid:
        listed = ", ".join(log.name for log in logs)
        raise UserError(f"{run.folder}: no JSON lines in {listed}; train with common.log_format=json")
    if not inner:
        run.notes.append("only end-of-epoch values were logged; set common.log_interval lower for more")


def _in_order(logs: list[Path]) -> list[Path]:
    """Sort by the time of the first line that has one; copies may lack the times of their files, which decide where a
    log has no such line."""
    begun = {log: _first_time(log) for log in logs}
    known = all(begun.values())
    return sorted(logs, key=lambda log: (begun[log] if known else "", log.stat().st_mtime, log.name))


def _first_time(log: Path) -> str | None:
    with _opened(log) as file:
        return next((found[0] for line in file if (found := TIME.search(line))), None)


def _read_log(run: Run, log: Path, kinds: dict[str, Series]) -> None:
    """Add a log's records to those of the logs before it, by their kind: "" for the running averages, else "train" or
    the validation subset."""
    broken = 0
    resumed = []
    with _opened(log) as file:
        for line in file:
            match = RECORD.search(line)
            if match is None:
                _read_heading(run, line)
                continue
            try:
                kind, update, record = _parse(json.loads(match[0]))
            except (ValueError, LookupError, RecursionError):
                broken += 1
                continue
            series = kinds.setdefault(kind, {})
            # The same record again is a second log of the same updates, such as hydra's beside common.log_file.
            if series and update < next(reversed(series)) and series.get(update) != record:
                _forget_after(update, kinds)
                resumed.append(update)
            series[update] = record
    if broken:
        run.notes.append(f"{log.name}: {counted(broken, 'unreadable line')} left out (a line cut short?)")
    if resumed:
        run.notes.append(f"{log.name}: went back to update {', '.join(map(str, resumed[:5]))} after a restart")


def _forget_after(update: int, kinds: dict[str, Series]) -> None:
    """Remove later records: the run went back to a checkpoint, and what it did after that is gone from the model."""
    for series in kinds.values():
        for later in [number for number in series if number > update]:
            del series[later]


def _opened(log: Path) -> IO[str]:
    check_file(log)
    try:
        with open(log, "rb") as file:
            encoding = encoding_of(file.read(2))  # PowerShell's redirection writes UTF-16
        return open(log, encoding=encoding, errors="replace")
    except OSError as error:
        raise UserError(f"cannot read {log}: {error.strerror}") from error


def _parse(raw: dict[str, Any]) -> tuple[str, int, dict[str, float]]:
    """Return (kind, update, values) of one JSON line; raises KeyError if the line does not name its update, and
    ValueError if that is no number of updates."""
    if "num_updates" in raw:
        kind, prefix = "", ""
    else:
        key = next((key for key in raw if key.endswith("_num_updates")), None)
        if key is None:
            raise KeyError("num_updates")
        kind = key[: -len("_num_updates")]
        prefix = f"{kind}_"
    values = {}
    for key, value in raw.items():
        if key.startswith(prefix):
            name = key[len(prefix) :]
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                number = float(value)
                values[name] = number if abs(number) <= LARGEST else math.nan
    if not 0 <= values["num_updates"] <= MOST_UPDATES:
        raise ValueError(f"no number of updates: {values['num_updates']}")
    return kind, int(values["num_updates"]), values


def _read_heading(run: Run, line: str) -> None:
    """Take what fairseq logs before training: model, size, GPU."""
    if (found := PARAMETERS.search(line)) is not None:
        run.parameters = int(found[1].replace(",", ""))
    elif (found := TOTAL_MEMORY.search(line)) is not None:
        run.total_memory_gb = float(found[1])
    elif (found := LOGGED_MODEL.search(line)) is not None:
        fields = {"_name": found[1]}
        for name, pattern in LOGGED_FIELDS.items():
            if (value := pattern.search(line, found.end())) is not None:
                fields[name] = value[1]
        # Fine-tuning logs its own configuration and then that of the model it starts from.
        if run.kind_by_name == FINETUNING and not found[1].startswith(FINETUNED_PREFIX):
            run.inner_model = fields
        else:
            run.model = fields
