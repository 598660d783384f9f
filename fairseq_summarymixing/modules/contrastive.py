"""The contrastive task of wav2vec 2.0 (Section 3.2): find the true target among distractors.

Masked frames of a batch are kept as one list of N rows, utterance by utterance, so that utterances may
have different numbers of them. ``counts`` holds the masked frames of each utterance and sums to N.
"""

from typing import Iterator, List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 2048  # frames of an utterance whose similarities to all of its frames are held at once


def sample_distractors(counts: Sequence[int], num_distractors: int, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw other masked frames of the same utterance for each masked frame, uniformly, with replacement.

    Returns:
        (N, K), int64, on the generators' device: row numbers counted from the utterance's first masked frame.

    Raises:
        ValueError: an utterance has exactly one masked frame, so nothing to draw from.
    """
    rows: List[Tensor] = []
    for count, generator in zip(counts, generators):
        if count == 1:
            raise ValueError("an utterance needs at least 2 masked frames to draw distractors; got 1")
        if count == 0:
            continue
        device = generator.device
        drawn = torch.randint(0, count - 1, (count, num_distractors), generator=generator, device=device)
        # skip the frame itself
        rows.append(drawn + (drawn >= torch.arange(count, device=device).unsqueeze(1)))
    return torch.cat(rows) if rows else torch.empty(0, num_distractors, dtype=torch.long)


def contrastive_logits(
    context: Tensor,
    targets: Tensor,
    target_ids: Tensor,
    distractors: Tensor,
    counts: Sequence[int],
    temperature: float = 0.1,
) -> Tensor:
    """Compute the cosine similarity / temperature of each context vector with its target and its distractors (Eq. 3).

    The similarities between all masked frames of an utterance come from one matrix product (from one per :data:`BLOCK`
    frames where there are more); those of the distractors are picked from it, so no distractor vector is copied. A
    distractor that equals the target gets minus infinity.

    Args:
        context: (N, D), projected encoder outputs at masked frames.
        targets: (N, D), projected targets of the same frames.
        target_ids: (N,), equal where two targets are the same vector.
        distractors: (N, K), from :func:`sample_distractors`.
        counts: masked frames of each utterance.

    Returns:
        (N, 1 + K) in fp32, the true target first.
    """
    with torch.autocast(context.device.type, enabled=False):
        context = F.normalize(context.float(), dim=-1)
        targets = F.normalize(targets.float(), dim=-1)
        parts = (part.split(list(counts)) for part in (context, targets, target_ids, distractors))
        rows = [block for utterance in zip(*parts) for block in _utterance_similarities(*utterance)]
        return torch.cat(rows) / temperature


def _utterance_similarities(context: Tensor, targets: Tensor, ids: Tensor, picks: Tensor) -> Iterator[Tensor]:
    """Yield the similarities of one utterance of n frames with K picks, as (block of n, 1 + K)."""
    for start in range(0, max(len(context), 1), BLOCK):
        block = slice(start, start + BLOCK)
        similarity = context[block] @ targets.transpose(0, 1)
        same = ids[picks[block]] == ids[block].unsqueeze(1)
        negatives = similarity.gather(1, picks[block]).masked_fill(same, float("-inf"))
        yield torch.cat([similarity.diagonal(start).unsqueeze(1), negatives], dim=1)


def diversity_loss(prob_perplexity: Tensor, num_entries: int) -> Tensor:
    """Compute the share of the codebook's entries that the mean softmax leaves unused (Eq. 4), 0 to 1."""
    return (num_entries - prob_perplexity) / num_entries
