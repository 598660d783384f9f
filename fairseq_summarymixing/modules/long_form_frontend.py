"""Compute the front end's features of a recording of any length chunk by chunk, as exact as in one pass.

Statistics over the whole recording (of the waveform, the mel energies, or a group norm) are computed first, in a pass
of their own over the chunks.
"""

from typing import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chunks import Moments, chunk_bounds
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .lean.frontend import quick_features
from .log_mel import HOP, WINDOW
from .speech_encoder import SpeechEncoder


def features_in_chunks(model: SpeechEncoder, wave: Tensor, chunk: int) -> Iterator[Tensor]:
    """Yield the normalised features, (1, n, C), of each chunk of one recording.

    Args:
        model: in evaluation mode; of any encoder.
        wave: (samples,), 16 kHz.
        chunk: frames of a chunk, 50 a second.

    Raises:
        ValueError: the recording is too short for a frame.
    """
    frontend = model.feature_extractor
    if not isinstance(frontend, (ConvFeatureExtractor, LogMelExtractor)):  # in one pass
        yield model.layer_norm(frontend(wave.unsqueeze(0), None)[0])
        return
    frames = int(frontend.output_lengths(torch.tensor([len(wave)]))[0])
    if isinstance(frontend, LogMelExtractor):
        features_of_chunks = _mel_chunks(frontend, wave, frames, chunk)
    else:
        features_of_chunks = _waveform_chunks(frontend, wave.to(model.mask_emb.dtype), frames, chunk)
    for features in features_of_chunks:
        yield model.layer_norm(features)


def _waveform_chunks(frontend: ConvFeatureExtractor, wave: Tensor, frames: int, chunk: int) -> Iterator[Tensor]:
    """Yield the features of each chunk, (1, n, C)."""
    if len(wave) < frontend.receptive_field:
        raise ValueError(f"audio must have at least {frontend.receptive_field} samples; got {len(wave)}")
    compute = _compute_features(frontend, wave, chunk)
    for start, end in chunk_bounds(frames, chunk):
        x = wave[start * frontend.hop : (end - 1) * frontend.hop + frontend.receptive_field]
        yield compute(x).unsqueeze(0)


def _compute_features(frontend: ConvFeatureExtractor, wave: Tensor, chunk: int) -> Callable[[Tensor], Tensor]:
    """Return a function from a piece of the waveform to its features (n, C)."""
    quick = quick_features(frontend, wave)
    if quick is not None:
        return quick
    first, *others = frontend.conv_layers
    convolution, _, *norm, activation = first
    normalise = norm[0] if norm else nn.Identity()
    if isinstance(normalise, nn.GroupNorm):
        sizes = frontend.kernels_and_strides[0]
        normalise = _over_all_time(normalise, convolution, *sizes, wave, chunk * frontend.hop)

    def compute(piece: Tensor) -> Tensor:
        x = activation(normalise(convolution(piece.view(1, 1, -1))))
        for layer in others:
            x = layer(x)
        return x[0].transpose(0, 1)

    return compute


def _over_all_time(
    norm: nn.GroupNorm, convolution: nn.Module, kernel: int, stride: int, wave: Tensor, chunk: int
) -> Callable[[Tensor], Tensor]:
    """Return the group norm of one group per channel as a function, with the statistics of the whole recording."""
    moments = Moments()
    for start, end in chunk_bounds((len(wave) - kernel) // stride + 1, max(1, chunk // stride)):
        x = convolution(wave[start * stride : (end - 1) * stride + kernel].view(1, 1, -1))
        moments.add(x[0].transpose(0, 1))
    mean, variance = (moment.to(wave.dtype) for moment in moments.mean_and_variance())
    return lambda x: F.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)


def _mel_chunks(frontend: LogMelExtractor, wave: Tensor, frames: int, chunk: int) -> Iterator[Tensor]:
    """Yield the features of each chunk, (1, n, C). Memory holds the energies of the whole recording, 80 numbers per
    10 ms."""
    if len(wave) < WINDOW:
        raise ValueError(f"audio must have at least {WINDOW} samples; got {len(wave)}")
    mel = _normalised_mel(frontend, wave, chunk)
    hop, context = 1, 0  # frames of mel
    for kernel, stride in frontend.kernels_and_strides:
        context += kernel // 2 * hop
        hop *= stride
    context = -(-context // hop)
    for start, end in chunk_bounds(frames, chunk):
        begin = max(0, start - context)
        x, _ = frontend.convolve(mel[:, begin * hop : (end + context) * hop])
        yield x[:, start - begin : end - begin]


def _normalised_mel(frontend: LogMelExtractor, wave: Tensor, chunk: int) -> Tensor:
    """Compute the output of ``LogMel.forward`` for one recording: (1, frames at 100 a second, bins)."""
    wave = _normalise_in_place(wave.float().clone().unsqueeze(-1), chunk * HOP).squeeze(-1)
    padded = F.pad(wave, (WINDOW // 2, WINDOW // 2)).unsqueeze(0)
    parts = [
        frontend.log_mel.log_energies(padded[:, start * HOP : (end - 1) * HOP + WINDOW])
        for start, end in chunk_bounds(len(wave) // HOP + 1, chunk)
    ]
    mel = torch.cat(parts, dim=1)
    _normalise_in_place(mel[0], chunk)
    return mel


def _normalise_in_place(x: Tensor, chunk: int) -> Tensor:
    """Normalise x (steps, C) to mean 0 and variance 1 over steps."""
    moments = Moments()
    for start, end in chunk_bounds(len(x), chunk):
        moments.add(x[start:end])
    mean, variance = moments.mean_and_variance()
    return x.sub_(mean).mul_((variance + 1e-5).rsqrt())
