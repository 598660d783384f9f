"""Show what ``probe`` has found of frozen encoders."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from ..tables import markdown
from .plots import COLOURS, LINE_STYLES, Plot, draw
from .probe_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def probe_tables(result: Result) -> list[tuple[list[str], list[list[str]]]]:
    """Return headings and rows of the tables, as ``probe`` has formatted them."""
    return [(table["headings"], table["rows"]) for table in result["tables"]]


def probe_markdown(result: Result) -> str:
    tables = "\n".join(markdown(*table, text_columns=(0,)) for table in probe_tables(result))
    notes = "".join(f"\n- {note}" for note in result["notes"])
    return f"## {probe_title(result)}\n\n{result['description']}\n\n{tables}{notes}\n"


def probe_title(result: Result) -> str:
    return f"Probe: {result['task']}, {result['head']}, {result['splits'][0]}"


def draw_probe(result: Result, number: int) -> Plot:
    """Draw the layers' weights, means over seeds. ``number`` is for the name of the file."""
    return draw(f"probe-{number}-layer-weights", "Layer weights", lambda axes: _layer_weights(axes, result))


def _layer_weights(axes: Axes, result: Result) -> None:
    for index, checkpoint in enumerate(result["checkpoints"]):
        means = [statistics.fmean(shares) for shares in zip(*checkpoint["layer_weights"])]
        style = LINE_STYLES[index // len(COLOURS) % len(LINE_STYLES)]
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(range(len(means)), means, color=colour, linestyle=style, marker="o", label=checkpoint["name"])
    axes.set_xlabel("hidden state: 0 is the first layer's input, k the output of layer k")
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
