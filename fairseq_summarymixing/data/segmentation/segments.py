"""Cut one long recording into segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from ..audio import SAMPLE_RATE, BadAudio, is_whole, not_audio, probe, write_flac
from ..manifest import Row, unwritable
from ..sources import Sources, identity
from .stitching import Stretch, stitch

LONGEST = 10_000_000  # seconds; no recording lasts four months
OVERHANG = SAMPLE_RATE  # one second; speech found in another copy of the recording may end this much after it


@dataclass
class Segmented:
    """The result of a recording: samples of speech in it, as far as known; its segments, or why there are none."""

    speaker: str
    speech: int = 0
    rows: list[Row] = field(default_factory=list)
    problem: str | None = None


def segment(
    name: str,
    *,
    recording_of: Mapping[str, Path],
    marks_of: Callable[[Path], Path],
    read_speech: Callable[[Path], list[Stretch]],
    folder: Path,
    sources: Sources,
    lengths: tuple[int, int],
) -> Segmented:
    """Cut one 16 kHz mono recording into FOLDER/NAME-000.flac and so on.

    Args:
        name: SPEAKER/...; the segments' names begin with it.
        recording_of: the audio file of a name.
        marks_of: the file, beside a recording, that holds where there is speech.
        read_speech: reads that file, see ``stretches_of``; raises BadAudio.
        sources: notes of what the segments in FOLDER were made of.
        lengths: shortest and longest segment in samples, see ``stitch``.

    Raises:
        UserError: a segment cannot be written.
    """
    recording, result = recording_of[name], Segmented(name.split("/")[0])
    marks = marks_of(recording)
    try:
        if unwritable(f"{name}.flac"):
            raise BadAudio(f"bad name: {unwritable(f'{name}.flac')}")
        speech = read_speech(marks)
        result.speech = sum(stop - start for start, stop in speech)
        frames = _check(recording)
        speech = within(speech, frames)
        result.speech = sum(stop - start for start, stop in speech)
        segments = stitch(speech, *lengths)
        if not segments:
            raise BadAudio(f"less speech than `min_seconds`: {result.speech / SAMPLE_RATE:.2f} s")
        version = (*identity(recording), frames, *identity(marks))
        result.rows = write_segments(recording, segments, folder, name, version, sources)
    except BadAudio as problem:
        result.problem = str(problem)
    return result


def stretches_of(intervals: object) -> list[Stretch]:
    """Convert stretches of speech, [[start, end], ...] in seconds as read from JSON, to samples.

    Raises:
        BadAudio: no such list, none in it, or not in order.
    """
    try:
        seconds = [(float(start), float(end)) for start, end in intervals]
        stretches = [(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in seconds]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadAudio("voice activity unreadable: expected [[start, end], ...] in seconds") from error
    largest = max((abs(second) for interval in seconds for second in interval), default=0)
    if largest > LONGEST:
        raise BadAudio(f"voice activity unreadable: expected seconds; found {largest:g}")
    if all(start == stop for start, stop in stretches):
        raise BadAudio("no voice activity")
    previous = 0  # where the interval before ends
    for start, stop in stretches:
        if not previous <= start <= stop:
            start, stop, previous = (f"{samples / SAMPLE_RATE:.2f}" for samples in (start, stop, previous))
            raise BadAudio(f"voice activity out of order: {start} to {stop} s, after {previous} s")
        previous = stop
    return [(start, stop) for start, stop in stretches if start < stop]


def within(speech: Sequence[Stretch], frames: int) -> list[Stretch]:
    """Return the part of ``speech`` that lies within a recording; raises BadAudio when it ends much later
    (OVERHANG)."""
    if speech[-1][1] > frames + OVERHANG:
        marked, there = speech[-1][1] / SAMPLE_RATE, frames / SAMPLE_RATE
        raise BadAudio(f"voice activity outside the recording: up to {marked:.2f} s, the recording has {there:.2f} s")
    return [(start, min(stop, frames)) for start, stop in speech if start < frames]


def write_segments(
    recording: Path,
    segments: Sequence[Sequence[Stretch]],
    folder: Path,
    name: str,
    version: tuple[int, ...],
    sources: Sources,
) -> list[Row]:
    """Write FOLDER/NAME-000.flac and so on, 16-bit, each whole or not at all; returns a row for each.

    Segments that are there, sound and of this ``version`` are kept; nothing is decoded when none is missing. Otherwise
    decodes only what goes into the missing segments and holds one segment in memory.

    Args:
        recording: 16 kHz, mono.
        segments: the parts of the recording that each is made of.
        version: of the files that the segments depend on, see ``identity``.
        sources: notes each segment's version.

    Raises:
        BadAudio: the recording is damaged; what this call wrote is removed.
        UserError: a segment cannot be written.
    """
    rows = [
        Row(f"{name}-{number:03d}.flac", sum(stop - start for start, stop in stretches))
        for number, stretches in enumerate(segments)
    ]
    missing = {
        row.path: stretches
        for row, stretches in zip(rows, segments)
        if sources.get(row.path) != version or not is_whole(folder / row.path, row.frames)
    }
    for path in missing:
        if sources.get(path) is not None:
            sources.note(path, ())
    if missing:
        _copy(recording, {folder / path: stretches for path, stretches in missing.items()})
    for path in missing:
        sources.note(path, version)
    return rows


def _check(recording: Path) -> int:
    """Return the recording's length in samples; raises BadAudio unless it is 16 kHz mono."""
    info = probe(recording)
    if (info.sample_rate, info.channels) != (SAMPLE_RATE, 1):
        raise BadAudio(f"not 16 kHz mono: {info.sample_rate} Hz, channels: {info.channels}")
    return info.frames


def _copy(recording: Path, targets: Mapping[Path, Sequence[Stretch]]) -> None:
    """Write each target as the given parts of the recording, sample by sample."""
    try:
        with soundfile.SoundFile(str(recording)) as file:
            for target, stretches in targets.items():
                write_flac(target, np.concatenate([_read(file, *stretch) for stretch in stretches]))
    except (BadAudio, soundfile.LibsndfileError) as error:
        for target in targets:
            target.unlink(missing_ok=True)
        if isinstance(error, BadAudio):
            raise
        raise BadAudio(not_audio(error)) from error


def _read(file: soundfile.SoundFile, start: int, stop: int) -> np.ndarray:
    """Return (stop - start,) int16."""
    try:
        file.seek(start)
        samples = file.read(stop - start, dtype="int16")
    except soundfile.LibsndfileError:
        samples = ()
    if len(samples) < stop - start:
        raise BadAudio(f"damaged: between {start / SAMPLE_RATE:.2f} and {stop / SAMPLE_RATE:.2f} s")
    return samples
