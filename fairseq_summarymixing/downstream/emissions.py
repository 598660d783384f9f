"""Compute the emissions of utterances: batches of like lengths, and alone what is too long for a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..checkpoints import Checkpoint
from ..compat import quiet_fairseq
from ..data.audio import BadAudio
from ..errors import UserError, counted, enough_memory_for, one_line
from ..modules.lean.derived import weights_unchanged
from ..plugin.corpora import any_text_in
from .devices import pick_device, pick_dtype, products_in
from .encoder import RecordingEncoder, check_batch_seconds, check_seconds, memory_for_recording
from .inputs import read_wave
from .load_encoder import load_encoder
from .long_form_options import BATCH_SECONDS, CHUNK_SECONDS
from .progress import AudioProgress, warn
from .recogniser import Recogniser
from .test_set import TestSet

# Utterances below this many seconds run alone: a convolutional front end may have no frame for them, and
# fairseq's wav2vec2 then marks the wrong frames of a padded batch.
SHORT_SECONDS = 0.1


@dataclass(frozen=True)
class Batching:
    """The settings of how much audio is computed at once, and on which device.

    Attributes:
        batch_seconds: padded audio that runs at once. With stock models of ``extractor_mode: default`` (group
            norm) an utterance's emissions depend a little on its batch; 0 runs one utterance at a time.
        chunk_seconds: longer utterances go through the encoder alone, SummaryMixing in chunks of so much, which changes
            nothing but the memory.
        window_seconds: let self-attention see windows of so much of longer utterances; None refuses those above
            5 minutes.
        device: "auto", "cpu" or "cuda".
        dtype: of products' factors, as :func:`.devices.pick_dtype` takes it.

    Raises:
        UserError: a number is no length, or there is no such device or dtype.
    """

    batch_seconds: float = BATCH_SECONDS
    chunk_seconds: float = CHUNK_SECONDS
    window_seconds: float | None = None
    device: str = "auto"
    dtype: str = "fp32"

    def __post_init__(self) -> None:
        check_batch_seconds(self.batch_seconds)
        check_seconds(self.chunk_seconds, self.window_seconds)
        pick_dtype(self.dtype, pick_device(self.device))


class EmissionModel:
    """A recogniser that computes the emissions of waveforms of any length.

    Args:
        checkpoint: of the recogniser; the encoder for long waveforms is built of it when one comes.

    Raises:
        UserError: windows were asked for where there is no need.
    """

    def __init__(self, recogniser: Recogniser, checkpoint: Checkpoint, batching: Batching):
        self.recogniser, self.checkpoint, self.batching = recogniser, checkpoint, batching
        self.rate = recogniser.task.cfg.sample_rate
        self.dtype = pick_dtype(batching.dtype, pick_device(batching.device))
        self._encoder: RecordingEncoder | None = None
        if batching.window_seconds is not None:
            self._long_encoder()  # which refuses windows where there is no need

    @torch.no_grad()
    def compute(self, waves: Sequence[Tensor], names: Sequence[str], progress: AudioProgress) -> list[Tensor]:
        """Compute the emissions (T, V), in fp32 on the CPU, of waveforms (samples,) as the model was trained on them.

        What is too short for a frame has no emissions, (0, V).

        Lengths are those that :meth:`check_length` takes.

        Raises:
            UserError: not enough memory; of a long waveform with its name.
        """
        emissions = [torch.zeros(0, len(self.recogniser.symbols))] * len(waves)
        together = []
        for index, wave in enumerate(waves):
            seconds = len(wave) / self.rate
            if not self.recogniser.has_frame(len(wave)):
                progress.add(seconds)
            elif self.is_long(len(wave)):
                with memory_for_recording(names[index], self._long_encoder()):
                    emissions[index] = self._compute_long(wave, progress)
            elif seconds >= SHORT_SECONDS:
                together.append(index)
            else:
                [emissions[index]] = self._compute_batch([wave])
                progress.add(seconds)
        if together:
            for index, found in zip(together, self._compute_batch([waves[index] for index in together])):
                emissions[index] = found
            progress.add(sum(len(waves[index]) for index in together) / self.rate)
        return emissions

    def is_long(self, samples: int) -> bool:
        return samples > self.batching.chunk_seconds * self.rate

    def check_length(self, samples: int, name: str) -> None:
        """Check that self-attention takes a waveform of so many samples.

        Raises:
            UnfitLength: it does not.
        """
        if self.is_long(samples):
            self._long_encoder().check_length(samples, name)

    def _long_encoder(self) -> RecordingEncoder:
        if self._encoder is None:
            device = next(self.recogniser.model.parameters()).device
            chunk, window = self.batching.chunk_seconds, self.batching.window_seconds
            self._encoder = load_encoder(self.checkpoint, device, chunk, window, self.dtype)
        return self._encoder

    def _compute_long(self, wave: Tensor, progress: AudioProgress) -> Tensor:
        encoder = self._long_encoder()
        states = encoder.num_layers + 1
        on_chunk = progress.chunks_of(len(wave) / self.rate, encoder.frames(len(wave)), states)
        return self.recogniser.model.w2v_encoder.proj(encoder.encode(wave, on_chunk))[0].float().cpu()

    def _compute_batch(self, waves: Sequence[Tensor]) -> list[Tensor]:
        model = self.recogniser.model
        device = next(model.parameters()).device
        source = pad_sequence(list(waves), batch_first=True)
        lengths = torch.tensor([len(wave) for wave in waves])
        padding_mask = torch.arange(source.shape[1]) >= lengths.unsqueeze(1)
        what = f"a batch of {source.numel() / self.rate:.0f} s"
        with enough_memory_for(what, "use a smaller `batch_seconds`"), products_in(self.dtype):
            output = model(source=source.to(device), padding_mask=padding_mask.to(device))
        emissions = model.get_logits(output).transpose(0, 1).float().cpu()  # (T, B, V) -> (B, T, V)
        padding_mask = output["padding_mask"]
        lengths = torch.full((emissions.size(0),), emissions.size(1))
        if padding_mask is not None:
            lengths = (~padding_mask).sum(dim=1)
        return [utterance[:length].clone() for utterance, length in zip(emissions, lengths.tolist())]


class Emissions(NamedTuple):
    """The emissions of a split."""

    utterances: list[Tensor]
    """(T, V) of every utterance, in manifest order."""
    notes: list[str]
    """A line on every utterance that is too short for a frame."""
    audio_seconds: float
    """How long the recordings are, whatever the manifest says."""


def compute_emissions(model: EmissionModel, test_set: TestSet, split: str) -> Emissions:
    """Compute the emissions of every utterance.

    Raises:
        UserError: an utterance cannot be read or is too long for self-attention, or emissions are not finite.
    """
    read = read_with_fairseq(model.recogniser, test_set, split)
    emissions: list[Tensor] = [torch.empty(0)] * len(test_set.paths)
    notes, samples = [], 0
    with AudioProgress(sum(test_set.samples) / model.rate, split) as progress, weights_unchanged():
        for batch in plan_batches(test_set.samples, model.batching.batch_seconds * model.rate):
            waves = [read(index) for index in batch]
            samples += sum(map(len, waves))
            paths = [os.path.join(test_set.root, test_set.paths[index]) for index in batch]
            for path, wave in zip(paths, waves):
                model.check_length(len(wave), path)
            for index, wave, found in zip(batch, waves, model.compute(waves, paths, progress)):
                emissions[index] = found
                if not len(found):
                    notes.append(
                        f"{test_set.paths[index]}: too short for one frame ({counted(len(wave), 'sample')}); "
                        "empty hypothesis"
                    )
    if not samples:
        raise UserError(
            f"the recordings of {split} are empty: {os.path.join(test_set.root, test_set.paths[0])} has 0 samples"
        )
    for note in notes:
        warn(f"warning: {note}")
    check_finite(emissions, test_set.paths, model.checkpoint)
    return Emissions(emissions, notes, samples / model.rate)


def read_with_fairseq(recogniser: Recogniser, test_set: TestSet, split: str) -> Callable[[int], Tensor]:
    """Return what reads the waveform (samples,) of a row as fairseq's own dataset does, normalisation included."""
    with quiet_fairseq():
        from fairseq.data.audio import raw_audio_dataset
        from fairseq.tasks.audio_pretraining import AudioPretrainingTask

    with quiet_fairseq(), any_text_in(raw_audio_dataset):
        AudioPretrainingTask.load_dataset(recogniser.task, split)  # without labels
    dataset = recogniser.task.datasets[split]

    def read(index: int) -> Tensor:
        try:
            return dataset[index]["source"]
        except Exception as error:  # fairseq raises bare Exception for unreadable files and other sample rates
            path = os.path.join(test_set.root, test_set.paths[index])
            raise UserError(
                f"cannot read the audio file {path}: {_reason(path, error)}; every utterance counts, so mend it"
            ) from error

    return read


def _reason(path: str, error: Exception) -> str:
    """Return why a recording cannot be read: what our reader says, or where it reads it the first line of fairseq's."""
    try:
        read_wave(path)
    except BadAudio as problem:
        return str(problem)
    return one_line(error)


def check_finite(emissions: Sequence[Tensor], paths: Sequence[str], checkpoint: Checkpoint) -> None:
    """Raise a UserError where emissions are NaN or infinite."""
    bad = [path for path, values in zip(paths, emissions) if not torch.isfinite(values).all()]
    if bad:
        more = f" and {counted(len(bad) - 1, 'other')}" if len(bad) > 1 else ""
        raise UserError(
            f"{checkpoint.path} gives no finite emissions for {bad[0]}{more}: its training had diverged; decode an "
            "earlier checkpoint"
        )


def plan_batches(samples: Sequence[int], budget: float) -> list[list[int]]:
    """Group indices, longest first: count times the longest is at most ``budget`` samples, or count is 1."""
    batches: list[list[int]] = []
    for index in sorted(range(len(samples)), key=lambda index: -samples[index]):
        if batches and (len(batches[-1]) + 1) * samples[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
