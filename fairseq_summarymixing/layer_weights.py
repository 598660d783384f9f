"""Draw the weights that probes of frozen encoders give to the hidden states."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = tuple(f"C{number}" for number in range(10))  # matplotlib's own
MARKERS = "osD^vPX"


def plot_layer_weights(
    axes: Axes, encoders: Iterable[tuple[str, Sequence[Sequence[float]]]], colours: Sequence[str] = COLOURS
) -> None:
    """Plot for each encoder a line of the mean over its probes and, of several, a dot for each probe.

    Args:
        encoders: name and, of each probe, a weight of each hidden state; without probes, a name for the legend.
    """
    for number, (name, probes) in enumerate(encoders):
        colour, means = colours[number % len(colours)], [statistics.fmean(weights) for weights in zip(*probes)]
        axes.plot(range(len(means)), means, color=colour, marker=MARKERS[number % 7], markersize=4, label=name)
        for weights in probes if len(probes) > 1 else ():
            axes.plot(range(len(weights)), weights, ".", color=colour, markersize=3)
    axes.set_xlabel("hidden state: 0 is the first layer's input, k the output of layer k")
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
