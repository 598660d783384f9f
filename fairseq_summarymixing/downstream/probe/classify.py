"""The task ``classify``: one class for each utterance, such as an intent, an emotion, a keyword or a speaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from .batches import Batch, Examples
from .model import AttentiveStatistics, MeanPooling, Probe
from .scores import Ratio, Score
from .splits import Split
from .task import DEEP_RATES, LINEAR_RATES, Figure, Row


class Classify:
    """Classification of utterances into the classes of the training split."""

    figures = {"accuracy": Figure("accuracy %", False)}
    chosen_by = "accuracy"
    drawn = "utterances"
    heads = {"linear": LINEAR_RATES, "statistics": DEEP_RATES}

    def __init__(self, train: Split):
        self.classes = find_classes(train)
        self.train_labels = train.labels_path

    def check(self, split: Split) -> Split:
        for number, label in enumerate(split.labels, start=1):
            if label not in self.classes:
                raise UserError(
                    f"{split.labels_path}:{number}: the class {label!r} is not in {self.train_labels}, so that no "
                    "probe can know it"
                )
        return split

    def targets(self, split: Split) -> list[Tensor]:
        return class_numbers(self.classes, split)

    def make_head(self, name: str, width: int, hidden_size: int) -> nn.Module:
        outputs = len(self.classes)
        return MeanPooling(width, outputs) if name == "linear" else AttentiveStatistics(width, outputs, hidden_size)

    def loss(self, probe: Probe, batch: Batch) -> Tensor:
        return F.cross_entropy(probe(batch.states, batch.padding_mask), torch.stack(batch.targets))

    def answer(self, probe: Probe, examples: Examples, split: Split) -> list[Row]:
        found = examples.answers(lambda batch: probe(batch.states, batch.padding_mask).argmax(dim=-1).tolist())
        return [(name, label, self.classes[number]) for name, label, number in zip(split.names, split.labels, found)]

    def scores(self, rows: Sequence[Row], split: Split) -> dict[str, Score]:
        right = np.array([label == answer for _, label, answer in rows], dtype=float)
        return {"accuracy": Ratio(right, np.ones(len(rows)))}

    def notes(self, test: Split) -> list[str]:
        label, count = Counter(test.labels).most_common(1)[0]
        share = 100 * count / len(test.labels)
        return [f"the most frequent of {len(self.classes)} classes, {label}, is {share:.1f} % of {test.name}"]


def find_classes(train: Split) -> list[str]:
    """Return the classes of the training split.

    Raises:
        UserError: there are fewer than two, or a row has none.
    """
    if "" in train.labels:
        raise UserError(f"{train.labels_path}:{train.labels.index('') + 1}: the line is empty; expected a class")
    classes = sorted(set(train.labels))
    if len(classes) < 2:
        raise UserError(f"{train.labels_path} holds {len(classes)} class, {classes[0]!r}: expected two at least")
    return classes


def class_numbers(classes: Sequence[str], split: Split) -> list[Tensor]:
    """Return the number of each row's class."""
    numbers = {label: torch.tensor(number) for number, label in enumerate(classes)}
    return [numbers[label] for label in split.labels]
