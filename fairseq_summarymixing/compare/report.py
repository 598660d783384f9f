"""Run ``fairseq-summarymixing compare``: read the runs, write tables, plots and the page."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..compat import require
from ..errors import counted
from ..files import atomic_write, check_folder, make_folder
from ..tables import markdown
from .curves import write_curves
from .page import page
from .plots import NAMES, Plot, draw_plots, line_styles
from .probe_results import read_probes
from .probes import draw_probe, probe_markdown
from .references import read_references
from .run import FINETUNING, PRETRAINING, Run
from .runs import read_runs
from .tables import summary, table


def compare(
    folders: Sequence[str | Path],
    out: str | Path,
    names: Sequence[str] | None = None,
    probes: Sequence[str | Path] = (),
    references: Sequence[str | Path] = (),
) -> str:
    """Write ``compare.html``, ``compare.md``, ``compare.json``, the plots as PNG, and each run's curves into ``out``.

    Plots that an earlier comparison left in ``out`` go; the curves of its runs stay, as references for others.

    Args:
        folders: fairseq run folders, of pre-training, fine-tuning or both.
        names: one per folder; default: the folders' names.
        probes: folders that ``probe`` wrote to, whose results are shown after the runs.
        references: curves of other runs to draw below, see :func:`~.references.read_reference`.

    Returns:
        One line for people.

    Raises:
        UserError: matplotlib is missing, a run cannot be read, or ``out`` cannot be written to.
    """
    require("report", "matplotlib", purpose="compare")
    out = Path(out)
    check_folder(out)
    runs = read_runs(folders, names)
    own, runs = runs, [*runs, *read_references(references, runs)]
    results = read_probes(probes)
    styles = line_styles(runs)
    make_folder(out)  # before anything is drawn
    sections = [
        (title, chosen, draw_plots(chosen, styles))
        for title, kind in (("Pre-training", PRETRAINING), ("Fine-tuning", FINETUNING))
        if (chosen := [run for run in runs if run.kind == kind])
    ]
    probed = [(result, draw_probe(result, number)) for number, result in enumerate(results, start=1)]
    _write_plots(out, [*(plot for _, _, plots in sections for plot in plots), *(plot for _, plot in probed)])
    for run in own:
        write_curves(run, out / "curves" / f"{run.name.replace('/', '-')}.jsonl", {})
    with atomic_write(out / "compare.md") as file:
        texts = [_markdown_section(title, chosen) for title, chosen, _ in sections]
        file.write("\n".join([*texts, *(probe_markdown(result) for result, _ in probed)]))
    with atomic_write(out / "compare.json") as file:
        json.dump([{**summary(run), **_series(run)} for run in runs], file, indent=1, ensure_ascii=False)
        file.write("\n")
    with atomic_write(out / "compare.html") as file:
        file.write(page(sections, {name: colour for name, (colour, _) in styles.items()}, probed))
    return f"{counted(len(own), 'run')}: {out / 'compare.html'}"


def _write_plots(out: Path, plots: Sequence[Plot]) -> None:
    """Write the plots; where an earlier comparison is there, remove those of its plots that this one does not have."""
    if (out / "compare.html").exists():
        _remove_plots(out, {plot.name for plot in plots})
    for plot in plots:
        with atomic_write(out / f"{plot.name}.png", "wb") as file:
            file.write(plot.light)


def _remove_plots(out: Path, names: Collection[str]) -> None:
    """Remove the plots of an earlier comparison that this one does not have: they would be taken for this one's."""
    for path in out.glob("*.png"):
        if NAMES.fullmatch(path.stem) and path.stem not in names:
            path.unlink()


def _markdown_section(title: str, runs: Sequence[Run]) -> str:
    notes = "".join(f"\n- {run.name}: {note}" for run in runs for note in run.notes)
    return f"## {title}\n\n{markdown(*table(runs))}{notes}\n"


def _series(run: Run) -> dict[str, Any]:
    """Return all that was logged, by update; JSON has no NaN, so it becomes null."""
    return {
        kind: {
            update: {key: value if math.isfinite(value) else None for key, value in series[update].items()}
            for update in sorted(series)
        }
        for kind, series in (("train", run.train), ("valid", run.valid))
    }
