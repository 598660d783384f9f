"""Show what ``probe`` has found of frozen encoders."""

from __future__ import annotations

from ..layer_weights import plot_layer_weights
from ..tables import markdown
from .plots import COLOURS, Plot, draw
from .probe_results import Result


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
    """Draw the layers' weights. ``number`` is for the name of the file."""
    encoders = [(checkpoint["name"], checkpoint["layer_weights"]) for checkpoint in result["checkpoints"]]
    return draw(
        f"probe-{number}-layer-weights", "Layer weights", lambda axes: plot_layer_weights(axes, encoders, COLOURS)
    )
