"""What is tried for each checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UserError


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
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds or min(self.seeds) < 0:
            raise UserError(f"`seeds` must be different numbers, 0 or more; got {listed(self.seeds)}")
        rates = self.rates
        if rates is not None and (len(set(rates)) < len(rates) or not rates or not all(0 < rate < 1 for rate in rates)):
            raise UserError(f"`rates` must be different numbers between 0 and 1; got {listed(rates)}")
        for name in ("epochs", "hidden_size"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be 1 or more; got {getattr(self, name)}")
        if not 1 <= self.batch_seconds < float("inf"):
            raise UserError(f"`batch_seconds` must be 1 or more; got {self.batch_seconds:g}")


def listed(values: Sequence[Any]) -> str:
    """Return the values for people."""
    return ", ".join(map(str, values)) or "none"
