"""Sample which frames and channels are masked (wav2vec 2.0, Section 3.1 and Appendix A; SpecAugment).

Each utterance draws from a generator of its own, so its masks do not depend on the other utterances of its
batch, on how many processes train, or on when a run was stopped and resumed.
"""

from typing import List, Sequence, Union

import torch
from torch import Tensor


def utterance_generators(seeds: Sequence[int], device: Union[str, torch.device] = "cpu") -> List[torch.Generator]:
    """Return one generator for each seed."""
    return [torch.Generator(device).manual_seed(int(seed)) for seed in seeds]


def sample_spans(size: int, prob: float, length: int, generator: torch.Generator, min_spans: int = 0) -> Tensor:
    """Sample masked spans of ``length`` positions, at random distinct starts, overlapping as they fall.

    Args:
        size: positions in all.
        prob: the number of spans is prob * size / length, rounded up or down at random.
        length: positions of one span; at most half of ``size`` is used, so that something is left.
        min_spans: the least number of spans.

    Returns:
        (size,), bool, True = masked. Below 2 positions nothing is masked.
    """
    masked = torch.zeros(size, dtype=torch.bool)
    if size < 2:
        return masked
    length = min(length, size // 2)
    rounding = torch.rand((), generator=generator).item()
    num_starts = size - length
    num_spans = min(max(int(prob * size / length + rounding), min_spans), num_starts)
    starts = torch.randperm(num_starts, generator=generator)[:num_spans]
    masked[(starts.unsqueeze(1) + torch.arange(length)).flatten()] = True
    return masked


def sample_time_mask(
    lengths: Sequence[int],
    total: int,
    prob: float,
    length: int,
    generators: Sequence[torch.Generator],
    same_count: bool = True,
    mask_dropout: float = 0.0,
) -> Tensor:
    """Sample the masked frames of each utterance of a batch.

    Args:
        lengths: real frames of each of the B utterances.
        total: frames T of the padded batch.
        prob: as in :func:`sample_spans`, with at least 2 spans.
        same_count: unmask frames at random until each utterance has as many masked frames as the one
            with the fewest (fairseq's ``require_same_masks``).
        mask_dropout: share of the masked frames that is unmasked again.

    Returns:
        (B, T), bool, True = masked; padding is never masked. An utterance has none or at least 2 masked
        frames: one alone would have no distractors.
    """
    masks = [sample_spans(size, prob, length, g, min_spans=2) for size, g in zip(lengths, generators)]
    counts = [int(mask.sum()) for mask in masks]
    fewest = min((count for count in counts if count >= 2), default=0)
    batch = torch.zeros(len(masks), total, dtype=torch.bool)
    for row, mask, count, generator in zip(batch, masks, counts, generators):
        if count < 2:
            continue
        keep = fewest if same_count else count
        keep = max(2, keep - round(keep * mask_dropout))
        masked = mask.nonzero().flatten()
        row[masked[torch.randperm(count, generator=generator)[:keep]] if keep < count else masked] = True
    return batch


def sample_channel_mask(channels: int, prob: float, length: int, generators: Sequence[torch.Generator]) -> Tensor:
    """Sample the masked channels, which are zeroed for the whole utterance: (B, channels), bool, True = masked. May
    mask none."""
    return torch.stack([sample_spans(channels, prob, length, generator) for generator in generators])
