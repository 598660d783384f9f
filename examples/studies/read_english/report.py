"""The stage that writes RESULTS.md and its plots from OUT/results."""

from pathlib import Path
from typing import List, Optional

import numpy as np
from intervals import estimate, over_seeds, shown, student
from plots import draw
from results import COUNTS, Results, accuracy_at
from runs import MODELS, PAIR, SUMMARYMIXING, TITLES, TWIN
from trainings import FINETUNINGS

from fairseq_summarymixing.compat import require
from fairseq_summarymixing.files import atomic_write
from fairseq_summarymixing.tables import markdown

MISSING = "–"
LABELLED = {"one_hour": "1 h", "ten_minutes": "10 min"}
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the longest time that the pair has in common


def report(out: Path) -> Path:
    """Write OUT/RESULTS.md and the plots beside it. Returns its path."""
    require("report", "matplotlib", purpose="the report")
    results = Results(out / "results")
    sections = [
        summary(results),
        accuracy_by_updates(results),
        accuracy_by_time(results),
        probed(results),
        differences(results),
    ]
    plots = draw(results, out)
    figures = "".join(f"![{title}]({name})\n\n" for name, title in plots)
    with atomic_write(out / "RESULTS.md") as file:
        file.write("\n".join(section for section in sections if section) + f"\n{figures}{machines(results)}")
    return out / "RESULTS.md"


def summary(results: Results) -> str:
    """Return the table of all models."""
    headings = ["model", "seeds", "parameters", "updates", "valid accuracy", "s / update", "activation MB / s of audio"]
    headings += [f"test {kind} %, {LABELLED[labelled]}" for labelled in FINETUNINGS for kind in COUNTS]
    rows = []
    for model in (model for model in MODELS if results.pretraining[model]):
        runs, cost = results.pretraining[model].values(), results.cost(model)
        updates = min(run.updates for run in runs)
        last = over_seeds(accuracy_at(results.pretraining[model], updates) or [np.nan])
        row = [TITLES[model], str(len(runs)), f"{next(iter(runs)).parameters / 1e6:.1f} M"]
        row += [f"{updates:,}" if MODELS[model].is_trained else MISSING, shown(last, 3)]
        row += [number(cost and cost["seconds"], ".3f")]
        row += [number(next(iter(runs)).activation_mb_per_audio_second, ".2f")]
        row += [rate(results, labelled, model, kind) for labelled in FINETUNINGS for kind in COUNTS]
        rows.append(row)
    return f"## All models\n\n{markdown(headings, rows, (0,))}"


def number(value: Optional[float], form: str) -> str:
    return MISSING if value is None else format(value, form)


def rate(results: Results, labelled: str, model: str, kind: str) -> str:
    """Return an error rate on the test set in percent: the mean over seeds, with its interval."""
    found = list(results.errors(labelled, model, kind).values())
    if not found:
        return MISSING
    return shown(estimate([100 * one.errors for one in found], found[0].units), 1)


def accuracy_by_updates(results: Results) -> Optional[str]:
    """Return the table of accuracies on the validation set at equal updates, means over seeds."""
    models = trained_models(results)
    if not models:
        return None
    last = max(min(run.updates for run in results.pretraining[model].values()) for model in models)
    first = max(run.values("accuracy", True)[0][0] for model in models for run in results.pretraining[model].values())
    marks = sorted(
        {first, last, *(mark for mark in (500, 1000, 2000, 3000, 5000, 10000, 20000) if first < mark < last)}
    )
    rows = [[TITLES[model], *(cell(results, model, mark) for mark in marks)] for model in models]
    return f"## Accuracy at equal updates\n\n{markdown(['model', *(f'{mark:,}' for mark in marks)], rows, (0,))}"


def accuracy_by_time(results: Results) -> Optional[str]:
    """Return the table of accuracies on the validation set at equal times, of the models whose updates were timed."""
    seconds = {model: results.seconds_per_update(model) for model in trained_models(results)}
    models = [model for model in seconds if seconds[model]]
    totals = [
        seconds[model] * min(run.updates for run in results.pretraining[model].values())
        for model in models
        if model in PAIR
    ]
    if not totals:
        return None
    times = [share * min(totals) for share in SHARES]
    rows = [[TITLES[model], *(cell(results, model, time / seconds[model]) for time in times)] for model in models]
    table = markdown(["model", *(f"{time / 60:.3g} min" for time in times)], rows, (0,))
    note = "A slower model has not ended its schedule by then: its learning rate is not yet 0."
    return f"## Accuracy at equal time\n\n{table}\n{note}\n"


def probed(results: Results) -> Optional[str]:
    """Return the table of what the frozen encoders know."""
    probes = results.probes()
    models = [model for model in MODELS if any(model in probe.values for probe in probes)]
    rows = []
    for model in models:
        found = [probe.estimate(model) for probe in probes]
        rows.append([TITLES[model], *(shown(one, 1) if one else MISSING for one in found)])
    return f"## Probes\n\n{markdown(['model', *(probe.title for probe in probes)], rows, (0,))}" if rows else None


def cell(results: Results, model: str, updates: float) -> str:
    runs = results.pretraining[model]
    values = accuracy_at(runs, updates)
    return shown(over_seeds(values), 3) if len(values) == len(runs) else MISSING


def trained_models(results: Results) -> List[str]:
    return [model for model in MODELS if results.pretraining[model] and MODELS[model].is_trained]


def differences(results: Results) -> Optional[str]:
    """Return the table of SummaryMixing minus its twin, seed by seed."""
    ours, twin = (results.pretraining[model] for model in PAIR)
    both = sorted(ours.keys() & twin.keys())
    if not both:
        return None
    updates = min(side[seed].updates for side in (ours, twin) for seed in both)
    accuracies = [accuracy_at({seed: side[seed] for seed in both}, updates) for side in (ours, twin)]
    difference = shown(student(np.subtract(*accuracies)), 3, signed=True)
    rows = [[f"valid accuracy after {updates:,} updates", str(len(both)), difference]]
    rows += [row for labelled in FINETUNINGS for kind in COUNTS for row in difference_of(results, labelled, kind)]
    for probe in results.probes():
        found = probe.difference(*PAIR)
        if found:
            rows.append([f"probe {probe.title}", str(found[0]), shown(found[1], 1, signed=True)])
    return f"## SummaryMixing minus its twin\n\n{markdown(['', 'seeds', 'difference'], rows, (0,))}"


def difference_of(results: Results, labelled: str, kind: str) -> List[List[str]]:
    """Return a row of the table for an error rate on the test set, in percent; none where the pair was not decoded."""
    ours, twin = (results.errors(labelled, model, kind) for model in (SUMMARYMIXING, TWIN))
    seeds = sorted(ours.keys() & twin.keys())
    if not seeds:
        return []
    found = estimate([100 * (ours[seed].errors - twin[seed].errors) for seed in seeds], ours[seeds[0]].units)
    return [[f"test {kind} %, {LABELLED[labelled]}", str(len(seeds)), shown(found, 1, signed=True)]]


def machines(results: Results) -> str:
    """Return where the figures come from."""
    lines = set()
    for runs in results.pretraining.values():
        for run in runs.values():
            about = run.about
            versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
            lines.add(
                f"- pre-training: {about['device']}, {about['processor']}, {about['cores']} cores, "
                f"{about['trainings_at_once']} trainings at once; {versions}"
            )
    for model in trained_models(results):
        cost = results.cost(model)
        if cost:
            lines.add(f"- costs: {cost['device']}, {cost['processor']}, one training at a time")
    notes = (
        "Accuracy: of the contrastive task on `dev`; in brackets the smallest and largest over seeds, of the "
        "difference its 95 % interval by Student's t over seeds. Error rates and probes: means over seeds; in brackets "
        "95 % intervals of a bootstrap over seeds and test utterances (and the seeds of probes), of differences seed "
        "by seed and utterance by utterance. Over few seeds such intervals are too narrow."
    )
    return f"## Machines\n\n{notes}\n\n" + "\n".join(sorted(lines)) + "\n"
