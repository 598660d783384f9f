"""Compute the hidden states of recordings one after the other, or short ones together."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..data.audio import SAMPLE_RATE
from ..errors import enough_memory_for
from ..modules.long_form import PASSED_OVER
from ..modules.speech_encoder import SpeechEncoder
from .devices import products_in
from .emissions import plan_batches
from .encoder import ChunkCallback, RecordingEncoder, memory_for_recording
from .inputs import Recording, ReportFailure
from .usable import read_usable

Encode = Callable[[ChunkCallback], object]
"""Computes one recording, calling back as :meth:`.RecordingEncoder.encode` does."""


def group_recordings(
    encoder: RecordingEncoder, lengths: Mapping[Recording, int], batch_seconds: float
) -> list[list[Recording]]:
    """Group recordings of like lengths: padded, a group lasts at most ``batch_seconds``; 0 = each alone.

    Recordings that are computed in chunks or windows are alone, and so are all of a model with its own ``encode``.
    """
    longest = encoder.chunk_seconds * SAMPLE_RATE if _takes_batches(encoder) and batch_seconds else 0
    short = [recording for recording, length in lengths.items() if length <= longest]
    groups = plan_batches([lengths[recording] for recording in short], batch_seconds * SAMPLE_RATE)
    alone = [[recording] for recording, length in lengths.items() if length > longest]
    return alone + [[short[index] for index in group] for group in groups]


def memory_for_group(encoder: RecordingEncoder, group: Sequence[Recording]) -> contextlib.AbstractContextManager:
    """Return a context in which a lack of memory is a UserError that names the recordings and what to lower."""
    if len(group) == 1:
        return memory_for_recording(group[0].path, encoder)
    return enough_memory_for(
        f"{len(group)} recordings together, such as {group[0].path}", "use a smaller `batch_seconds`"
    )


def encodes_of(
    encoder: RecordingEncoder, group: Sequence[Recording], report: ReportFailure
) -> Iterator[tuple[Recording, int, Encode]]:
    """Yield for each recording of a group that can be used its samples at 16 kHz and what computes it."""
    read = {recording: read_usable(recording, encoder.check_length, report) for recording in group}
    waves = {recording: wave for recording, wave in read.items() if wave is not None}
    fit = [encoder.prepared(wave) for wave in waves.values()]
    if len(waves) < 2:
        encodes = [functools.partial(encoder.encode, wave) for wave in fit]
    else:
        encodes = [functools.partial(_call_back, states) for states in encode_together(encoder, fit)]
    for (recording, wave), encode in zip(waves.items(), encodes):
        yield recording, len(wave), encode


@torch.no_grad()
def encode_together(encoder: RecordingEncoder, waves: Sequence[Tensor]) -> list[list[Tensor]]:
    """Compute, for each waveform, its hidden states (T, D): the first layer's input, then each layer's output.

    The front end computes one waveform after the other, as a group norm over time must not see padding; the encoder
    computes all of them, padded.
    """
    model = encoder.model
    with products_in(encoder.dtype):
        parts = [model.extract_normalised(wave.to(model.mask_emb.device).unsqueeze(0), None) for wave in waves]
        lengths = torch.tensor([part.projected.shape[1] for part in parts], device=model.mask_emb.device)
        x = pad_sequence([part.projected[0] for part in parts], batch_first=True)
        padding_mask = torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)
        states = model.encoder(x, padding_mask, return_hidden_states=True).hidden_states
    return [[state[row, :length] for state in states] for row, length in enumerate(lengths.tolist())]


def _takes_batches(encoder: RecordingEncoder) -> bool:
    own = (getattr(type(encoder.model), name) is not getattr(SpeechEncoder, name) for name in PASSED_OVER)
    return encoder.window_seconds is None and not any(own)


def _call_back(states: Sequence[Tensor], on_chunk: ChunkCallback) -> None:
    for number, state in enumerate(states):
        on_chunk(number, 0, state)
