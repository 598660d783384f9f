"""Train one probe: one checkpoint, seed and learning rate."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...errors import UserError
from .batches import Examples
from .model import Probe
from .splits import Split
from .task import Task

WEIGHTS_RATE = 0.01  # of the shares of the hidden states, as in MP3S
CLIP = 5.0  # gradient norm


class Settings(NamedTuple):
    """How probes are trained, the same for all."""

    head: str
    hidden_size: int
    epochs: int


class Trained(NamedTuple):
    """A trained probe, of its best epoch on the validation split."""

    parameters: dict[str, Tensor]
    figure: float
    """The figure on the validation split that chose the epoch; NaN where no epoch has one, such as where the training
    diverged in the first."""
    epoch: int
    history: list[dict[str, float]]
    """For each epoch the loss on the training split and the figure on the validation split; shorter than the epochs
    of the settings where the training diverged."""


def make_probe(task: Task, examples: Examples, settings: Settings) -> Probe:
    """Return a new probe on the examples' device, drawn by torch's generator."""
    states = examples.states
    head = task.make_head(settings.head, states.width, settings.hidden_size)
    return Probe(states.num_states, head).to(examples.device)


def train_probe(
    task: Task, train: Examples, valid: Examples, valid_split: Split, settings: Settings, rate: float, seed: int
) -> Trained:
    """Train a probe by Adam, whose rates fall to 0 along a half cosine, and keep the epoch that is best on ``valid``.

    Of equally good epochs the last one counts. Training ends where the loss of an epoch is not finite; the best epoch
    before counts. The result depends only on the arguments, and torch's generator keeps its state.
    """
    devices = [train.device] if train.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        probe = make_probe(task, train, settings)
        groups = [
            {"params": probe.head.parameters(), "lr": rate},
            {"params": probe.sum.parameters(), "lr": WEIGHTS_RATE},
        ]
        optimizer = torch.optim.Adam(groups)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
        random, best, history = np.random.default_rng(seed), None, []
        for epoch in tqdm(range(1, settings.epochs + 1), f"lr {rate:g}, seed {seed}", leave=False, disable=None):
            loss = _train_epoch(task, probe, train, optimizer, random)
            schedule.step()
            if not math.isfinite(loss):
                break
            figure = _figure(task, probe, valid, valid_split)
            history.append({"loss": loss, task.chosen_by: figure})
            if best is None or not is_better(task, best.figure, figure):
                best = Trained(_parameters(probe), figure, epoch, history)
    return best or Trained(_parameters(probe), math.nan, 0, history)


def is_better(task: Task, figure: float, than: float) -> bool:
    """Return whether a figure on the validation split is better; NaN is worse than any."""
    if math.isnan(figure) or math.isnan(than):
        return math.isnan(than) and not math.isnan(figure)
    return figure < than if task.figures[task.chosen_by].lower_is_better else figure > than


def choose_rate(task: Task, trained: dict[float, Trained]) -> float:
    """Return the learning rate whose probe is best on the validation split; of equally good rates the first.

    Raises:
        UserError: all trainings diverged.
    """
    best = next(iter(trained))
    for rate, probe in trained.items():
        if is_better(task, probe.figure, trained[best].figure):
            best = rate
    if math.isnan(trained[best].figure):
        raise UserError(f"no probe learned anything: the loss was not finite at any of `rates` {list(trained)}")
    return best


def _parameters(probe: Probe) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in probe.state_dict().items()}


def _train_epoch(
    task: Task, probe: Probe, train: Examples, optimizer: torch.optim.Optimizer, random: np.random.Generator
) -> float:
    """Return the mean loss of the epoch's batches."""
    probe.train()
    losses = []
    for batch in train.shuffled(random):
        optimizer.zero_grad()
        loss = task.loss(probe, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(probe.parameters(), CLIP)
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def _figure(task: Task, probe: Probe, valid: Examples, split: Split) -> float:
    scores = task.scores(task.answer(probe.eval(), valid, split), split)
    return scores[task.chosen_by].value()
