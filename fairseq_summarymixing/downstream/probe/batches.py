"""Gather utterances into padded batches of about one length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..emissions import plan_batches
from .hidden_states import HiddenStates

Answer = TypeVar("Answer")


class Batch(NamedTuple):
    """A batch of utterances."""

    states: Tensor
    """(S, B, T, D), fp32, 0 where there is padding."""
    padding_mask: Tensor
    """(B, T), bool, True = padding."""
    targets: list[Tensor]
    """Of each utterance, as the task has them."""


class Examples(NamedTuple):
    """Utterances with their targets, whose hidden states stay on disk until a batch needs them."""

    states: HiddenStates
    paths: Sequence[str]
    targets: Sequence[Tensor]
    batch_frames: int
    """Frames of a batch at the most, padding included; up to a ninth more in :meth:`shuffled`, whose lengths are noisy.
    An utterance that has more is a batch of its own."""
    device: torch.device

    def shuffled(self, random: np.random.Generator) -> Iterator[Batch]:
        """Yield all utterances in a new order: of about one length in a batch, lengths being noisy for that."""
        lengths = [length * noise for length, noise in zip(self._lengths(), random.uniform(0.9, 1.1, len(self.paths)))]
        batches = plan_batches(lengths, self.batch_frames)
        for number in random.permutation(len(batches)):
            yield self._batch(batches[number])

    def count_batches(self) -> int:
        return len(plan_batches(self._lengths(), self.batch_frames))

    def answers(self, function: Callable[[Batch], Sequence[Answer]]) -> list[Answer]:
        """Return the function's answer for each utterance, in order."""
        found: dict[int, Answer] = {}
        with torch.no_grad():
            for indices in plan_batches(self._lengths(), self.batch_frames):
                found.update(zip(indices, function(self._batch(indices))))
        return [found[index] for index in range(len(self.paths))]

    def _lengths(self) -> list[int]:
        return [self.states.frames(path) for path in self.paths]

    def _batch(self, indices: Sequence[int]) -> Batch:
        lengths = torch.tensor([self.states.frames(self.paths[index]) for index in indices])
        size = (self.states.num_states, len(indices), int(lengths.max()), self.states.width)
        states = torch.zeros(size)
        for row, index in enumerate(indices):
            found = np.array(self.states[self.paths[index]])  # torch warns of memory that it may not write to
            states[:, row, : lengths[row]] = torch.from_numpy(found)
        padding_mask = torch.arange(size[2]) >= lengths.unsqueeze(1)
        targets = [self.targets[index].to(self.device) for index in indices]
        return Batch(states.to(self.device), padding_mask.to(self.device), targets)
