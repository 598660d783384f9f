"""How runs of the recipes differ from the published benchmark, and from each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .recipes import EPOCHS, RECIPES
from .results import Result, models_of

ALWAYS = (
    "The encoder computes in evaluation mode, without gradients; as published, SpeechBrain keeps its dropout on.",
    "The model gets the lengths of padded recordings, as the papers' did; the benchmark's own scripts pass none.",
)


def differences(results: Sequence[Result]) -> list[str]:
    """Return the differences as sentences in Markdown; those in bold make scores incomparable with the published ones,
    or with each other."""
    tasks = list(dict.fromkeys(result["task"] for result in results))
    with_epochs = {result["task"] for result in results if result["settings"]["epochs"] is not None}
    recipes = [
        f"{RECIPES[task].title}: {difference}."
        for task in tasks
        for difference in RECIPES[task].differences
        if difference != EPOCHS or task not in with_epochs
    ]
    return [*ALWAYS, *recipes, *_normalised(results), *_epochs(results), *_mixed(results, tasks), *_corpora(results)]


def _normalised(results: Sequence[Result]) -> list[str]:
    names = {result["model"] for result in results if result["settings"]["normalised"]}
    shown = ", ".join(name for name in models_of(results) if name in names)
    return [f"Waveforms are normalised, as in pre-training, for {shown}; SpeechBrain does not."] if names else []


def _epochs(results: Sequence[Result]) -> list[str]:
    by_epochs: dict[int, dict[str, None]] = {}
    for result in results:
        if result["settings"]["epochs"] is not None:
            by_epochs.setdefault(result["settings"]["epochs"], {})[result["task"]] = None
    return [
        f"**--epochs {epochs} in place of the recipes': {', '.join(tasks)}.**" for epochs, tasks in by_epochs.items()
    ]


def _mixed(results: Sequence[Result], tasks: Sequence[str]) -> list[str]:
    """Return the tasks whose runs differ in what all should share."""
    lines = []
    for task in tasks:
        settings = [result["settings"] for result in results if result["task"] == task]
        shared = ("options", "epochs", "benchmark", "corpus")
        mixed = [name for name in shared if any(one[name] != settings[0][name] for one in settings)]
        lines += [f"**{task}: runs differ in {', '.join(mixed)}.**"] if mixed else []
    return lines


def _corpora(results: Sequence[Result]) -> list[str]:
    lines = []
    for name, counts in {RECIPES[result["task"]].corpus: result["corpus"] for result in results}.items():
        parts = [
            _part(count) for count in counts if count["missing"] or count["published"] not in (None, count["found"])
        ]
        lines += [f"**{name} is not the whole corpus: {', '.join(parts)}.**"] if parts else []
    return lines


def _part(count: Mapping[str, Any]) -> str:
    published = "" if count["published"] is None else f" of {count['published']}"
    return f"{count['what']} {count['found']}{published}" + f" ({count['missing']} files missing)" * bool(
        count["missing"]
    )
