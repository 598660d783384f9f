"""Write one HTML file with tables and plots that needs nothing else: no script, no network, no file beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from .. import __version__
from ..errors import counted
from .plots import Plot
from .probe_results import Result
from .probes import probe_tables, probe_title
from .run import Run
from .tables import table

STYLE = """
:root { color-scheme: light dark;
  --paper: #f6f7f9; --card: #ffffff; --ink: #1f2430; --soft: #626a78; --line: #e3e6ec; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #12151b; --card: #1b1f27; --ink: #d9dde5; --soft: #98a0ae; --line: #343a46; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 84rem;
  background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -0.01em; }
h2 { margin: 2.2rem 0 0.8rem; font-size: 1.2rem; }
.lead, footer, .notes { color: var(--soft); }
.lead { margin: 0.2rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.55rem 0.6rem; text-align: right; white-space: nowrap; }
th { font-weight: 600; font-size: 0.8rem; color: var(--soft); white-space: normal; vertical-align: bottom; }
td:nth-child(2), td:last-child { white-space: normal; }
td:last-child { min-width: 9rem; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
tbody tr { border-top: 1px solid var(--line); }
td:first-child { font-weight: 600; }
.dot { display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.5em; border-radius: 50%; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1rem;
  margin-top: 1rem; align-items: start; }
figure { margin: 0; padding: 0.6rem; }
figure img { display: block; width: 100%; height: auto; }
.notes { margin: 0.8rem 0 0; padding-left: 1.2rem; font-size: 0.9rem; }
footer { margin-top: 2.5rem; font-size: 0.85rem; }
"""

FOOTER = (
    "Losses, accuracies and perplexities are the last that fairseq logged. Losses are in bits, with all "
    "their weighted terms. Seconds per update are the median over log lines. Peak memory is in 10^9 bytes, "
    "of one GPU; without a GPU, of the process, where the task logs it. Activation memory is what a batch stores "
    "for the backward pass, per second of audio (less is better). The interval of a WER is a "
    "bootstrap over test utterances: it does not cover what another training seed would change."
)


def page(
    sections: Sequence[tuple[str, Sequence[Run], Sequence[Plot]]],
    colours: Mapping[str, str],
    probes: Sequence[tuple[Result, Plot]] = (),
) -> str:
    """Return the whole HTML text.

    Args:
        sections: (title, runs, plots), in order.
        colours: by run name, the colour it has in the plots.
        probes: results of ``probe``, each with the plot of its layers' weights.
    """
    count = counted(sum(len(runs) for _, runs, _ in sections), "run")
    parts = [_section(title, runs, plots, colours) for title, runs, plots in sections]
    body = "\n".join([*parts, *(_probe(result, plot) for result, plot in probes)])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Comparison of {count}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Comparison of {count}</h1>
<p class="lead">{escape(", ".join(run.name for _, runs, _ in sections for run in runs))}</p>
{body}
<footer>{FOOTER} Made by fairseq-summarymixing {__version__}.</footer>
</body>
</html>
"""


def _probe(result: Result, plot: Plot) -> str:
    found = probe_tables(result)
    tables = [_table(headings, [list(map(escape, row)) for row in rows]) for headings, rows in found]
    html = f'<p class="lead">{escape(result["description"])}</p>\n' + "\n".join(tables)
    return _section_of(probe_title(result), html, result["notes"], [plot])


def _section(title: str, runs: Sequence[Run], plots: Sequence[Plot], colours: Mapping[str, str]) -> str:
    headings, rows = table(runs)
    lines = []
    for run, row in zip(runs, rows):
        dot = f'<span class="dot" style="background:{colours[run.name]}"></span>'
        lines.append([f"{dot if index == 0 else ''}{escape(cell)}" for index, cell in enumerate(row)])
    notes = [f"{run.name}: {note}" for run in runs for note in run.notes]
    return _section_of(title, _table(headings, lines), notes, plots)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells of its rows are HTML already."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"""<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>
{chr(10).join(lines)}
</tbody></table></div>"""


def _section_of(title: str, tables: str, notes: Sequence[str], plots: Sequence[Plot]) -> str:
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    figures = "\n".join(_figure(plot) for plot in plots)
    return f"""<section>
<h2>{escape(title)}</h2>
{tables}
{f'<ul class="notes">{listed}</ul>' if listed else ""}
<div class="plots">
{figures}
</div>
</section>"""


def _figure(plot: Plot) -> str:
    light, dark = (base64.b64encode(image).decode("ascii") for image in (plot.light, plot.dark))
    return (
        f'<figure class="card"><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="data:image/png;base64,{dark}"><img alt="{escape(plot.title)}" '
        f'src="data:image/png;base64,{light}"></picture></figure>'
    )
