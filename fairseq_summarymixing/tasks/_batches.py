"""Choose which utterances share a batch, and report how much of the batches is padding or cropped.

Utterances of similar length share a batch, so that little is padded or cropped; each epoch draws the batches anew, so
that no two utterances always share one. Only numpy is used, so that a million utterances take a second.
"""

from typing import NamedTuple, Optional, Sequence

import numpy as np


class BatchReport(NamedTuple):
    """The means over the batches of an epoch."""

    samples: float
    """Samples of real audio in one batch."""
    fill: Optional[float]
    """Share of ``max_tokens`` that a batch takes, its padding counted; None where there is no such limit."""
    padding: float
    """Share of the batches that is padding."""
    cropped: float
    """Share of the utterances' audio that is cropped away."""

    def __str__(self) -> str:
        fill = "" if self.fill is None else f"take {100 * self.fill:.1f} % of dataset.max_tokens, "
        return f"batches {fill}hold {100 * self.padding:.1f} % padding and crop {100 * self.cropped:.1f} % of the audio"


def shuffled_by_length(lengths: np.ndarray, spread: float, seed: int, epoch: int) -> np.ndarray:
    """Return indices from long to short, as if each utterance were longer by a random part of ``spread``.

    Depends on nothing but the arguments, so each process of a run draws the same.

    Args:
        lengths: (N,), samples.
        spread: samples by which lengths in one batch may differ beyond what sorting leaves. 0 gives the same
            batches each epoch, much gives much padding.

    Returns:
        (N,), int64: each index once.
    """
    jitter = spread * np.random.default_rng([seed, epoch]).random(len(lengths))
    return np.argsort(-(lengths + jitter), kind="stable")


def report_batches(
    batches: Sequence[np.ndarray], sizes: np.ndarray, pad: bool, max_sample_size: int, max_tokens: Optional[int]
) -> BatchReport:
    """Compute how much audio batches use and waste, by the lengths that a manifest gives.

    Args:
        batches: indices of each batch; at least one, none empty.
        sizes: (N,), samples of each utterance, uncropped.
        pad: pad to a batch's longest utterance, instead of cropping to its shortest.
        max_sample_size: longer utterances are cropped to it.
        max_tokens: samples that a batch may take.
    """
    counts = np.array([len(batch) for batch in batches])
    lengths = sizes[np.concatenate(batches)]
    widths = (np.maximum if pad else np.minimum).reduceat(lengths, np.cumsum(counts) - counts)
    widths = np.minimum(widths, max_sample_size)
    used = np.minimum(lengths, np.repeat(widths, counts)).sum()
    taken = (counts * widths).sum()
    return BatchReport(
        samples=used / len(batches),
        fill=taken / len(batches) / max_tokens if max_tokens else None,
        padding=1 - used / taken,
        cropped=1 - used / lengths.sum(),
    )
