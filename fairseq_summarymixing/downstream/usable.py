"""Select the recordings that can be used: those that can be read and whose length the encoder takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ..data.audio import BadAudio
from .encoder import UnfitLength
from .inputs import Recording, ReportFailure, read_length, read_wave

CheckLength = Callable[[int, str], None]


def usable_lengths(recordings: Sequence[Recording], check: CheckLength, report: ReportFailure) -> dict[Recording, int]:
    """Return the lengths at 16 kHz, by their headers, of the recordings that can be used."""
    lengths = {}
    for recording in recordings:
        try:
            length = read_length(recording.path)
            check(length, "it")
            lengths[recording] = length
        except (BadAudio, UnfitLength) as error:
            report(recording.path, str(error))
    return lengths


def read_usable(recording: Recording, check: CheckLength, report: ReportFailure) -> Tensor | None:
    """Return the waveform; None where it cannot be used."""
    try:
        wave = read_wave(recording.path)
        check(len(wave), "it")  # a header may only estimate it
        return wave
    except (BadAudio, UnfitLength) as error:
        report(recording.path, str(error))
        return None
