"""Run ``mp3s report``: the table of scores beside the published ones, what was run otherwise, the layers' weights."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import counted, duration
from ...files import atomic_write
from ...tables import markdown
from .differences import differences
from .environment import PUBLISHED_COMMIT, PUBLISHED_DIGEST
from .layer_plots import draw_layer_weights
from .published import PROBE_OF_PAPER, PUBLISHED
from .recipes import ACCURACY, RECIPES
from .results import Result, models_of, read_results, scores_of_seeds

NONE = "–"


def report(out: str | Path) -> str:
    """Write OUT/report.md, report.json and layer_weights.png of all runs below OUT; returns the text of report.md.

    Raises:
        UserError: there is no run with a score, a result is damaged, or matplotlib is missing.
    """
    out = Path(out)
    results, without = read_results(out)
    plots = draw_layer_weights(results, out / "layer_weights.png")
    models = models_of(results)
    tables = list(_table(results, models))
    text = "\n".join(
        [
            "# MP3S\n",
            _scores(tables, models),
            _notes("What was run otherwise than published", differences(results)),
            _notes("Incomplete", _incomplete(results, models, without)),
            _notes("Versions", _versions(results)),
            f"## Layers\n\nSoftmax weights of the hidden states, means over runs.\n\n![]({plots.name})\n",
        ]
    )
    with atomic_write(out / "report.md") as file:
        file.write(text)
    with atomic_write(out / "report.json") as file:
        json.dump({"scores": tables, "runs": results}, file, indent=1)
    return text


def _table(results: Sequence[Result], models: Sequence[str]) -> Iterator[dict]:
    """Yield a row for each task and test set that was run: scores by model and seed."""
    for task, recipe in RECIPES.items():
        if any(result["task"] == task for result in results):
            for test in recipe.tests:
                scores = {model: scores_of_seeds(results, task, model, test)[0] for model in models}
                yield {"task": task, "test": test, "metric": recipe.metric, "scores": scores}


def _scores(rows: Sequence[dict], models: Sequence[str]) -> str:
    head = ["task, probe", "test", "metric", *models, *(f"{one.model} (published)" for one in PUBLISHED)]
    lines = []
    for row in rows:
        published = [one.scores.get((row["task"], row["test"])) for one in PUBLISHED]
        lines.append(
            [
                RECIPES[row["task"]].title,
                row["test"],
                f"{row['metric']} % {'↑' if row['metric'] == ACCURACY else '↓'}",
                *(mean_and_deviation(list(row["scores"][model].values())) for model in models),
                *(NONE if value is None else f"{value:.2f}".rstrip("0").rstrip(".") for value in published),
            ]
        )
    sources = "; ".join(
        f"{source}: {', '.join(one.model for one in PUBLISHED if one.source == source)}"
        for source in dict.fromkeys(one.source for one in PUBLISHED)
    )
    seeds = "Means over seeds, with standard deviation and number of seeds where there are several. "
    return f"{markdown(head, lines, text_columns=(0, 1, 2))}\n{seeds}Published: {sources}. {PROBE_OF_PAPER}.\n"


def mean_and_deviation(values: Sequence[float]) -> str:
    """Format scores of several seeds: mean, standard deviation (of a sample), number."""
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else NONE
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f} ({len(values)})"


def _notes(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n" if lines else ""


def _incomplete(results: Sequence[Result], models: Sequence[str], without: Sequence[Path]) -> list[str]:
    lines = [f"no score: {folder}/output.log" for folder in without]
    for row in _table(results, models):
        seeds = {seed for scores in row["scores"].values() for seed in scores}
        for model, scores in row["scores"].items():
            lines += scores_of_seeds(results, row["task"], model, row["test"])[1]
            missing = sorted(seeds - set(scores))
            lines += [f"{row['task']}, {row['test']}, {model}: no score of seed {seed}" for seed in missing]
    return lines


def _versions(results: Sequence[Result]) -> list[str]:
    lines = []
    for name in results[0]["versions"]:
        lines.append(f"{name} {', '.join(dict.fromkeys(result['versions'].get(name, NONE) for result in results))}")
    for digest in dict.fromkeys(result["settings"]["benchmark"] for result in results):
        is_known = digest == PUBLISHED_DIGEST
        commit = (
            f"commit {PUBLISHED_COMMIT}"
            if is_known
            else f"another state than commit {PUBLISHED_COMMIT} (digest {digest})"
        )
        lines.append(f"speechbrain/benchmarks, {commit}")
    seconds = sum(result["seconds"] for result in results)
    devices = ", ".join(dict.fromkeys(result["device"] for result in results))
    return [*lines, f"{counted(len(results), 'run')}, {duration(seconds)} on {devices}"]
