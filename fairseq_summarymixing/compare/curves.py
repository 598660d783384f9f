"""Keep a run's log as small text: JSON lines, of which the first describes the run and each other is a log line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import atomic_write
from ..text_files import read_lines
from .logs import LOGGED_FIELDS
from .run import Run

FORMAT = "fairseq-summarymixing curves 1"
# What says how a run goes, pre-training or fine-tuning; of the rest, such as epoch and words per second, a log is full
KEYS = (
    "loss",
    "loss_0",
    "nll_loss",
    "accuracy",
    "code_perplexity",
    "prob_perplexity",
    "temp",
    "uer",
    "wer",
    "gnorm",
    "lr",
    "ups",
    "wps",
    "wpb",
    "wall",
    "train_wall",
    "peak_memory_gb",
    "activation_mb_per_audio_second",
)
SPLITS = ("train", "valid")


def write_curves(run: Run, path: str | Path, about: Mapping[str, Any]) -> None:
    """Write a run's curves.

    Args:
        about: further fields of the first line, such as the machine and the command.

    Raises:
        UserError: the file cannot be written.
    """
    head = {
        "format": FORMAT,
        "name": run.name,
        "kind": run.kind,
        "updates": run.updates,
        "parameters": run.parameters,
        "model": _fields(run.model),
        "inner_model": _fields(run.inner_model),
        **about,
    }
    lines = [
        {"split": split, "updates": update, **_values(record)}
        for update in sorted({*run.train, *run.valid})
        for split, record in ((split, getattr(run, split).get(update)) for split in SPLITS)
        if record is not None
    ]
    with atomic_write(path) as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in [head, *lines])


def read_curves(path: str | Path) -> Run:
    """Read a file of :func:`write_curves`.

    Raises:
        UserError: it cannot be read, or is no such file.
    """
    lines = read_lines(path)
    try:
        head, *records = map(json.loads, lines)
        if head["format"] != FORMAT:
            raise ValueError
        fields = {key: head[key] for key in ("parameters", "model", "inner_model")}
        run = Run(head["name"], Path(path).parent, about=head, **fields)
        for record in records:
            values = {key: math.nan if value is None else value for key, value in record.items()}
            getattr(run, values.pop("split"))[values.pop("updates")] = values
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} holds no curves: expected JSON lines of which the first is an object with "
            f'"format": "{FORMAT}"; such a file is written by compare, one for each run'
        ) from error
    return run


def _fields(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(model[key]) for key in ("_name", *LOGGED_FIELDS) if model.get(key) is not None}


def _values(record: Mapping[str, float]) -> dict[str, float | None]:
    """Return what is kept of a log line; JSON has no NaN, so it becomes null."""
    return {key: record[key] if math.isfinite(record[key]) else None for key in KEYS if key in record}
