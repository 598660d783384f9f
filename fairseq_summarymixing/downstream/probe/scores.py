"""Score a test set, with intervals over its units and over probe seeds, and compare checkpoints on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Score(Protocol):
    """A figure of a test set, of which each unit (an utterance or a speaker) may count any number of times."""

    @property
    def units(self) -> int:
        """The number N of units."""

    def value(self, counts: np.ndarray | None = None) -> float:
        """Return the figure where unit i counts ``counts[i]`` times, or each once; NaN where nothing is left."""


@dataclass(frozen=True)
class Ratio:
    """A sum over utterances over another one, such as errors over words. Each is (N,)."""

    part: np.ndarray
    whole: np.ndarray

    @property
    def units(self) -> int:
        return len(self.whole)

    def value(self, counts: np.ndarray | None = None) -> float:
        counts = np.ones(len(self.whole)) if counts is None else counts
        whole = counts @ self.whole
        return float(counts @ self.part / whole) if whole else float("nan")


@dataclass(frozen=True)
class EqualErrorRate:
    """The error rate of verification at the threshold where misses are as frequent as false alarms.

    Between two thresholds next to each other both rates are interpolated. Its units are the speakers: their utterances
    and trials are not independent. A trial of two speakers counts as often as one times the other, a trial of one as
    often as that one, for copies of a speaker are not paired (subject bootstrap, Bolle et al. 2004).

    Attributes:
        similarity: of each trial, the higher the more alike.
        same: whether it is of one speaker.
        first, second: the numbers of the speakers of its two utterances.
    """

    similarity: np.ndarray
    same: np.ndarray
    first: np.ndarray
    second: np.ndarray
    _order: np.ndarray = field(init=False, repr=False)
    _ends: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        order = np.argsort(self.similarity, kind="stable")
        thresholds = self.similarity[order]
        object.__setattr__(self, "_order", order)
        # a threshold rejects all trials of equal similarity, or none
        object.__setattr__(self, "_ends", np.flatnonzero(np.diff(thresholds, append=np.inf) > 0))

    @property
    def units(self) -> int:
        return 1 + int(max(self.first.max(), self.second.max()))

    def value(self, counts: np.ndarray | None = None) -> float:
        weights = np.ones(len(self.same))
        if counts is not None:
            weights = counts[self.first] * np.where(self.same, 1.0, counts[self.second])
        weights, same = weights[self._order], self.same[self._order]
        targets, others = np.cumsum(weights * same), np.cumsum(weights * ~same)
        if not targets[-1] or not others[-1]:
            return float("nan")
        misses = np.concatenate([[0.0], targets[self._ends] / targets[-1]])
        alarms = np.concatenate([[1.0], 1 - others[self._ends] / others[-1]])
        after = int(np.argmax(misses >= alarms))  # at the first threshold there are no misses
        gap_before, gap_after = alarms[after - 1] - misses[after - 1], misses[after] - alarms[after]
        share = gap_before / (gap_before + gap_after)
        return float(misses[after - 1] + share * (misses[after] - misses[after - 1]))


def mean(scores: Sequence[Score]) -> float:
    """Return the mean over probe seeds."""
    return float(np.mean([score.value() for score in scores]))


def resample(scores: Sequence[Sequence[Score]], resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Draw units of a test set and probe seeds with replacement, the same for all checkpoints, and score these on them.

    Args:
        scores: of each checkpoint, one for each seed of its probe; all of the same N units and the same seeds.

    Returns:
        (checkpoints, resamples): the mean over the drawn seeds.
    """
    random, units, seeds = np.random.default_rng(seed), scores[0][0].units, len(scores[0])
    values = np.empty((len(scores), resamples))
    for index in range(resamples):
        counts, times = (np.bincount(random.integers(n, size=n), minlength=n) for n in (units, seeds))
        for row, of_seeds in zip(values, scores):
            row[index] = sum(time * score.value(counts) for time, score in zip(times, of_seeds) if time) / seeds
    return values


def interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of resampled values; NaN among them, of draws without a unit, is left
    out."""
    edge = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(values, [edge, 100 - edge])
    return float(low), float(high)


def p_value(differences: np.ndarray) -> float:
    """Return how often, at the least, resampled differences fall on one side of 0, times two: the paired bootstrap test
    (Bisani and Ney 2004) of two checkpoints that do not differ."""
    differences = differences[~np.isnan(differences)]
    below, above = ((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(differences))))
