"""Draw curves and bars of runs, one colour per run in all of them."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .run import FINETUNING, PRETRAINING, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with any colour vision distinguish, without black and yellow, which
# vanish on a dark or a light page. More runs than colours: the same again, dashed.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
LINE_STYLES = ("-", "--", ":", "-.")
GREY = "#8a909c"  # of references, and of chance
NAMES = re.compile(
    "(pretraining|finetuning)-(loss|accuracy|code-perplexity|valid-wer|gradient-norm|learning-rate|updates-per-second|"
    r"peak-memory|wer)|probe-\d+-layer-weights"
)
"""The names that figures have."""


@dataclass(frozen=True)
class Theme:
    """The colours of a figure's paper, text and grid."""

    paper: str
    ink: str
    grid: str


LIGHT = Theme("#ffffff", "#1f2430", "#e3e6ec")
DARK = Theme("#1b1f27", "#d9dde5", "#343a46")

Styles = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Plot:
    """A finished figure: its file name without ending, its title, and PNG bytes for both themes."""

    name: str
    title: str
    light: bytes
    dark: bytes


def line_styles(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Return (colour, line style) by run name, in the order given; references are grey."""
    own = [run for run in runs if not run.is_reference]
    references = [run for run in runs if run.is_reference]
    return {
        **{
            run.name: (COLOURS[index % len(COLOURS)], LINE_STYLES[index // len(COLOURS) % len(LINE_STYLES)])
            for index, run in enumerate(own)
        },
        **{run.name: (GREY, LINE_STYLES[index % len(LINE_STYLES)]) for index, run in enumerate(references)},
    }


def draw_plots(runs: Sequence[Run], styles: Styles) -> list[Plot]:
    """Draw all plots of runs of one kind for which any of them has data."""
    kind = runs[0].kind
    return [
        draw(f"{kind.replace('-', '')}-{name}", title, partial(drawing, runs=runs, styles=styles))
        for name, title, has_data, drawing in (*DRAWINGS[kind], *DRAWINGS_OF_ANY_KIND)
        if any(map(has_data, runs))
    ]


def draw(name: str, title: str, drawing: Callable[[Axes], None]) -> Plot:
    """Draw one figure in both themes."""
    assert NAMES.fullmatch(name), name
    return Plot(name, title, _png(drawing, title, LIGHT), _png(drawing, title, DARK))


def _curves(axes: Axes, runs: Sequence[Run], styles: Styles, key: str) -> None:
    """Draw training as a thin line, validation as a line with points. Values that are no numbers leave a gap."""
    for run in runs:
        colour, style = styles[run.name]
        valid = run.values(key, valid=True)
        train = run.values(key)
        if train[0]:
            thin = {"linewidth": 1.0, "alpha": 0.55} if valid[0] else {"linewidth": 1.6}
            axes.plot(*train, color=colour, linestyle=style, **thin)
        if valid[0]:
            axes.plot(*valid, color=colour, linestyle=style, linewidth=1.8, marker="o", markersize=3.5)
        axes.plot([], [], color=colour, linestyle=style, linewidth=2, label=run.name)
    axes.set_xlabel("updates (thin: training; with points: validation)")


def _accuracy(axes: Axes, runs: Sequence[Run], styles: Styles) -> None:
    _curves(axes, runs, styles, "accuracy")
    for chance in sorted({run.chance_accuracy for run in runs if run.chance_accuracy is not None}):
        axes.axhline(chance, color=GREY, linewidth=1, linestyle=(0, (2, 2)), label=f"chance ({chance:.3f})")
    axes.set_ylim(bottom=0)


def _speed(axes: Axes, runs: Sequence[Run], styles: Styles) -> None:
    for run in runs:
        colour, style = styles[run.name]
        axes.plot(*run.updates_per_second(), color=colour, linestyle=style, linewidth=1.6, label=run.name)
    axes.set_xlabel("updates")
    axes.set_ylim(bottom=0)


def _memory(axes: Axes, runs: Sequence[Run], styles: Styles) -> None:
    known = [run for run in runs if run.peak_memory_gb is not None]
    bars = axes.barh([run.name for run in known], [run.peak_memory_gb for run in known], height=0.6)
    for bar, run in zip(bars, known):
        bar.set_color(styles[run.name][0])
    axes.bar_label(bars, fmt=" %.1f", color=axes.xaxis.label.get_color())
    _tidy_bars(axes)


def _error_rates(axes: Axes, runs: Sequence[Run], styles: Styles) -> None:
    labels, rates, low, high, colours = [], [], [], [], []
    for run in runs:
        for decode in run.decodes:
            labels.append(
                f"{run.name}\n{decode.get('split', '')} ({decode['folder']})" if decode["folder"] else run.name
            )
            rates.append(decode["wer"])
            low.append(max(0.0, decode["wer"] - decode["wer_ci"][0]))
            high.append(max(0.0, decode["wer_ci"][1] - decode["wer"]))
            colours.append(styles[run.name][0])
    places = range(len(labels))
    ink = axes.xaxis.label.get_color()
    axes.barh(places, rates, xerr=[low, high], height=0.6, color=colours, ecolor=ink, capsize=4)
    axes.set_yticks(list(places), labels)
    for place, rate, above in zip(places, rates, high):
        axes.annotate(
            f"{rate:.1f}",
            (rate + above, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=ink,
        )
    _tidy_bars(axes)


def _tidy_bars(axes: Axes) -> None:
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.15)
    axes.set_xlim(left=0)
    count = len(axes.get_yticks())
    if math.isfinite(count):
        axes.figure.set_size_inches(6.4, 1.2 + 0.5 * max(count, 2))


def _png(draw: Callable[[Axes], None], title: str, theme: Theme) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), theme.ink
    )
    with matplotlib.rc_context({**colours, "axes.edgecolor": theme.grid, "font.size": 9.5}):
        figure = Figure(figsize=(6.4, 3.8), dpi=150, facecolor=theme.paper, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(facecolor=theme.paper)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=theme.grid, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        draw(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _has(key: str) -> Callable[[Run], bool]:
    return lambda run: bool(run.values(key)[0] or run.values(key, valid=True)[0])


class Drawing(NamedTuple):
    """A plot of runs of one kind."""

    name: str
    title: str
    has_data: Callable[[Run], bool]
    draw: Callable[..., None]
    """Called with axes, ``runs`` and ``styles``."""


def _of_key(name: str, title: str, key: str) -> Drawing:
    """Return the plot of what was logged as ``key``."""
    return Drawing(name, title, _has(key), partial(_curves, key=key))


LOSS = _of_key("loss", "Loss (bits)", "loss")
DRAWINGS = {
    PRETRAINING: (
        LOSS,
        Drawing("accuracy", "Accuracy of the contrastive task", _has("accuracy"), _accuracy),
        _of_key("code-perplexity", "Code perplexity", "code_perplexity"),
    ),
    FINETUNING: (LOSS, _of_key("valid-wer", "WER on the validation set (%)", "wer")),
}
"""The plots of runs of each kind; those of any kind follow."""
DRAWINGS_OF_ANY_KIND = (
    _of_key("gradient-norm", "Gradient norm", "gnorm"),
    _of_key("learning-rate", "Learning rate", "lr"),
    Drawing("updates-per-second", "Updates per second", lambda run: bool(run.updates_per_second()[0]), _speed),
    Drawing("peak-memory", "Peak memory (GB)", lambda run: run.peak_memory_gb is not None, _memory),
    Drawing("wer", "Test WER (%), 95 % interval", lambda run: bool(run.decodes), _error_rates),
)
