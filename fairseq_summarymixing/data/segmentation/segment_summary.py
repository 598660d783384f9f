"""Summarise what cutting a corpus into segments kept and lost, per reason, per speaker and by length."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from ...errors import counted, duration
from ...files import atomic_write
from ..audio import SAMPLE_RATE
from ..report import printable
from .segments import Segmented

BIN_SECONDS = 2
BAR = 50  # characters of the longest bar
HOUR = 3600 * SAMPLE_RATE  # samples


def summarize(recordings: Sequence[Segmented]) -> dict:
    """Return counts and hours, ready for JSON. hours_of_speech = hours_kept + those of all reasons in left_out.

    A reason is a problem's text before its colon. Speech is counted as far as it is known: a recording whose marks
    cannot be read counts with none. lengths: segments by "from-to" in seconds, ``to`` excluded but in the last.
    """
    left_out: dict[str, dict] = {}
    for recording in recordings:
        if recording.problem is not None:
            reason = left_out.setdefault(recording.problem.partition(":")[0], {"recordings": 0, "hours": 0.0})
            reason["recordings"] += 1
            reason["hours"] += recording.speech / HOUR
    frames = [row.frames for recording in recordings for row in recording.rows]
    hours = [hours for _, _, hours in per_speaker(recordings).values()]
    width = BIN_SECONDS * SAMPLE_RATE
    last = (max(frames, default=1) - 1) // width
    bins = Counter(min(count // width, last) * BIN_SECONDS for count in frames)
    return {
        "recordings": len(recordings),
        "recordings_kept": sum(recording.problem is None for recording in recordings),
        "segments": len(frames),
        "hours_of_speech": sum(recording.speech for recording in recordings) / HOUR,
        "hours_kept": sum(frames) / HOUR,
        "left_out": dict(sorted(left_out.items())),
        "speakers": len(hours),
        "hours_per_speaker": {
            "min": min(hours, default=0),
            "median": statistics.median(hours) if hours else 0,
            "max": max(hours, default=0),
        },
        "lengths": {f"{start}-{start + BIN_SECONDS}": bins[start] for start in sorted(bins)},
    }


def per_speaker(recordings: Sequence[Segmented]) -> dict[str, tuple[int, int, float]]:
    """Return {speaker: (recordings, segments, hours kept)} of the speakers with a segment, sorted."""
    counts = defaultdict(lambda: [0, 0, 0])
    for recording in recordings:
        if recording.problem is None:
            frames = sum(row.frames for row in recording.rows)
            for index, count in enumerate((1, len(recording.rows), frames)):
                counts[recording.speaker][index] += count
    return {speaker: (*counts[speaker][:2], counts[speaker][2] / HOUR) for speaker in sorted(counts)}


def write_speakers(folder: Path, recordings: Sequence[Segmented]) -> None:
    """Write FOLDER/speakers.tsv: speaker, recordings, segments, hours."""
    with atomic_write(folder / "speakers.tsv") as file:
        file.write("speaker\trecordings\tsegments\thours\n")
        for speaker, (count, segments, hours) in per_speaker(recordings).items():
            file.write(f"{printable(speaker)}\t{count}\t{segments}\t{hours:.4f}\n")


def describe(summary: dict) -> str:
    """Return the lines to print."""
    least, median, most = (_length(hours) for hours in summary["hours_per_speaker"].values())
    lines = [
        f"recordings: {summary['recordings']}, {summary['recordings_kept']} of them kept",
        f"speech: {_length(summary['hours_of_speech'])}, {_length(summary['hours_kept'])} of it kept",
        f"segments: {summary['segments']}",
        f"speakers: {summary['speakers']}, each with {least} to {most}, in the median {median}",
    ]
    for reason, lost in summary["left_out"].items():
        recordings = counted(lost["recordings"], "recording")
        lines.append(f"left out, {reason}: {recordings}, {_length(lost['hours'])} of speech")
    highest = max(summary["lengths"].values(), default=1)
    for seconds, count in summary["lengths"].items():
        lines.append(f"{seconds:>9} s {'#' * -(-BAR * count // highest):{BAR}} {count}")
    return "\n".join(lines)


def _length(hours: float) -> str:
    return duration(hours * 3600)
