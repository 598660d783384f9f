"""Process a long sequence in chunks."""

from typing import Callable, Iterator, List, Optional, Tuple

import torch
from torch import Tensor


def chunk_bounds(size: int, chunk: int) -> Iterator[Tuple[int, int]]:
    """Yield (start, end) of each chunk of a sequence of ``size``."""
    return ((start, min(start + chunk, size)) for start in range(0, size, chunk))


def update_in_chunks(
    states: Tensor,
    chunk: int,
    context: int,
    function: Callable[[Tensor, int], Tensor],
    after: Optional[Callable[[int, Tensor], None]] = None,
) -> None:
    """Replace states (1, T, D) by function(states), in place and chunk by chunk. The function's output at frame t
    depends on the frames from t - context to t + context.

    Args:
        function: maps (1, n, D) and the number of its first frame to (1, n, D).
        after: called with each chunk's first frame and its new states, (1, n, D).
    """
    seen = states[:, :0]  # frames before the chunk as they were
    for start, end in chunk_bounds(states.shape[1], chunk):
        x = torch.cat([seen, states[:, start : end + context]], dim=1)
        skip = seen.shape[1]
        seen = x[:, max(0, skip + end - start - context) : skip + end - start].clone()
        states[:, start:end] = function(x, start - skip)[:, skip : skip + end - start]
        if after is not None:
            after(start, states[:, start:end])


class Moments:
    """The mean and variance of each channel over all frames that were added, in fp64."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: List[Tensor] = []

    def add(self, x: Tensor) -> None:
        """Add x: (steps, C)."""
        self.count += len(x)
        x = x.double()
        sums = [x.sum(dim=0), x.square().sum(dim=0)]
        self.sums = [old + new for old, new in zip(self.sums, sums)] if self.sums else sums

    def mean_and_variance(self) -> Tuple[Tensor, Tensor]:
        """Return (C,) each, in fp32; of the population."""
        mean, square = (total / self.count for total in self.sums)
        return mean.float(), (square - mean.square()).clamp(min=0).float()
