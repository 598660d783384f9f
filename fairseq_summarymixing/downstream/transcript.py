"""A transcript of a recording, and the formats it is written in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import printable
from .hypothesis import TimedWord

# A subtitle holds no more than one line of most screens, and ends where the speaker pauses
CUE_CHARACTERS = 42
CUE_SECONDS = 6.0
PAUSE_SECONDS = 1.0


class Transcript(NamedTuple):
    """What was recognised in a recording."""

    name: str
    """The recording's name in the outputs."""
    audio: str
    """The path of the file."""
    seconds: float
    """The recording's length."""
    text: str
    words: list[TimedWord]


def as_text(transcript: Transcript) -> str:
    return f"{transcript.text}\n"


def as_table_row(transcript: Transcript) -> str:
    """Format ``NAME<TAB>text``."""
    return f"{printable(transcript.name)}\t{transcript.text}\n"


def as_json(transcript: Transcript) -> str:
    """Format a JSON object on one line: name, audio, seconds, text, and words with start and end."""
    words = [{"word": word, "start": round(start, 3), "end": round(end, 3)} for word, start, end in transcript.words]
    content = {
        "name": printable(transcript.name),
        "audio": printable(transcript.audio),
        "seconds": round(transcript.seconds, 3),
        "text": transcript.text,
        "words": words,
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def as_ctm(transcript: Transcript) -> str:
    """Format NIST's CTM, a line for each word: recording, channel, start, duration, word. Fields hold no spaces."""
    name = re.sub(r"\s", "_", printable(transcript.name))
    return "".join(f"{name} 1 {start:.2f} {end - start:.2f} {word}\n" for word, start, end in transcript.words)


def as_srt(transcript: Transcript) -> str:
    """Format SubRip subtitles."""
    cues = enumerate(subtitles(transcript.words), 1)
    return "".join(f"{n}\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n\n" for n, (text, start, end) in cues)


def as_vtt(transcript: Transcript) -> str:
    """Format WebVTT subtitles."""
    cues = subtitles(transcript.words)
    lines = (f"{clock(start, '.')} --> {clock(end, '.')}\n{html.escape(text)}\n\n" for text, start, end in cues)
    return "WEBVTT\n\n" + "".join(lines)


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": as_text,
    "json": as_json,
    "ctm": as_ctm,
    "srt": as_srt,
    "vtt": as_vtt,
}
FORMATS_OF_MANY: dict[str, Callable[[Transcript], str]] = {"txt": as_table_row, "json": as_json, "ctm": as_ctm}
"""Those of which one file, or the screen, holds many recordings."""


def subtitles(words: list[TimedWord]) -> Iterator[TimedWord]:
    """Join words into subtitles, each of at most a line and six seconds."""
    line: list[TimedWord] = []
    for word in words:
        if line and not _fits(line, word):
            yield _joined(line)
            line = []
        line.append(word)
    if line:
        yield _joined(line)


def _fits(line: list[TimedWord], word: TimedWord) -> bool:
    is_short = len(_joined(line).word) + 1 + len(word.word) <= CUE_CHARACTERS
    return is_short and word.end - line[0].start <= CUE_SECONDS and word.start - line[-1].end < PAUSE_SECONDS


def _joined(line: list[TimedWord]) -> TimedWord:
    return TimedWord(" ".join(word for word, _, _ in line), line[0].start, line[-1].end)


def clock(seconds: float, point: str) -> str:
    """Format hours:minutes:seconds with milliseconds after ``point``."""
    total, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(total, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}{point}{milliseconds:03d}"
