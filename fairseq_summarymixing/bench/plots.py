"""Draw time and memory against length, and bars of parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..compat import require
from ..files import atomic_write
from .records import Record, measured, part_names, title

CURVES = (
    ("time", "seconds per step (forward and backward)", lambda record: record["step"]),
    ("memory", "activation memory, GB", lambda record: record["activation_bytes"] / 1e9),
)
BARS = (
    ("seconds of forward and backward", lambda part: part["forward"] + part["backward"]),
    ("activation memory, GB", lambda part: part["activation_bytes"] / 1e9),
)


def draw(groups: Sequence[Sequence[Record]], out: Path) -> None:
    """Write PNG files into ``out``: curves of each group with several lengths, bars of each group with parts.

    Raises:
        UserError: matplotlib is not installed.
    """
    require("report", "matplotlib", purpose="bench report")
    for group in groups:
        if len({record["seconds"] for record in measured(group)}) > 1:
            _curves(group, out)
        if part_names(group):
            _bars(group, out)


def _curves(group: Sequence[Record], out: Path) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    records = measured(group)
    lengths = sorted({record["seconds"] for record in records})
    for name, label, value in CURVES:
        figure = _figure(8, 4.5)
        axes = figure.add_subplot()
        for index, candidate in enumerate(dict.fromkeys(record["candidate"] for record in records)):
            points = [(record["seconds"], value(record)) for record in records if record["candidate"] == candidate]
            axes.plot(*zip(*points), marker="osD^vPX"[index % 7], label=candidate)
        axes.set(xscale="log", yscale="log", xlabel="seconds of audio per utterance", ylabel=label)
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(title(group[0]), loc="left", fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        _save(figure, out / f"{name}-{_stem(group[0])}.png")


def _bars(group: Sequence[Record], out: Path) -> None:
    """Draw the parts of each candidate at its greatest length that has them."""
    last = {record["candidate"]: record for record in measured(group) if "parts" in record}
    labels = [f"{name}, {record['seconds']:g} s" for name, record in last.items()]
    figure = _figure(10, 1.6 + 0.4 * len(last))
    for axes, (label, value) in zip(figure.subplots(1, len(BARS), sharey=True), BARS):
        left = [0.0] * len(last)
        for part in part_names(group):
            widths = [value(record["parts"][part]) if part in record["parts"] else 0.0 for record in last.values()]
            axes.barh(labels, widths, left=left, label=part)
            left = [a + b for a, b in zip(left, widths)]
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    figure.suptitle(title(group[0]), x=0.01, ha="left", fontsize=10)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, loc="outside lower center", ncols=4)
    _save(figure, out / f"parts-{_stem(group[0])}.png")


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _stem(record: Record) -> str:
    suffix = "-compiled" if record["compiled"] else ""
    return "-".join(str(record[name]) for name in ("work", "shape", "batch", "dtype", "device")) + suffix


def _save(figure: Any, path: Path) -> None:
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")
