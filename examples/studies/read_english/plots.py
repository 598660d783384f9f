"""Draw the study's curves and error rates."""

from pathlib import Path
from typing import List, Tuple

import numpy as np
from intervals import estimate
from results import Results
from runs import MODELS, TITLES

from fairseq_summarymixing.compare.plots import COLOURS, GREY
from fairseq_summarymixing.files import atomic_write

COLOUR_OF = dict(zip(MODELS, (*COLOURS, GREY)))


def draw(results: Results, out: Path) -> List[Tuple[str, str]]:
    """Write the plots into ``out``. Returns their names and titles."""
    plots = [
        ("accuracy.png", "Accuracy on the validation set against updates and against time", draw_accuracy),
        ("errors.png", "WER on the test set", draw_errors),
    ]
    return [(name, title) for name, title, draw_it in plots if draw_it(results, out / name)]


def draw_accuracy(results: Results, path: Path) -> bool:
    """Draw every run by updates on the left, and those whose model's updates were timed by time on the right."""
    figure, (by_updates, by_time) = new_figure(2)
    for model, colour in COLOUR_OF.items():
        runs = results.pretraining[model].values() if MODELS[model].is_trained else []
        for index, run in enumerate(runs):
            updates, values = run.values("accuracy", valid=True)
            label = TITLES[model].replace("`", "") if index == 0 else None
            by_updates.plot(updates, values, color=colour, linewidth=1.2, label=label)
            seconds = results.seconds_per_update(model)
            if seconds:
                by_time.plot(np.array(updates) * seconds / 60, values, color=colour, linewidth=1.2)
    by_updates.set_xlabel("updates")
    by_time.set_xlabel("minutes")
    by_updates.set_ylabel("accuracy")
    if by_updates.get_legend_handles_labels()[0]:
        by_updates.legend(frameon=False, fontsize=8)
    return save(figure, path)


def draw_errors(results: Results, path: Path) -> bool:
    """Draw each model's WER after fine-tuning on one hour and on ten minutes."""
    figure, panels = new_figure(2)
    drawn = False
    for axes, (labelled, title) in zip(panels, {"one_hour": "one hour", "ten_minutes": "ten minutes"}.items()):
        names = []
        for model, colour in COLOUR_OF.items():
            found = list(results.errors(labelled, model, "WER").values())
            if found:
                mean, low, high = estimate([100 * one.errors for one in found], found[0].units)
                error = [[mean - low], [high - mean]]
                axes.barh(len(names), mean, xerr=error, color=colour, height=0.6, capsize=3)
                names.append(TITLES[model].replace("`", ""))
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel(f"test WER %, {title}")
        drawn = drawn or bool(names)
    return drawn and save(figure, path)


def new_figure(panels: int):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * panels, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(color="#e3e6ec", linewidth=0.8)
        each.set_axisbelow(True)
    return figure, axes


def save(figure, path: Path) -> bool:
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")
    return True
