"""Tabulate what probes scored, with intervals and paired tests, and write it down."""

from __future__ import annotations

import csv
import itertools
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...files import atomic_write
from ...tables import aligned, markdown
from .cells import TABLE
from .scores import Score, interval, mean, p_value, resample
from .task import Task


class Probed(NamedTuple):
    """What came of one checkpoint."""

    name: str
    scores: list[dict[str, Score]]
    """Of each seed, by the task's figures."""
    shares: list[list[float]]
    """Of each seed, of each hidden state."""
    described: dict[str, Any]
    """More for ``result.json``."""


class Draws(NamedTuple):
    """A figure of a checkpoint on each resampled test set, which are the same for all checkpoints of a result."""

    figure: str
    name: str
    values: np.ndarray


def compile_result(
    task: Task, probed: Sequence[Probed], described: dict[str, Any]
) -> tuple[dict[str, Any], list[Draws]]:
    """Return what ``result.json`` and ``bootstrap.tsv`` hold; rates are in percent."""
    checkpoints: list[dict[str, Any]] = [
        {"name": one.name, **one.described, "layer_weights": one.shares, "figures": {}} for one in probed
    ]
    pairs, draws = [], []
    for name in task.figures:
        scores = [[of_seed[name] for of_seed in one.scores] for one in probed]
        values = resample(scores)
        for checkpoint, of_seeds, row in zip(checkpoints, scores, values):
            draws.append(Draws(name, checkpoint["name"], 100 * row))
            checkpoint["figures"][name] = {
                "value": _percent(mean(of_seeds)),
                "ci": [_percent(edge) for edge in interval(row)],
                "seeds": [_percent(score.value()) for score in of_seeds],
            }
        for first, second in itertools.combinations(range(len(probed)), 2):
            differences = values[first] - values[second]
            pairs.append(
                {
                    "figure": name,
                    "first": probed[first].name,
                    "second": probed[second].name,
                    "difference": _percent(mean(scores[first]) - mean(scores[second])),
                    "ci": [_percent(edge) for edge in interval(differences)],
                    "p": round(p_value(differences), 4),
                }
            )
    titles = {name: figure._asdict() for name, figure in task.figures.items()}
    edges = [note for one in probed for note in _edge(one.name, one.described["rate"], described["rates"])]
    notes = [*described["notes"], *edges]
    result = {**described, "notes": notes, "figures": titles, "checkpoints": checkpoints, "pairs": pairs}
    tables = [table(result)] + ([pair_table(result)] if pairs else [])
    return {**result, "tables": [{"headings": headings, "rows": rows} for headings, rows in tables]}, draws


def table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and a row for each checkpoint."""
    figures = result["figures"]
    headings = ["checkpoint"]
    for figure in figures.values():
        headings += [figure["title"], "95 % CI", "SD of seeds"]
    headings += ["learning rate", "heaviest layer"]
    rows = []
    for checkpoint in result["checkpoints"]:
        row = [checkpoint["name"]]
        for name in figures:
            found = checkpoint["figures"][name]
            seeds = found["seeds"]
            spread = f"{statistics.stdev(seeds):.1f}" if len(seeds) > 1 else "–"
            row += [f"{found['value']:.1f}", "{:.1f} to {:.1f}".format(*found["ci"]), spread]
        shares = [statistics.fmean(column) for column in zip(*checkpoint["layer_weights"])]
        heaviest = max(range(len(shares)), key=shares.__getitem__)
        rows.append([*row, f"{checkpoint['rate']:g}", f"{heaviest} of {len(shares) - 1} ({shares[heaviest]:.2f})"])
    return headings, rows


def pair_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and a row for each pair of checkpoints and figure."""
    rows = [
        [
            f"{pair['first']} – {pair['second']}",
            result["figures"][pair["figure"]]["title"],
            f"{pair['difference']:+.1f}",
            "{:+.1f} to {:+.1f}".format(*pair["ci"]),
            f"{pair['p']:.3f}",
        ]
        for pair in result["pairs"]
    ]
    return ["difference", "of", "mean", "95 % CI", "p"], rows


def text(result: dict[str, Any]) -> str:
    """Return the tables for a terminal."""
    return "\n\n".join(aligned(each["headings"], each["rows"]) for each in result["tables"])


def write_result(folder: Path, result: dict[str, Any], draws: Sequence[Draws]) -> None:
    """Write ``bootstrap.tsv``, ``result.json`` and ``result.md``."""
    with atomic_write(folder / "bootstrap.tsv") as file:
        rows = ([figure, name, *(f"{value:.4f}" for value in values)] for figure, name, values in draws)
        csv.writer(file, **TABLE).writerows(rows)
    with atomic_write(folder / "result.json") as file:
        json.dump(result, file, indent=1, ensure_ascii=False)
        file.write("\n")
    with atomic_write(folder / "result.md") as file:
        tables = (markdown(each["headings"], each["rows"], text_columns=(0,)) for each in result["tables"])
        notes = "".join(f"- {note}\n" for note in result["notes"])
        file.write("\n".join([f"{result['description']}\n", *tables, notes]))


def _edge(name: str, rate: float, rates: Sequence[float]) -> list[str]:
    """Return a note where a better learning rate may be beyond those that were tried."""
    kind = {max(rates): "highest", min(rates): "lowest"}.get(rate) if len(rates) > 1 else None
    return [f"{name}: the learning rate {rate:g} is the {kind} of those tried"] if kind else []


def _percent(value: float) -> float | None:
    """Return percent with four digits; JSON has no NaN, so it becomes null."""
    return round(100 * value, 4) if math.isfinite(value) else None
