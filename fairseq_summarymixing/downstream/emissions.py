"""Compute the emissions of a test split: batches of like lengths, and alone what is too long for a batch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoints import Checkpoint
from ..compat import quiet_fairseq
from ..errors import UserError
from .encoder import RecordingEncoder, load_encoder
from .recogniser import Recogniser
from .test_set import TestSet

# Utterances below this many seconds run alone: a convolutional front end may have no frame for them, and
# fairseq's wav2vec2 then marks the wrong frames of a padded batch.
SHORT_SECONDS = 0.1


def compute_emissions(
    recogniser: Recogniser, test_set: TestSet, split: str, batch_seconds: float, long_form: LongForm
) -> tuple[list[Tensor], list[str]]:
    """Compute the emissions (T, V) of every utterance, in manifest order, and notes on those too short for a frame."""
    with quiet_fairseq():
        recogniser.task.load_dataset(split)
    dataset = recogniser.task.datasets[split]
    rate = recogniser.task.cfg.sample_rate
    emissions = [torch.zeros(0, len(recogniser.symbols)) for _ in test_set.paths]
    notes = []
    with tqdm(total=round(sum(test_set.samples) / rate), unit="s", desc=split, disable=None) as progress:
        for batch in plan_batches(test_set.samples, batch_seconds * rate):
            items = [_read_item(dataset, index, test_set) for index in batch]
            together, short = [], []
            for item in items:
                if len(item["source"]) > long_form.block_seconds * rate:
                    path = os.path.join(test_set.root, test_set.paths[int(item["id"])])
                    _store(emissions, [item], [long_form.run(item["source"], path)])
                else:
                    (together if len(item["source"]) >= SHORT_SECONDS * rate else short).append(item)
            if together:
                _store(emissions, together, _run(recogniser, dataset, together))
            for item in short:
                try:
                    _store(emissions, [item], _run(recogniser, dataset, [item]))
                except (RuntimeError, ValueError):
                    path = test_set.paths[int(item["id"])]
                    length = len(item["source"])
                    notes.append(f"{path}: too short for one frame ({length} samples); empty hypothesis")
            progress.update(round(sum(test_set.samples[index] for index in batch) / rate))
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    _check_finite(emissions, test_set.paths, long_form.checkpoint)
    return emissions, notes


def _check_finite(emissions: list[Tensor], paths: Sequence[str], checkpoint: Checkpoint) -> None:
    bad = [path for path, values in zip(paths, emissions) if not torch.isfinite(values).all()]
    if bad:
        raise UserError(
            f"{checkpoint.path} gives no finite emissions for {bad[0]} and {len(bad) - 1} others: its training had "
            "diverged; decode an earlier checkpoint"
        )


class LongForm:
    """An encoder for utterances too long for a batch, loaded when it is needed: each is computed alone by
    :class:`~.encoder.RecordingEncoder`."""

    def __init__(
        self,
        recogniser: Recogniser,
        checkpoint: Checkpoint,
        device: torch.device,
        block_seconds: float,
        window_seconds: float | None,
    ):
        self.recogniser, self.checkpoint, self.device = recogniser, checkpoint, device
        self.block_seconds, self.window_seconds = block_seconds, window_seconds
        self._encoder: RecordingEncoder | None = None

    @torch.no_grad()
    def run(self, wave: Tensor, name: str) -> Tensor:
        """Compute the emissions (T, V) of a waveform (samples,), as the dataset gives it.

        Raises:
            UserError: it is too long for self-attention, or windows were asked for where there is no need.
        """
        if self._encoder is None:
            self._encoder = load_encoder(self.checkpoint, self.device, self.block_seconds, self.window_seconds)
        self._encoder.check_length(len(wave), name)
        return self.recogniser.model.w2v_encoder.proj(self._encoder.encode(wave))[0]


def plan_batches(samples: Sequence[int], budget: float) -> list[list[int]]:
    """Group indices, longest first: count times the longest is at most ``budget`` samples, or count is 1."""
    batches: list[list[int]] = []
    for index in sorted(range(len(samples)), key=lambda index: -samples[index]):
        if batches and (len(batches[-1]) + 1) * samples[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _read_item(dataset: Any, index: int, test_set: TestSet) -> dict[str, Any]:
    try:
        return dataset[index]
    except Exception as error:  # fairseq raises bare Exception for unreadable files and other sample rates
        path = os.path.join(test_set.root, test_set.paths[index])
        raise UserError(f"cannot read the audio file {path}: {error}; every utterance counts, so mend it") from error


@torch.no_grad()
def _run(recogniser: Recogniser, dataset: Any, items: list[dict[str, Any]]) -> list[Tensor]:
    device = next(recogniser.model.parameters()).device
    net_input = {name: value.to(device) for name, value in dataset.collater(items)["net_input"].items()}
    try:
        output = recogniser.model(**net_input)
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        seconds = net_input["source"].numel() / recogniser.task.cfg.sample_rate
        raise UserError(f"out of GPU memory in a batch of {seconds:.0f} s; use a smaller `batch_seconds`") from error
    emissions = recogniser.model.get_logits(output).transpose(0, 1).cpu()  # (T, B, V) -> (B, T, V)
    padding_mask = output["padding_mask"]
    lengths = torch.full((emissions.size(0),), emissions.size(1))
    if padding_mask is not None:
        lengths = (~padding_mask).sum(dim=1)
    return [utterance[:length].clone() for utterance, length in zip(emissions, lengths.tolist())]


def _store(emissions: list[Tensor], items: list[dict[str, Any]], answers: list[Tensor]) -> None:
    for item, answer in zip(items, answers):
        emissions[int(item["id"])] = answer.float().cpu()
