"""Show how much audio has been computed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from torch import Tensor
from tqdm import tqdm

from ..data.audio import SAMPLE_RATE
from ..errors import printable


class AudioProgress(tqdm):
    """A bar of seconds of audio, which takes fractions of them; on a terminal alone."""

    def __init__(self, seconds: float, title: str):
        super().__init__(total=round(seconds), unit="s", desc=title, disable=None)
        self._done = 0.0

    @classmethod
    def of_recordings(cls, lengths: Iterable[int], title: str) -> AudioProgress:
        """Return the bar of recordings of these lengths, in samples at 16 kHz."""
        return cls(sum(lengths) / SAMPLE_RATE, title)

    def add(self, seconds: float) -> None:
        before, self._done = self._done, self._done + seconds
        self.update(round(self._done) - round(before))

    def chunks_of(self, seconds: float, frames: int, states: int) -> Callable[[int, int, Tensor], None]:
        """Return what to call with each chunk of a recording's hidden states, as :meth:`.RecordingEncoder.encode`
        does."""
        return lambda number, first, x: self.add(seconds * len(x) / frames / states)


def warn_of(path: str, reason: str) -> None:
    """Print a line on stderr on a recording that cannot be used."""
    warn(f"warning: cannot use {printable(path)}: {reason}")


def warn(message: str) -> None:
    """Print a line on stderr, above the bars there are."""
    tqdm.write(message, file=sys.stderr)
