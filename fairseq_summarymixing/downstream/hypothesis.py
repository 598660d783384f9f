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


def word_times(
    hypothesis: Hypothesis, symbols: list[str], delimiter: str, seconds: float, first: float
) -> list[tuple[str, float, float]]:
    """Return (word, start, end) in seconds: from the middle of a word's first frame to one frame after its last.

    Args:
        symbols: by token.
        delimiter: the symbol between words.
        seconds: of one frame to the next.
        first: middle of frame 0.
    """
    words: list[tuple[str, float, float]] = []
    letters, start, end = "", 0.0, 0.0
    for token, frame in [*zip(hypothesis.tokens, hypothesis.frames), (None, 0)]:
        symbol = delimiter if token is None else symbols[token]
        if symbol != delimiter:
            start = start if letters else first + frame * seconds
            letters, end = letters + symbol, first + (frame + 1) * seconds
        elif letters:
            words.append((letters, start, end))
            letters = ""
    return words
