"""The hypothesis of a decoder for one utterance."""

from __future__ import annotations

from typing import NamedTuple, Optional


class Hypothesis(NamedTuple):
    """A decoded utterance: its tokens, and the frames at which they are emitted."""

    tokens: list[int]
    frames: list[int]
    score: float = 0.0
    """The higher the better: what beam search adds up; of greedy decoding always 0."""
    words: Optional[list[str]] = None
    """The words as the lexicon writes them; None without a lexicon."""


class TimedWord(NamedTuple):
    """A word, and its start and end in seconds from the recording's beginning."""

    word: str
    start: float
    end: float


def word_times(
    hypothesis: Hypothesis, symbols: list[str], delimiter: str, seconds: float, first: float
) -> list[TimedWord]:
    """Return words with their times: from the middle of a word's first frame to one frame after its last.

    Args:
        symbols: by token. One that begins with the delimiter begins a word, and one that is the delimiter ends one.
        delimiter: between words; empty where every symbol is a word.
        seconds: of one frame to the next.
        first: middle of frame 0.
    """
    words: list[TimedWord] = []
    letters, start, end = "", 0.0, 0.0
    for token, frame in [*zip(hypothesis.tokens, hypothesis.frames), (None, 0)]:
        symbol = delimiter if token is None else symbols[token]
        if symbol.startswith(delimiter):
            if letters:
                words.append(TimedWord(letters, start, end))
            letters, symbol = "", symbol[len(delimiter) :]
        if symbol:
            start = start if letters else first + frame * seconds
            letters, end = letters + symbol, first + (frame + 1) * seconds
    return words
