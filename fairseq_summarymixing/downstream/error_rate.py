"""Compute word and character error rates with a confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import editdistance
import numpy as np


@dataclass(frozen=True)
class ErrorRate:
    """The errors (substitutions, insertions, deletions) and reference units of each utterance."""

    errors: np.ndarray
    units: np.ndarray

    @property
    def rate(self) -> float:
        """All errors over all reference units; 0.1 is 10 %. NaN where the references hold no units."""
        return float(self.errors.sum() / self.units.sum()) if self.units.sum() else float("nan")

    def interval(self, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
        """Compute the percentile bootstrap interval of the rate over utterances (Bisani and Ney 2004).

        It covers the choice of test utterances alone: another training seed moves the rate as well.

        Args:
            confidence: share of the resampled rates inside the interval.
            resamples: how often as many utterances are drawn with replacement.
        """
        count = len(self.units)
        random = np.random.default_rng(seed)
        rates = []
        at_once = max(1, 2_000_000 // max(count, 1))  # bounds memory: 16 MB of indices
        for start in range(0, resamples, at_once):
            drawn = random.integers(0, count, size=(min(at_once, resamples - start), count))
            units = self.units[drawn].sum(axis=1)
            errors = self.errors[drawn].sum(axis=1)
            rates.append(errors[units > 0] / units[units > 0])
        edge = 100 * (1 - confidence) / 2
        low, high = np.percentile(np.concatenate(rates), [edge, 100 - edge])
        return float(low), float(high)


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRate:
    """Count errors of words, which white space separates."""
    return _count([text.split() for text in references], [text.split() for text in hypotheses])


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRate:
    """Count errors of characters; the single space between words is a character."""
    return _count([" ".join(text.split()) for text in references], [" ".join(text.split()) for text in hypotheses])


def _count(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> ErrorRate:
    if len(references) != len(hypotheses):
        raise ValueError(f"expected one hypothesis per reference; got {len(hypotheses)} and {len(references)}")
    errors = [editdistance.eval(reference, hypothesis) for reference, hypothesis in zip(references, hypotheses)]
    return ErrorRate(
        np.array(errors, dtype=np.int64), np.array([len(reference) for reference in references], dtype=np.int64)
    )
