"""Format measurements as tables and plots; nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..files import atomic_write
from ..tables import markdown
from .plots import draw
from .records import GROUP, Record, measured, part_names, read_records, title


def report(paths: Sequence[str | Path], baselines: Sequence[str] | None = None, out: str | Path | None = None) -> str:
    """Return Markdown of all records, with ratios to ``baselines``; None = stock fairseq where it was measured.

    With ``out`` also bench.md and plots in that folder.

    Raises:
        UserError: no record, or none of a baseline.
    """
    records = read_records(paths)
    if baselines is None:
        baselines = ["fairseq"] if any(record["candidate"] == "fairseq" for record in measured(records)) else []
    for name in baselines:
        if all(name != record["candidate"] for record in records):
            known = ", ".join(dict.fromkeys(record["candidate"] for record in records))
            raise UserError(f"`baselines` must be a candidate that was measured ({known}); got {name}")
    groups: dict[tuple, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record["seconds"], record["candidate"])):
        groups.setdefault(tuple(record[name] for name in GROUP), []).append(record)
    text = "\n".join(_section(group, baselines) for group in groups.values())
    if out is not None:
        with atomic_write(Path(out) / "bench.md") as file:
            file.write(text)
        draw(list(groups.values()), Path(out))
    return text


def _section(group: Sequence[Record], baselines: Sequence[str]) -> str:
    skipped = {
        f"- {record['candidate']}, {record['seconds']:g} s: {record['skipped']}"
        for record in group
        if "skipped" in record
    }
    notes = "Skipped:\n\n" + "\n".join(sorted(skipped)) + "\n" if skipped else ""
    tables = [_costs(group, baselines), _parts(group)] if measured(group) else []
    return "\n".join([f"## {title(group[0])}\n\n{_origin(group)}\n", *tables, notes])


def _origin(group: Sequence[Record]) -> str:
    """Return where the records come from: every machine and commit where there are several."""

    def all_of(name: str) -> str:
        return ", ".join(dict.fromkeys(str(record[name]) for record in group))

    return (
        f"{all_of('machine')}; threads: {all_of('threads')}; torch {all_of('torch')}; commit {all_of('commit')}; "
        f"{all_of('date')}; medians of {all_of('repeat')}, in brackets the fastest and the slowest."
    )


def _costs(group: Sequence[Record], baselines: Sequence[str]) -> str:
    head = ["seconds", "candidate", "s / step", *(f"time / {name}" for name in baselines), "audio s / s"]
    head += ["activation GB", *(f"activations / {name}" for name in baselines), "peak GB", "share of matmul rate"]
    by = {(record["seconds"], record["candidate"]): record for record in measured(group)}
    rows = [_row(record, [by.get((record["seconds"], name)) for name in baselines]) for record in measured(group)]
    return markdown(head, rows, text_columns=[1])


def _row(record: Record, bases: Sequence[Record | None]) -> list[str]:
    def ratios(key: str) -> list[str]:
        return [f"{record[key] / base[key]:.3f}" if base else "–" for base in bases]

    step = f"{record['step']:.3g} ({record['fastest_step']:.3g} to {record['slowest_step']:.3g})"
    speed = f"{record['batch'] * record['seconds'] / record['step']:.3g}"
    saved = f"{record['activation_bytes'] / 1e9:.3f}"
    peak = f"{record['peak_bytes'] / 1e9:.2f}" if record["peak_bytes"] is not None else "–"
    share = f"{record['floor_seconds'] / record['step']:.2f}"
    cells = [f"{record['seconds']:g}", record["candidate"], step, *ratios("step"), speed]
    return [*cells, saved, *ratios("activation_bytes"), peak, share]


def _parts(group: Sequence[Record]) -> str:
    """Tabulate the seconds of forward and backward and the GB stored of each part; empty where no record has parts."""
    names = part_names(group)
    if not names:
        return ""
    head = ["seconds", "candidate", *(f"{name}, s (GB)" for name in names), "optimizer, s"]
    rows = []
    for record in (record for record in measured(group) if "parts" in record):
        cells = []
        for name in names:
            part = record["parts"].get(name)
            cells.append(
                f"{part['forward'] + part['backward']:.3g} ({part['activation_bytes'] / 1e9:.3f})" if part else "–"
            )
        rows.append([f"{record['seconds']:g}", record["candidate"], *cells, f"{record['optimizer']:.3g}"])
    return "By part, from one repetition with marks between parts:\n\n" + markdown(head, rows, text_columns=[1])
