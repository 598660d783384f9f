"""Examine one recording for a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import UserError
from ..text_files import read_text
from .audio import SAMPLE_RATE, BadAudio, probe
from .copies import Copies
from .manifest import Row
from .transcripts import WORD_END, clean


class WrongRate(BadAudio):
    """An error: the recording is sound but not at 16 kHz, and resampling was not asked for."""


@dataclass(frozen=True)
class Recording:
    """One usable recording: its manifest row, its length, its path below SRC, and its speaker if asked for."""

    row: Row
    seconds: float
    path: str
    speaker: str | None = None


def copy_name(path: str) -> str:
    """Return the name, relative to OUT/audio, of the copy that resampling makes."""
    return str(PurePosixPath(path).with_suffix(".flac"))


def read_sidecar(audio: Path) -> str:
    """Return the text of the .txt file beside a recording, "" without one; raises BadAudio when it is not UTF-8."""
    sidecar = audio.with_suffix(".txt")
    try:
        return clean(read_text(sidecar)) if sidecar.is_file() else ""
    except UserError as error:
        raise BadAudio(f"its transcript: {error}") from error


def examine(
    path: str,
    *,
    source: Path,
    copies: Copies | None = None,
    seconds: tuple[float, float] = (0, float("inf")),
    speaker_of: Callable[[str], str] | None = None,
    text_of: Callable[[str], str] | None = None,
    label_of: Callable[[str], str] | None = None,
) -> Recording | BadAudio:
    """Read the header of SOURCE/path; returns the recording, or why it cannot be used.

    Args:
        copies: where to write a 16 kHz mono FLAC copy, to which the row then refers; None refers to the file
            itself, which must be at 16 kHz.
        seconds: shortest and longest length.
        speaker_of, text_of, label_of: give a path's speaker, transcript and label, empty where there is none; None
            where they are not asked for. They may raise BadAudio.

    Raises:
        UserError: a copy cannot be written.
    """
    try:
        text = None if text_of is None else _checked_text(text_of(path))
        speaker = None if speaker_of is None else _given("speaker", speaker_of(path))
        label = None if label_of is None else _given("label", label_of(path))
        info = probe(source / path)
        shortest, longest = seconds
        if info.seconds < shortest:
            raise BadAudio(f"{info.seconds:.4g} s, shorter than {shortest:g} s")
        if info.seconds > longest:
            raise BadAudio(f"{info.seconds:.4g} s, longer than {longest:g} s")
        if copies:
            info = copies.make(source / path, info.frames, copy_name(path))
        elif info.sample_rate != SAMPLE_RATE:
            raise WrongRate(f"{info.sample_rate} Hz, fairseq needs {SAMPLE_RATE}: resample it")
    except BadAudio as problem:
        return problem
    row = Row(copy_name(path) if copies else path, info.frames, text, label)
    return Recording(row, info.seconds, path, speaker)


def speaker_in_path(path: str, pattern: re.Pattern) -> str:
    """Return the one group of a pattern in a path; raises BadAudio where there is none."""
    match = pattern.search(path)
    if not match or not match[1]:
        raise BadAudio(f"no speaker: the path does not fit the pattern {pattern.pattern}")
    return match[1]


def _checked_text(text: str) -> str:
    if WORD_END in text:
        raise BadAudio(f"its transcript contains {WORD_END!r}, which marks the end of a word in .ltr files")
    return _given("transcript", text)


def _given(what: str, value: str) -> str:
    if not value:
        raise BadAudio(f"no {what}")
    return value
