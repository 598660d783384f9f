"""Draw the weights that probes give to the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ...compat import require
from ...files import atomic_write
from ...layer_weights import plot_layer_weights
from .recipes import RECIPES
from .results import Result, layer_weights, models_of

COLUMNS = 3


def draw_layer_weights(results: Sequence[Result], path: Path) -> Path:
    """Write a PNG with a panel for each task and a line for each model over its hidden states, from the input of the
    first layer to the output of the last; returns its path.

    Raises:
        UserError: matplotlib is not installed.
    """
    require("report", "matplotlib", purpose="mp3s report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks, models = list(dict.fromkeys(result["task"] for result in results)), models_of(results)
    rows = math.ceil(len(tasks) / COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 0.6 + 2.6 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axes, task in zip(panels, tasks):
        plot_layer_weights(axes, [(model, layer_weights(results, task, model)) for model in models])
        axes.set_title(RECIPES[task].title, loc="left", fontsize=10)
        axes.set_xlabel("hidden state", fontsize=9)
        axes.grid(alpha=0.3)
    for axes in list(figure.axes)[len(tasks) :]:
        axes.set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()  # a model without runs of this task has an empty line
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=4)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")
    return path
