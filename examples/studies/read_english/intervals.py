"""Compute means over seeds with intervals that cover the choice of seeds and of test utterances."""

from typing import NamedTuple, Sequence

import numpy as np
from scipy import stats

RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean, and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def estimate(values: Sequence[Sequence[float]], weights: Sequence[float]) -> Estimate:
    """Return the mean over seeds of a rate over utterances, by a bootstrap that draws seeds and utterances.

    Args:
        values: (seeds, utterances): errors, or differences of errors of two models with the same seed.
        weights: (utterances,): what the sum of the values is divided by, such as reference words.
    """
    values, weights = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    random = np.random.default_rng(0)
    rates = []
    for _ in range(RESAMPLES):
        seeds = random.integers(0, len(values), len(values))
        utterances = random.integers(0, len(weights), len(weights))
        rates.append(values[seeds].mean(axis=0)[utterances].sum() / weights[utterances].sum())
    return Estimate(values.mean(axis=0).sum() / weights.sum(), *np.percentile(rates, [2.5, 97.5]))


def estimate_of_draws(values: Sequence[float], draws: Sequence[Sequence[float]]) -> Estimate:
    """Return the mean over seeds of a figure of probes, by a bootstrap that draws seeds as well.

    Args:
        values: of each seed of the pre-training.
        draws: (seeds, draws): the same on resampled test sets.
    """
    draws, columns = np.asarray(draws, dtype=float), np.arange(len(draws[0]))
    seeds = np.random.default_rng(0).integers(0, len(draws), (len(draws), len(columns)))
    return Estimate(float(np.mean(values)), *np.nanpercentile(draws[seeds, columns].mean(axis=0), [2.5, 97.5]))


def over_seeds(values: Sequence[float]) -> Estimate:
    """Return the mean of one value for each seed, with the smallest and the largest: three seeds make no interval."""
    return Estimate(float(np.mean(values)), float(np.min(values)), float(np.max(values)))


def student(values: Sequence[float]) -> Estimate:
    """Return the mean of one value for each seed, with its 95 % interval by Student's t; one seed has none."""
    mean, count = float(np.mean(values)), len(values)
    if count == 1:
        return Estimate(mean, mean, mean)
    half = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Estimate(mean, mean - half, mean + half)


def shown(estimate: Estimate, decimals: int, signed: bool = False) -> str:
    """Format as in ``31.4 (28.2 to 34.7)``."""
    sign = "+" if signed else ""
    mean, low, high = (f"{value:{sign}.{decimals}f}" for value in estimate)
    return mean if low == high else f"{mean} ({low} to {high})"
