"""Read what the runs of ``mp3s run`` have left, and average it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...json_files import Check, are_texts, check_fields, is_list_of, is_number, is_text, read_json
from .cells import RESULT, SETTINGS
from .recipes import RECIPES

Result = Mapping[str, Any]


def read_results(out: str | Path) -> tuple[list[Result], list[Path]]:
    """Return the results of all runs below OUT/runs, in the table's order and, of each task, in the order in which the
    checkpoints were given; and the folders of runs without one.

    Raises:
        UserError: there is no run, or a result is damaged.
    """
    runs = Path(out) / "runs"
    results, without = [], []
    for settings in sorted(runs.glob(f"*/*/*/{SETTINGS}")):
        path = settings.with_name(RESULT)
        if not path.is_file():
            without.append(path.parent)
            continue
        results.append(_read(path))
    if not results:
        raise UserError(f"{runs} holds no run with a score; make some with: fairseq-summarymixing mp3s run -o {out}")
    order = list(RECIPES)
    return sorted(results, key=lambda one: (order.index(one["task"]), one["place"], one["seed"])), without


def models_of(results: Sequence[Result]) -> list[str]:
    """Return the names of the models, in the order in which they were given."""
    return list(dict.fromkeys(result["model"] for result in sorted(results, key=lambda result: result["place"])))


def scores_of_seeds(results: Sequence[Result], task: str, model: str, test: str) -> tuple[dict[int, float], list[str]]:
    """Return a model's score by seed, and why seeds have none: the mean over test speakers needs all of them."""
    by_seed: dict[int, list[float]] = {}
    for result in results:
        if (result["task"], result["model"]) == (task, model):
            by_seed.setdefault(result["seed"], []).append(result["scores"][test])
    needed = len(RECIPES[task].speakers) or 1
    incomplete = [
        f"{task}, {model}, seed {seed}: {len(found)} of {needed} test speakers"
        for seed, found in by_seed.items()
        if len(found) < needed
    ]
    return {seed: statistics.mean(found) for seed, found in by_seed.items() if len(found) == needed}, incomplete


def layer_weights(results: Sequence[Result], task: str, model: str) -> list[list[float]]:
    """Return the weights of the hidden states of each of a model's runs of a task."""
    return [result["layer_weights"] for result in results if (result["task"], result["model"]) == (task, model)]


def _read(path: Path) -> Result:
    result, remedy = read_json(path), "remove its folder, and run it again"
    check_fields(path, result, NEEDED, remedy)
    check_fields(path, result["settings"], SETTINGS_NEEDED, remedy)
    check_fields(path, result["scores"], dict.fromkeys(RECIPES[result["task"]].tests, is_number), remedy)
    return result


def _is_count(value: Any) -> bool:
    return isinstance(value, int)


def _is_part(value: Any) -> bool:
    """Return whether it is a :class:`.corpora.Count`."""
    return isinstance(value, dict) and value.keys() >= {"what", "found", "published", "missing"}


NEEDED: Mapping[str, Check] = {
    "task": lambda value: is_text(value) and value in RECIPES,
    "model": is_text,
    "place": _is_count,
    "seed": _is_count,
    "speaker": lambda value: value is None or _is_count(value),
    "scores": lambda value: isinstance(value, dict),
    "layer_weights": is_list_of(is_number),
    "seconds": is_number,
    "versions": lambda value: isinstance(value, dict) and are_texts(list(value.values())),
    "device": is_text,
    "settings": lambda value: isinstance(value, dict),
    "corpus": is_list_of(_is_part),
}
SETTINGS_NEEDED: Mapping[str, Check] = {
    "options": lambda value: True,
    "epochs": lambda value: value is None or _is_count(value),
    "normalised": lambda value: True,
    "benchmark": is_text,
    "corpus": lambda value: True,
}
