"""Tables and plots of what was measured. Reads, never measures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import atomic_write

Record = dict[str, Any]

GROUP = ("work", "shape", "batch", "dtype", "device", "compiled")
PLOTS = (
    ("time", "seconds per step (forward and backward)", lambda record: record["step"]),
    ("memory", "GB kept for backward", lambda record: record["saved_bytes"] / 1e9),
)


def read_records(paths: Sequence[str | Path]) -> list[Record]:
    """Every record; of several with the same work, length and candidate, the last."""
    records: dict[tuple, Record] = {}
    for path in paths:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                key = (*(record[name] for name in GROUP), record["seconds"], record["candidate"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}:{number}: expected a record of bench run") from error
            records[key] = record
    if not records:
        raise UserError("no records; make some with: fairseq-summarymixing bench run")
    return list(records.values())


def report(paths: Sequence[str | Path], baseline: str, out: str | Path | None = None) -> str:
    """Markdown of all records, with ratios to ``baseline``; with ``out`` also bench.md and plots in that folder."""
    records = read_records(paths)
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in GROUP), []).append(record)
    text = "\n".join(_section(group, baseline) for group in groups.values())
    if out is not None:
        with atomic_write(Path(out) / "bench.md") as file:
            file.write(text)
        _plot(groups, Path(out))
    return text


def title(record: Record) -> str:
    compiled = ", compiled" if record["compiled"] else ""
    return f"{record['work']}, {record['shape']}, batch of {record['batch']}, {record['dtype']}{compiled}"


def _section(group: Sequence[Record], baseline: str) -> str:
    first = group[0]
    head = [
        "seconds", "candidate", "s / step", f"/ {baseline}", "audio s / s", "GB saved", f"/ {baseline}", "peak GB",
        "share of matmul rate",
    ]  # fmt: skip
    lines = [head, ["---:", "---", *["---:"] * (len(head) - 2)]]
    base = {record["seconds"]: record for record in group if record["candidate"] == baseline}
    for record in sorted((one for one in group if "skipped" not in one), key=lambda one: one["seconds"]):
        lines.append(_row(record, base.get(record["seconds"])))
    skipped = {f"- {one['candidate']}: skipped, {one['skipped']}" for one in group if "skipped" in one}
    machine = f"{first['machine']}, {first['threads']} threads, torch {first['torch']}, commit {first['commit']}"
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "".join(f"\n{line}" for line in sorted(skipped))
    return f"## {title(first)}\n\n{machine}; {first['date']}, medians of {first['repeat']}.\n\n{table}\n{notes}\n"


def _row(record: Record, base: Record | None) -> list[str]:
    def ratio(key: str) -> str:
        return f"{record[key] / base[key]:.3f}" if base and base.get(key) else "–"

    peak = f"{record['peak_bytes'] / 1e9:.2f}" if record["peak_bytes"] is not None else "–"
    return [
        f"{record['seconds']:g}", record["candidate"], f"{record['step']:.3g}", ratio("step"),
        f"{record['batch'] * record['seconds'] / record['step']:.3g}", f"{record['saved_bytes'] / 1e9:.3f}",
        ratio("saved_bytes"), peak, f"{record['floor_seconds'] / record['step']:.2f}",
    ]  # fmt: skip


def _plot(groups: dict[tuple, list[Record]], out: Path) -> None:
    """Time and memory against length, for each group with more than one length."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("bench report draws with matplotlib: pip install 'fairseq-summarymixing[report]'") from error
    for group in groups.values():
        measured = sorted((one for one in group if "skipped" not in one), key=lambda one: one["seconds"])
        if len({one["seconds"] for one in measured}) < 2:
            continue
        for name, label, value in PLOTS:
            figure = Figure(figsize=(6.4, 4), dpi=150, layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            for candidate in dict.fromkeys(one["candidate"] for one in measured):
                points = [(one["seconds"], value(one)) for one in measured if one["candidate"] == candidate]
                axes.plot(*zip(*points), marker="o", label=candidate)
            axes.set(xscale="log", yscale="log", xlabel="seconds of audio per utterance", ylabel=label)
            axes.set_title(title(measured[0]), loc="left", fontsize=10)
            axes.grid(alpha=0.3)
            axes.legend(frameon=False)
            first = measured[0]
            suffix = "-compiled" if first["compiled"] else ""
            stem = f"{first['work']}-{first['shape']}-{first['batch']}-{first['dtype']}-{first['device']}{suffix}"
            with atomic_write(out / f"{name}-{stem}.png", "wb") as file:
                figure.savefig(file, format="png")
