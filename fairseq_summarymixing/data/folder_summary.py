"""Write the summary of ``manifest folder``, or the one-line error with which it ends early."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UserError, counted, duration, printable
from .audio import SAMPLE_RATE
from .formats import extension_of, why_passed_over
from .recordings import Recording, WrongRate
from .report import Report


def summary(
    splits: Mapping[str, Sequence[Recording]],
    considered: int,
    left_out: int,
    passed_over: Sequence[str],
    unlisted: int,
    reported: int,
    report_path: Path,
) -> str:
    """Return length, recordings and speakers of each split, what splits share, and what was left out."""
    lines = []
    for split, recordings in splits.items():
        length = duration(sum(recording.seconds for recording in recordings))
        line = f"{split}: {length}, {counted(len(recordings), 'recording')}"
        if recordings[0].speaker is not None:
            line += f", {counted(len(_speakers(recordings)), 'speaker')}"
        lines.append(line)
    for (one, left), (other, right) in itertools.combinations(splits.items(), 2):
        shared = len({each.path for each in left} & {each.path for each in right})
        speakers = len(_speakers(left) & _speakers(right))
        if shared or speakers:
            both = [counted(shared, "recording")] * bool(shared) + [counted(speakers, "speaker")] * bool(speakers)
            lines.append(f"both in {one} and in {other}: {' and '.join(both)}")
    if unlisted:
        lines.append(f"in no list: {counted(unlisted, 'recording')}")
    lines.append(f"left out: {left_out} of {counted(considered, 'recording')}" + _formats(passed_over))
    lines[-1] += f", see {report_path}" if reported else ""
    if reported > left_out:
        others = counted(reported - left_out, "other line")
        lines[-1] += f" (and {others} there: of tables, or folders, without a recording)"
    return "\n".join(lines)


def nothing_found(source: Path, extensions: Sequence[str], passed_over: Sequence[str], others: Counter) -> UserError:
    """Return the error for a folder without a file of these extensions, with what it holds instead."""
    if passed_over:
        first = passed_over[0]
        return UserError(
            f"{source} holds no audio files that can be read ({counted(len(passed_over), 'other')}, "
            f"such as {printable(first)}: {why_passed_over(first, extensions)})"
        )
    held = ", ".join(f"{count} {f'.{one}' if one else 'without extension'}" for one, count in others.most_common(3))
    return UserError(
        f"{source} holds no audio files ({', '.join(extensions)})" + (f"; it holds {printable(held)}" if held else "")
    )


def nothing_left(source: Path, count: int, problems: Mapping, report: Report, report_path: Path) -> UserError:
    """Return the error for a folder of which no recording can be used."""
    if len(problems) == count and all(isinstance(problem, WrongRate) for problem in problems.values()):
        path, problem = next(iter(problems.items()))
        return UserError(
            f"no recording in {source} is at {SAMPLE_RATE} Hz, as fairseq needs ({printable(path)}: "
            f"{str(problem).split(',')[0]}): `resample` {SAMPLE_RATE} makes copies that are"
        )
    return UserError(f"no recording in {source} can be used, of {count}{report.such_as()}; see {report_path}")


def empty_split(
    split: str, split_by: str, percent: float | None, recordings: Mapping[str, Recording], why: str, report_path: Path
) -> UserError:
    """Return the error for a split without a recording. percent: None where a list makes the split; why: a recording of
    that list, with the reason."""
    if percent is None:
        return UserError(f"no recording of the list of {split} can be used{why}; see {report_path}")
    keys = {one.speaker if split_by == "speaker" else one.path for one in recordings.values()}
    what = f"no {split_by} of {len(keys)} fell into {split}"
    if split == "train":
        return UserError(f"{what}; nothing to train on: lower `valid_percent` and `test_percent`")
    return UserError(f"{what} at `{split}_percent` {percent:g}; raise it, or pass 0 for no {split} manifest")


def _speakers(recordings: Sequence[Recording]) -> set[str]:
    return {recording.speaker for recording in recordings if recording.speaker is not None}


def _formats(passed_over: Sequence[str]) -> str:
    counts = Counter(map(extension_of, passed_over)).most_common()
    return f" (not read: {', '.join(f'{count} .{one}' for one, count in counts)})" if counts else ""
