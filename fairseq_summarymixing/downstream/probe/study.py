"""Probe checkpoint after checkpoint: hidden states, probes of all learning rates and seeds, answers."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ... import __version__
from ...checkpoints import Checkpoint
from ...errors import UserError
from ..devices import device_name
from ..progress import warn
from ..versions import versions
from .batches import Examples
from .cells import Cells
from .grid import Grid, listed
from .hidden_states import LongForm, compute_hidden_states, encoder_digest
from .model import Probe
from .report import Probed
from .splits import Split
from .task import Row, Task
from .train import Settings, Trained, choose_rate, make_probe, train_probe

FEWEST_SEEDS = 10  # with fewer, a bootstrap is narrower than Student's t by a fifth or more
FRAME_RATE = 50  # frames a second, by which batches are measured


@dataclass(frozen=True)
class Study:
    """One task over several checkpoints."""

    task: Task
    splits: Sequence[Split]
    settings: Settings
    grid: Grid
    long_form: LongForm
    device: torch.device
    states: Path
    folder: Path

    def probe_checkpoint(self, name: str, checkpoint: Checkpoint) -> Probed:
        """Train, choose and test the probes of a checkpoint."""
        digest = encoder_digest(checkpoint)
        train, valid = (self._examples(checkpoint, digest, split) for split in self.splits[:2])
        probe = make_probe(self.task, train, self.settings)
        self._check_batches(probe, train)
        cells = self._cells(digest, probe)

        def trained(rate: float, seed: int) -> Trained:
            return cells.trained(rate, seed, lambda: self._train(name, train, valid, rate, seed))

        tried = {rate: trained(rate, self.grid.seeds[0]) for rate in self.grid.rates}
        rate = choose_rate(self.task, tried)
        probes = [trained(rate, seed) for seed in self.grid.seeds]
        _check_all_learned(name, rate, self.grid.seeds, probes)
        test = self._examples(checkpoint, digest, self.splits[2])
        models = [self._load(probe, test) for probe in probes]
        scores = [
            self.task.scores(self._answers(cells, rate, seed, model, test), self.splits[2])
            for seed, model in zip(self.grid.seeds, models)
        ]
        described = {
            "path": os.path.abspath(checkpoint.path),
            "model": checkpoint.encoder_name,
            "mixer": checkpoint.encoder_fields.get("mixer"),
            "num_updates": checkpoint.num_updates,
            "rate": rate,
            "valid": {f"{each:g}": _json_number(found.figure) for each, found in tried.items()},
            "epochs": [found.epoch for found in probes],
            "probe_parameters": sum(value.numel() for value in models[0].parameters()),
            "probes": str(cells.folder.relative_to(self.folder)),
        }
        return Probed(name, scores, [model.sum.shares.tolist() for model in models], described)

    def describe(self, task: str, kind: str, data: str | Path) -> dict[str, Any]:
        """Return what ``result.json`` says of the study as a whole."""
        train, valid, test = self.splits
        chosen_by = self.task.figures[self.task.chosen_by].title
        return {
            "description": f"Probe {task} ({self.settings.head}), trained on {len(train.names)} utterances of "
            f"{train.name}; learning rate and epoch chosen by {chosen_by} on {len(valid.names)} utterances of "
            f"{valid.name}; tested on {len(test.names)} utterances of {test.name}. {self._intervals()}",
            "task": task,
            "head": self.settings.head,
            "labels": kind,
            "data": os.path.abspath(data),
            "splits": [split.name for split in self.splits],
            "seeds": list(self.grid.seeds),
            "rates": list(self.grid.rates),
            "epochs": self.grid.epochs,
            "batch_seconds": self.grid.batch_seconds,
            "hidden_size": self.grid.hidden_size,
            "window_seconds": self.long_form.window_seconds,
            "device": device_name(self.device),
            "versions": versions(),
            "notes": self.task.notes(test),
        }

    def _intervals(self) -> str:
        """Say what intervals and p are of."""
        seeds, drawn = self.grid.seeds, f"Intervals and p are of a bootstrap over test {self.task.drawn}"
        if len(seeds) == 1:
            return f"{drawn}, the same for all checkpoints; they say nothing of other seeds than {seeds[0]}."
        width = "" if len(seeds) >= FEWEST_SEEDS else f"; over only {len(seeds)} seeds they are too narrow"
        return f"Means over the seeds {listed(seeds)}. {drawn} and seeds, the same for all checkpoints{width}."

    def _examples(self, checkpoint: Checkpoint, digest: str, split: Split) -> Examples:
        states = compute_hidden_states(checkpoint, digest, split.recordings(), self.states, split.name, self.long_form)
        targets = self.task.targets(split) if split is self.splits[0] else [torch.zeros(0)] * len(split.paths)
        return Examples(states, split.paths, targets, round(self.grid.batch_seconds * FRAME_RATE), self.device)

    def _check_batches(self, probe: Probe, train: Examples) -> None:
        """Raise a UserError where a head that normalises batches would see hardly more than one utterance at a time."""
        fewest, batches = getattr(probe.head, "FEWEST_IN_BATCH", 1), train.count_batches()
        if batches > 1 and len(train.paths) < fewest * batches:
            longest = max(map(train.states.frames, train.paths)) / FRAME_RATE
            raise UserError(
                f"`batch_seconds` {self.grid.batch_seconds:g} holds {len(train.paths) / batches:.1f} recordings of "
                f"{self.splits[0].name} on average, and the head {self.settings.head} needs {fewest} or more: name "
                f"{math.ceil(fewest * longest)}"
            )

    def _train(self, name: str, train: Examples, valid: Examples, rate: float, seed: int) -> Trained:
        found = train_probe(self.task, train, valid, self.splits[1], self.settings, rate, seed)
        chosen_by = self.task.figures[self.task.chosen_by].title
        which = f"{name}, learning rate {rate:g}, seed {seed}"
        warn(f"{which}: {chosen_by} {100 * found.figure:.1f} on validation")
        if found.epoch and len(found.history) < self.settings.epochs:
            warn(
                f"warning: {which}: the loss was not finite in epoch {len(found.history) + 1}, so the training ended "
                f"there; the probe is that of epoch {found.epoch}"
            )
        return found

    def _load(self, found: Trained, examples: Examples) -> Probe:
        probe = make_probe(self.task, examples, self.settings)
        probe.load_state_dict(found.parameters)
        return probe.eval()

    def _cells(self, digest: str, probe: Probe) -> Cells:
        train, valid, _ = self.splits
        made_of = {
            "encoder": digest,
            "train": train.digest(),
            "valid": valid.digest(),
            "settings": self.settings._asdict(),
            "modules": str(probe),  # the parameters of a stored probe fit no other modules
            "batch_seconds": self.grid.batch_seconds,
            "window_seconds": self.long_form.window_seconds,
            "version": __version__,
        }
        return Cells(self.folder / "probes", made_of)

    def _answers(self, cells: Cells, rate: float, seed: int, model: Probe, test: Examples) -> list[Row]:
        split = self.splits[2]
        key = f"{split.name}-{split.digest()}"
        return cells.answers(rate, seed, key, lambda: self.task.answer(model, test, split))


def _check_all_learned(name: str, rate: float, seeds: Sequence[int], probes: Sequence[Trained]) -> None:
    for seed, probe in zip(seeds, probes):
        if math.isnan(probe.figure):
            raise UserError(
                f"{name}: the probe of seed {seed} diverged at the learning rate {rate:g}, which seed {seeds[0]} "
                "chose: leave that out of `rates`"
            )


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
