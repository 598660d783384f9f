"""Define what a task of probes is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from .batches import Batch, Examples
from .model import Probe
from .scores import Score
from .splits import Split

Row = Sequence[str]

# Learning rates of Adam: of a linear layer alone, and of deeper heads
LINEAR_RATES, DEEP_RATES = (0.003, 0.01, 0.03, 0.1), (0.001, 0.003, 0.01)


class Figure(NamedTuple):
    """A figure that a task gives."""

    title: str
    """As a column's heading, in percent."""
    lower_is_better: bool


class Task(Protocol):
    """A task: what a head learns of the training split, and how its answers are scored.

    Attributes:
        figures: by the names in :meth:`scores`; checkpoints are compared by the first.
        chosen_by: the figure on the validation split that chooses epoch and learning rate.
        drawn: what intervals draw of the test set, in words.
        heads: the heads that it has, the first by default, each with the learning rates to try.
    """

    figures: Mapping[str, Figure]
    chosen_by: str
    drawn: str
    heads: Mapping[str, Sequence[float]]

    def check(self, split: Split) -> Split:
        """Return the validation or test split, with all that scores need; raises UserError where it cannot be
        scored."""

    def targets(self, split: Split) -> list[Tensor]:
        """Return the target of each training utterance."""

    def make_head(self, name: str, width: int, hidden_size: int) -> nn.Module:
        """Return a new head."""

    def loss(self, probe: Probe, batch: Batch) -> Tensor:
        """Return the loss, averaged over the batch."""

    def answer(self, probe: Probe, examples: Examples, split: Split) -> list[Row]:
        """Return the rows of a table of answers, with all that :meth:`scores` needs."""

    def scores(self, rows: Sequence[Row], split: Split) -> dict[str, Score]:
        """Score a table of answers to a split. Units are numbered in the order in which they come first in it."""

    def notes(self, test: Split) -> list[str]:
        """Return what a reader of the figures should know of the test split."""
