"""What is tried for each checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UserError

# Beyond, a zero too many was typed: no head is as wide, no memory holds such a batch
LARGEST = {"epochs": 10**6, "hidden_size": 4096, "batch_seconds": 10**6}
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Grid:
    """What is tried for each checkpoint.

    Attributes:
        seeds: of the probes.
        rates: learning rates; None = those of the head. The first seed tries all; the one that is best on the
            validation split is taken for all seeds.
        batch_seconds: padded audio in a batch.
    """

    seeds: Sequence[int] = (1, 2, 3)
    rates: Sequence[float] | None = None
    epochs: int = 20
    batch_seconds: float = 40.0
    hidden_size: int = 128

    def __post_init__(self) -> None:
        seeds = self.seeds
        if len(set(seeds)) < len(seeds) or not seeds or not all(0 <= seed <= LARGEST_SEED for seed in seeds):
            raise UserError(f"`seeds` must be different numbers from 0 to {LARGEST_SEED}; got {listed(seeds)}")
        rates = self.rates
        if rates is not None and (len(set(rates)) < len(rates) or not rates or not all(0 < rate < 1 for rate in rates)):
            raise UserError(f"`rates` must be different numbers between 0 and 1; got {listed(rates)}")
        for name, most in LARGEST.items():
            if not 1 <= getattr(self, name) <= most:
                raise UserError(f"`{name}` must be from 1 to {most}; got {getattr(self, name)}")


def listed(values: Sequence[Any]) -> str:
    """Return the values for people."""
    return ", ".join(map(str, values)) or "none"
