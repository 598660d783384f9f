"""Choose where to cut a long recording, in pure arithmetic: stretches of speech in, segments of similar length out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Tuple

Stretch = Tuple[int, int]  # first sample, sample after the last


def stitch(speech: Sequence[Stretch], shortest: int, longest: int) -> list[list[Stretch]]:
    """Join stretches of speech, in order and without the silence between them, into segments.

    A segment ends at the last pause at which it has from ``shortest`` to ``longest`` samples and at least
    ``shortest`` are left for the next. Where there is no such pause it is cut as late as these lengths allow,
    inside a stretch whose rest begins the next segment. So no speech is lost unless the whole recording has less
    than ``shortest``, and no rests come about.

    Args:
        speech: in order, none empty, none overlapping.
        shortest, longest: samples; ``longest`` is at least twice ``shortest``, or a rest could fit nowhere.

    Returns:
        The stretches of each segment: together, in order, exactly ``speech``; or [] when that is too short for a
            segment.
    """
    if not 0 < 2 * shortest <= longest:
        raise ValueError(f"longest must be at least twice shortest, both positive; got {longest} and {shortest}")
    # All speech laid end to end; pauses[i] is where on that line stretch i begins and the one before ends.
    pauses = [0, *accumulate(stop - start for start, stop in speech)]
    total = pauses[-1]
    if total < shortest:
        return []
    cuts = [0]
    while total - cuts[-1] > longest:
        earliest, latest = cuts[-1] + shortest, min(cuts[-1] + longest, total - shortest)
        pause = pauses[bisect_right(pauses, latest) - 1]
        cuts.append(pause if pause >= earliest else latest)
    cuts.append(total)
    return [_between(speech, pauses, begin, end) for begin, end in zip(cuts, cuts[1:])]


def _between(speech: Sequence[Stretch], pauses: Sequence[int], begin: int, end: int) -> list[Stretch]:
    """Return the part of ``speech`` that lies from ``begin`` to ``end`` on the line."""
    stretches = []
    for index in range(bisect_right(pauses, begin) - 1, bisect_left(pauses, end)):
        shift = speech[index][0] - pauses[index]
        stretches.append((max(begin, pauses[index]) + shift, min(end, pauses[index + 1]) + shift))
    return stretches
