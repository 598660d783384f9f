"""Run an encoder over recordings of any length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.audio import SAMPLE_RATE
from ..errors import UserError, enough_memory_for
from ..modules.attention import SelfAttention
from ..modules.chunks import chunk_bounds
from ..modules.frontend import ConvFeatureExtractor
from ..modules.long_form import chunking_obstacle, encode_in_chunks
from ..modules.speech_encoder import SpeechEncoder
from .devices import products_in

MAX_ATTENTION_SECONDS = 300  # all pairs of frames of 5 minutes are 225 million, in each head

ChunkCallback = Callable[[int, int, Tensor], None]

LONGEST_SECONDS = 1e9  # beyond, samples overflow


class UnfitLength(UserError):
    """An error: a recording is too long for self-attention, or too short for a frame."""


@dataclass
class RecordingEncoder:
    """A pre-trained encoder, in evaluation mode, for recordings of any length.

    Raises:
        UserError: lengths below a second, or windows where the mixer needs none.

    Attributes:
        model: on its device.
        normalize: whether it was trained on waveforms of mean 0 and variance 1.
        chunk_seconds: length of the chunks that are computed at a time.
        window_seconds: self-attention sees windows of so much instead of the whole recording; None = the whole.
        dtype: of products' factors, "fp32" or "bf16".
        obstacle: class name of a part that is only computed in one pass, such as SelfAttention; None = there is none.
    """

    model: SpeechEncoder
    normalize: bool
    chunk_seconds: float
    window_seconds: float | None
    dtype: str = "fp32"
    obstacle: str | None = field(init=False)

    def __post_init__(self) -> None:
        check_seconds(self.chunk_seconds, self.window_seconds)
        self.obstacle = chunking_obstacle(self.model)
        if self.window_seconds and self.is_linear:
            raise UserError(
                "`window_seconds` is for self-attention: SummaryMixing computes recordings of any length whole"
            )

    @property
    def num_layers(self) -> int:
        return len(self.model.encoder.layers)

    @property
    def is_linear(self) -> bool:
        """Whether recordings are computed chunk by chunk, whatever their length."""
        return self.obstacle is None

    @property
    def frames_per_second(self) -> float:
        return SAMPLE_RATE / self.model.feature_extractor.hop

    def frames(self, samples: int) -> int:
        return int(self.model.feature_extractor.output_lengths(torch.tensor([samples]))[0])

    def times(self, samples: int) -> Tensor:
        """Return (T,), fp64: seconds from the beginning to the middle of what each frame of the front end sees."""
        frontend = self.model.feature_extractor
        places = torch.arange(self.frames(samples), dtype=torch.float64) * frontend.hop
        return (places + frontend.first_centre) / SAMPLE_RATE

    def check_frames(self, samples: int, name: str) -> None:
        """Raise an UnfitLength where a recording is too short for a frame."""
        if samples < self.model.feature_extractor.receptive_field:
            raise UnfitLength(f"{name} has {samples} samples at {SAMPLE_RATE} Hz, fewer than one frame needs")

    def check_length(self, samples: int, name: str) -> None:
        """Raise an UnfitLength where one pass would be too long, or a recording is too short for a frame."""
        self.check_frames(samples, name)
        seconds = samples / SAMPLE_RATE
        if not self.is_linear and not self.window_seconds and seconds > MAX_ATTENTION_SECONDS:
            quadratic = isinstance(self.model.encoder.layers[0].mixer, SelfAttention)
            reason = "self-attention's cost is quadratic" if quadratic else f"{self.obstacle} is computed in one pass"
            raise UnfitLength(
                f"{name} lasts {seconds:.0f} s, and {reason}: more than {MAX_ATTENTION_SECONDS} s is refused. "
                "`window_seconds` 30 processes windows of 30 s, which is not exact"
            )

    def prepared(self, wave: Tensor) -> Tensor:
        """Return (samples,) as the encoder was trained on waveforms: normalised, or as it is."""
        return normalised(wave) if self.normalize else wave

    @torch.no_grad()
    def encode(self, wave: Tensor, on_chunk: ChunkCallback | None = None) -> Tensor:
        """Compute context representations (1, T, D) of (samples,) at 16 kHz, as :meth:`prepared` gives it.

        ``on_chunk`` is called with (k, first frame, (n, D)) for parts of hidden state k, each state's in order.
        """
        with products_in(self.dtype):
            return self._encode(wave.to(self.model.mask_emb.device), on_chunk)

    def _encode(self, wave: Tensor, on_chunk: ChunkCallback | None) -> Tensor:
        chunk = max(1, round(self.chunk_seconds * self.frames_per_second))
        if self.is_linear and self.frames(len(wave)) > chunk:
            return encode_in_chunks(self.model, wave, chunk, on_chunk)
        if self.window_seconds:
            return self._encode_windows(wave, round(self.window_seconds * self.frames_per_second), on_chunk)
        result = self.model.encode(wave.unsqueeze(0))
        for number, state in enumerate(result.hidden_states if on_chunk else ()):
            on_chunk(number, 0, state[0])
        return result.x

    def _encode_windows(self, wave: Tensor, window: int, on_chunk: ChunkCallback | None) -> Tensor:
        """Keep the middle four fifths of each window; the rest is there to be attended to."""
        hop, field = self.model.feature_extractor.hop, self.model.feature_extractor.receptive_field
        frames, context = self.frames(len(wave)), window // 10
        parts = []
        for start, end in chunk_bounds(frames, window - 2 * context):
            begin, stop = max(0, start - context), min(frames, end + context)
            result = self.model.encode(wave[begin * hop : (stop - 1) * hop + field].unsqueeze(0))
            keep = slice(start - begin, end - begin)
            for number, state in enumerate(result.hidden_states if on_chunk else ()):
                on_chunk(number, start, state[0, keep])
            parts.append(result.x[:, keep])
        return torch.cat(parts, dim=1)


def memory_for_recording(name: str, encoder: RecordingEncoder) -> contextlib.AbstractContextManager:
    """Return a context in which a lack of memory is a UserError that names the recording and what to lower."""
    smaller = "a smaller `chunk_seconds`" if encoder.is_linear else "`window_seconds` 30, or less,"
    return enough_memory_for(name, f"use {smaller} or cut the recording")


def check_seconds(chunk_seconds: float, window_seconds: float | None) -> None:
    """Raise a UserError where one of the two is no length, below a second, or longer than any recording."""
    for name, seconds in (("chunk_seconds", chunk_seconds), ("window_seconds", window_seconds)):
        if seconds is not None and LONGEST_SECONDS < seconds < float("inf"):
            raise UserError(f"`{name}` must be at most {LONGEST_SECONDS:g} seconds; got {seconds:g}")
        if seconds is not None and not 1 <= seconds < float("inf"):
            raise UserError(f"`{name}` must be at least 1 second; got {seconds:g}")


def check_batch_seconds(batch_seconds: float) -> None:
    """Raise a UserError unless it is 0 or a length."""
    if not 0 <= batch_seconds < float("inf"):
        raise UserError(f"`batch_seconds` must be 0 or more; got {batch_seconds:g}")


def front_end_of(model: nn.Module) -> nn.Module:
    """Return the front end of a pre-trained model, ours or stock's, with ``hop``, ``first_centre`` and
    ``receptive_field``."""
    frontend = model.feature_extractor
    if hasattr(frontend, "hop"):
        return frontend
    layers = [(layer[0].out_channels, layer[0].kernel_size[0], layer[0].stride[0]) for layer in frontend.conv_layers]
    with torch.device("meta"):  # stock's is ours by another name
        return ConvFeatureExtractor(layers)


def normalised(wave: Tensor) -> Tensor:
    """Normalise (samples,) to mean 0 and variance 1, as fairseq's ``task.normalize``."""
    return F.layer_norm(wave, wave.shape)
