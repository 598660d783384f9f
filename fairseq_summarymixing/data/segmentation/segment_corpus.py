"""Cut a corpus of long recordings with marks of speech: write segments, train.tsv and what was kept and lost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ...errors import UserError
from ...files import atomic_write
from ...json_files import differences, read_json
from ..audio import SAMPLE_RATE
from ..manifest import write_splits
from ..parallel import map_in_threads
from ..report import Report
from ..rows import read_rows
from ..sources import Sources
from .segment_summary import describe, summarize, write_speakers
from .segments import segment
from .stitching import Stretch


def make_segments(
    recording_of: Mapping[str, Path],
    out: Path,
    *,
    marks_of: Callable[[Path], Path],
    read_speech: Callable[[Path], list[Stretch]],
    seconds: tuple[float, float],
    valid: Path | None = None,
    workers: int | None = None,
    report: Report,
) -> str:
    """Cut every recording, write OUT/audio, train.tsv, report.tsv, summary.json, speakers.tsv; returns the summary.

    Finished segments of an earlier run are kept. train.tsv is written at the end, or not at all.

    Args:
        recording_of, marks_of, read_speech: see ``segments.segment``.
        seconds: shortest and longest segment, the second at least twice the first.
        valid: recordings for valid.tsv, see ``read_rows``.
        report: what was left out before.

    Raises:
        UserError: lengths that cannot be, OUT was begun with others, no recording can be used, OUT cannot be
            written.
    """
    lengths = _in_samples(*seconds)
    valid_split = read_rows(valid, workers, report) if valid else None
    keep_settings(out, {"version": 1, "min_seconds": float(seconds[0]), "max_seconds": float(seconds[1])})
    if valid_split:  # first: cutting may take days, and a mistake should show at once
        write_splits(out, valid_split[0], {"valid": valid_split[1]})
    sources = Sources(out / "audio")
    cut = partial(
        segment,
        recording_of=recording_of,
        marks_of=marks_of,
        read_speech=read_speech,
        folder=out / "audio",
        sources=sources,
        lengths=lengths,
    )
    results = list(map_in_threads(cut, list(recording_of), workers, "cutting"))
    sources.tidy()
    for recording, result in zip(recording_of.values(), results):
        if result.problem is not None:
            report.add(str(recording), result.problem)
    report_path = report.write(out)
    rows = sorted((row for result in results for row in result.rows), key=lambda row: row.path)
    if not rows:
        raise UserError(f"no recording can be used, of {len(results)}{report.such_as()}; see {report_path}")
    summary = summarize(results)
    with atomic_write(out / "summary.json") as file:
        json.dump(summary, file, indent=1)
    write_speakers(out, results)
    write_splits(out, out / "audio", {"train": rows})
    return describe(summary) + (f"\n{report_path}: {len(report.entries)} left out" if report.entries else "")


def keep_settings(out: Path, settings: dict) -> None:
    """Write OUT/settings.json; raises UserError when OUT was begun with other settings: its segments would not fit."""
    path = out / "settings.json"
    if not path.exists():
        with atomic_write(path) as file:
            json.dump(settings, file)
        return
    begun = read_json(path)
    if begun != settings:
        raise UserError(
            f"{out} was begun with other settings ({differences(begun, settings)}); choose another OUT or remove it"
        )


def _in_samples(min_seconds: float, max_seconds: float) -> tuple[int, int]:
    if not (math.isfinite(max_seconds) and min_seconds > 0):
        raise UserError(
            f"`min_seconds` and `max_seconds` must be positive and finite; got {min_seconds:g} and {max_seconds:g}"
        )
    shortest, longest = round(min_seconds * SAMPLE_RATE), round(max_seconds * SAMPLE_RATE)
    if not 0 < 2 * shortest <= longest:
        raise UserError(
            "`max_seconds` must be at least twice `min_seconds`, or some speech would fit no segment; "
            f"got {max_seconds:g} and {min_seconds:g}"
        )
    return shortest, longest
