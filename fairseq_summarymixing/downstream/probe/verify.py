"""The task ``verify``: are two recordings of one speaker?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.labels import read_trials
from ...data.manifest import Trial
from ...errors import UserError, counted
from .batches import Batch, Examples
from .classify import class_numbers, find_classes
from .model import Probe, XVector
from .scores import EqualErrorRate, Score
from .splits import Split
from .task import DEEP_RATES, Figure, Row

SCALE, MARGIN = 30.0, 0.2
MOST_PAIRS = 20_000  # of one speaker, and of two
FEWEST_SPEAKERS = 10  # for an interval to mean something
MOST_PAIRED = 3_000  # recordings, which have 4.5 million pairs


class Verify:
    """Speaker verification: speaker embeddings are trained to classify the training split's speakers, and compared by
    their cosine. The loss is the additive margin softmax (Wang et al. 2018)."""

    figures = {"eer": Figure("EER %", True)}
    chosen_by = "eer"
    drawn = "speakers"
    heads = {"xvector": DEEP_RATES}

    def __init__(self, train: Split):
        self.classes = find_classes(train)

    def check(self, split: Split) -> Split:
        trials = make_trials(split)
        for same in (True, False):
            if not any(trial.same is same for trial in trials):
                kind = "one speaker" if same else "two speakers"
                raise UserError(f"{split.name} has no pair of recordings of {kind}, so there is no error rate")
        return replace(split, trials=trials)

    def targets(self, split: Split) -> list[Tensor]:
        return class_numbers(self.classes, split)

    def make_head(self, name: str, width: int, hidden_size: int) -> nn.Module:
        return XVector(width, len(self.classes), hidden_size)

    def loss(self, probe: Probe, batch: Batch) -> Tensor:
        targets = torch.stack(batch.targets)
        cosine = probe(batch.states, batch.padding_mask)
        return F.cross_entropy(SCALE * (cosine - MARGIN * F.one_hot(targets, cosine.shape[1])), targets)

    def answer(self, probe: Probe, examples: Examples, split: Split) -> list[Row]:
        found = examples.answers(lambda batch: probe.head.embed(probe.sum(batch.states), batch.padding_mask).cpu())
        numbers = {name: number for number, name in enumerate(split.names)}
        pairs = torch.tensor([(numbers[trial.first], numbers[trial.second]) for trial in split.trials])
        embeddings = torch.stack(found)
        cosines = (embeddings[pairs[:, 0]] * embeddings[pairs[:, 1]]).sum(dim=1).tolist()
        return [
            (str(int(trial.same)), trial.first, trial.second, f"{cosine:.6f}")
            for trial, cosine in zip(split.trials, cosines)
        ]

    def scores(self, rows: Sequence[Row], split: Split) -> dict[str, Score]:
        speakers, numbers = dict(zip(split.names, split.labels)), {}
        pairs = [[numbers.setdefault(speakers[name], len(numbers)) for name in row[1:3]] for row in rows]
        first, second = np.array(pairs).transpose()
        same = np.array([row[0] == "1" for row in rows])
        return {"eer": EqualErrorRate(np.array([float(row[3]) for row in rows]), same, first, second)}

    def notes(self, test: Split) -> list[str]:
        same = sum(trial.same for trial in test.trials)
        labels = dict(zip(test.names, test.labels))
        speakers = len({labels[name] for trial in test.trials for name in (trial.first, trial.second)})
        few = "; so few speakers make no interval" if speakers < FEWEST_SPEAKERS else ""
        trials = f"{counted(same, 'trial')} of one speaker and {len(test.trials) - same} of two"
        return [f"{test.name} has {trials}, among {counted(speakers, 'speaker')}{few}"]


def check_trials(trials: Sequence[Trial], split: Split) -> None:
    """Raise a UserError that names the first trial of a recording with itself, or against the labels."""
    speakers = dict(zip(split.names, split.labels))
    for number, trial in enumerate(trials, start=1):
        place = f"{split.manifest.with_suffix('.trials')}:{number}"
        if trial.first == trial.second:
            raise UserError(f"{place}: a trial of {trial.first} with itself; remove it")
        first, second = speakers[trial.first], speakers[trial.second]
        if trial.same != (first == second):
            kind = "one speaker" if trial.same else "two speakers"
            raise UserError(f"{place}: a trial of {kind}, but in {split.labels_path} they are {first} and {second}")


def make_trials(split: Split) -> list[Trial]:
    """Read SPLIT.trials; where there is no such file, pair all recordings, whose labels are their speakers.

    Of more than :data:`MOST_PAIRED` recordings, and of more than :data:`MOST_PAIRS` pairs of one speaker or of two, so
    many are drawn, always the same.

    Raises:
        UserError: a trial cannot be read, is of a recording with itself, or contradicts the labels.
    """
    if split.manifest.with_suffix(".trials").is_file():
        trials = read_trials(split.manifest, split.names)
        check_trials(trials, split)
        return trials
    speakers = dict(zip(split.names, split.labels))
    names, random = list(speakers), np.random.default_rng(0)
    if len(names) > MOST_PAIRED:
        names = [names[place] for place in np.sort(random.choice(len(names), MOST_PAIRED, replace=False))]
    codes = np.unique([speakers[name] for name in names], return_inverse=True)[1]
    first, second = np.triu_indices(len(names), k=1)
    is_same = codes[first] == codes[second]
    trials = []
    for same in (True, False):
        (places,) = np.nonzero(is_same == same)
        if len(places) > MOST_PAIRS:
            places = np.sort(random.choice(places, MOST_PAIRS, replace=False))
        trials += [Trial(same, names[first[place]], names[second[place]]) for place in places]
    return trials
