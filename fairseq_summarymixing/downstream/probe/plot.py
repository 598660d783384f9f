"""Draw how much each hidden state weighs in the probes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...compat import require
from ...errors import UserError
from ...files import atomic_write
from ...layer_weights import plot_layer_weights


def draw_layer_weights(path: Path, result: dict[str, Any]) -> list[str]:
    """Write the plot: for each checkpoint a line of the mean over seeds, and a dot for each seed.

    Returns:
        Why there is none, where matplotlib is not installed.
    """
    try:
        require("report", "matplotlib", purpose="the plot of layer weights")
    except UserError as error:
        return [str(error)]
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    plot_layer_weights(axes, [(one["name"], one["layer_weights"]) for one in result["checkpoints"]])
    axes.set_title(f"Layer weights, {result['task']} ({result['head']})", loc="left")
    axes.set_ylabel("share")
    axes.legend(frameon=False)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")
    return []
