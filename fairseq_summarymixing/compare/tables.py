"""Format the numbers of runs as rows of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .run import PRETRAINING, Run

MISSING = "–"


def table(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Return (headings, one row per run) of runs of one kind.

    A value that a run does not have is a dash; a value that no run has gets no column.
    """
    columns = _pretraining_columns() if runs[0].kind == PRETRAINING else _finetuning_columns()
    cells = [(heading, [cell(run) for run in runs]) for heading, cell in columns]
    known = [(heading, column) for heading, column in cells if set(column) != {MISSING}]
    return [heading for heading, _ in known], [list(row) for row in zip(*(column for _, column in known))]


def summary(run: Run) -> dict[str, Any]:
    """Return the table's numbers as numbers, for compare.json; not-a-number becomes None."""
    numbers = {
        "parameters": run.parameters,
        "updates": run.updates,
        "train_loss": run.last("loss"),
        "valid_loss": run.last("loss", valid=True),
        "valid_accuracy": run.last("accuracy", valid=True),
        "valid_code_perplexity": run.last("code_perplexity", valid=True),
        "valid_wer": run.last("wer", valid=True),
        "chance_accuracy": run.chance_accuracy,
        "seconds_per_update": run.seconds_per_update,
        "peak_memory_gb": run.peak_memory_gb,
        "activation_mb_per_audio_second": run.activation_mb_per_audio_second,
    }
    return {
        "name": run.name,
        "folder": str(run.folder),
        "kind": run.kind,
        "architecture": run.architecture,
        "valid_subset": run.valid_subset,
        **{key: value if value is None or math.isfinite(value) else None for key, value in numbers.items()},
        "decodes": run.decodes,
        "notes": run.notes,
    }


def error_rates(run: Run) -> str:
    """Format every decode of a run: split, WER and its 95 % interval, in percent."""
    texts = []
    for decode in run.decodes:
        low, high = decode["wer_ci"]
        split = f"{decode.get('split', decode['folder'])} " if len(run.decodes) > 1 else ""
        texts.append(f"{split}{decode['wer']:.1f} ({low:.1f} to {high:.1f})")
    return "; ".join(texts) or MISSING


def character_error_rates(run: Run) -> str:
    """Format the CER of every decode, in percent, in the order of :func:`error_rates`."""
    return "; ".join(f"{decode['cer']:.1f}" for decode in run.decodes if "cer" in decode) or MISSING


Column = tuple[str, Callable[[Run], str]]


def _pretraining_columns() -> list[Column]:
    return [
        *_common_columns(),
        ("valid accuracy", lambda run: number(run.last("accuracy", valid=True), 3)),
        ("code perplexity", lambda run: number(_last_of_both(run, "code_perplexity"), 1)),
        *_cost_columns(),
    ]


def _finetuning_columns() -> list[Column]:
    return [
        *_common_columns(),
        ("valid WER %", lambda run: number(run.last("wer", valid=True), 1)),
        ("CER %", character_error_rates),
        *_cost_columns(),
    ]


def _common_columns() -> list[Column]:
    return [
        ("run", lambda run: run.name),
        ("model / mixer", lambda run: run.architecture),
        ("parameters", lambda run: count(run.parameters)),
        ("updates", lambda run: f"{run.updates:,}"),
        ("train loss", lambda run: number(run.last("loss"), 3)),
        ("valid loss", lambda run: number(run.last("loss", valid=True), 3)),
    ]


def _cost_columns() -> list[Column]:
    return [
        ("s / update", lambda run: number(run.seconds_per_update, 3)),
        ("peak GB", lambda run: number(run.peak_memory_gb, 1)),
        ("activation MB / s of audio", lambda run: number(run.activation_mb_per_audio_second, 2)),
        ("WER % (95 % CI)", error_rates),
    ]


def _last_of_both(run: Run, key: str) -> float | None:
    value = run.last(key, valid=True)
    return run.last(key) if value is None else value


def number(value: float | None, decimals: int) -> str:
    if value is None:
        return MISSING
    return f"{value:.{decimals}f}" if math.isfinite(value) else "not a number"


def count(value: int | None) -> str:
    """Format a number as 95.0 M, 40.7 k or 512."""
    if value is None:
        return MISSING
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {letter}"
    return str(value)
