"""Recordings of any length through a SummaryMixing model: block by block, layer by layer, as exact as in one pass.

All that a frame sees of the whole recording is one average per layer (and a few statistics in the front end), so a
layer goes over the blocks twice: for the average, then for its output. What is held is one hidden state per frame and
one block's work.
"""

from typing import Callable, Iterator, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Moments, spans, update_in_blocks
from .capabilities import find_obstacle
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .log_mel import HOP, WINDOW
from .speech_encoder import SpeechEncoder

Hear = Callable[[int, int, Tensor], None]


@torch.no_grad()
def represent_in_blocks(model: SpeechEncoder, wave: Tensor, block: int, hear: Optional[Hear] = None) -> Tensor:
    """Compute what ``model.encode`` does, of one recording.

    Args:
        model: in evaluation mode, of parts that declare that they compute in chunks (:mod:`.capabilities`).
        wave: (samples,), 16 kHz.
        block: frames of a block, 50 a second.
        hear: called with (k, first frame, (n, D)) for each block of hidden state k: 0 is the first layer's input, k the
            output of layer k. The tensor is only good during the call.

    Returns:
        (1, T, D): the context representations.

    Raises:
        ValueError: the model is in training mode, a part of it does not declare that, or the recording is too short for
            a frame.
    """
    encoder = model.encoder
    if model.training:
        raise ValueError("represent_in_blocks needs a model in evaluation mode: call model.eval()")
    obstacle = chunking_obstacle(model)
    if obstacle is not None:
        raise ValueError(
            f"the model cannot be computed block by block: {obstacle} does not declare computes_in_chunks; call encode"
        )
    states = _embed(model, wave.to(model.mask_emb.device), block)

    def tell(number: int) -> Callable[[int, Tensor], None]:
        return lambda start, x: hear(number, start, x[0]) if hear is not None else None

    update_in_blocks(states, block, encoder.pos_conv.context, encoder.add_positions, tell(0))
    for number, layer in enumerate(encoder.layers, start=1):
        _apply_layer(layer, states, block, tell(number))
    if encoder.layer_norm_first:
        update_in_blocks(states, block, 0, lambda x, first: encoder.layer_norm(x))
    return states


def chunking_obstacle(model: SpeechEncoder) -> Optional[str]:
    """The class name of a part that is not computed block by block, such as SelfAttention; None where all are."""
    if not isinstance(model.feature_extractor, (ConvFeatureExtractor, LogMelExtractor)):
        return type(model.feature_extractor).__name__
    return find_obstacle(model, _needed_parts(model))


def _needed_parts(model: SpeechEncoder) -> Iterator[nn.Module]:
    yield from (model.feature_extractor, model.encoder, model.encoder.pos_conv)
    for layer in model.encoder.layers:
        yield layer
        yield layer.mixer


def _apply_layer(layer: nn.Module, states: Tensor, block: int, after: Callable[[int, Tensor], None]) -> None:
    total = 0.0
    for start, end in spans(states.shape[1], block):
        x = states[:, start:end] = layer.before_mixer(states[:, start:end])
        total = total + layer.mixer.summary(layer.mixer_input(x)).sum(dim=1, keepdim=True, dtype=torch.float64)
    mean = (total / states.shape[1]).to(states.dtype)

    def finish(x: Tensor, first: int) -> Tensor:
        return layer.after_mixer(x, layer.mixer.mix(layer.mixer_input(x), mean))

    update_in_blocks(states, block, layer.context, finish, after)


def _embed(model: SpeechEncoder, wave: Tensor, block: int) -> Tensor:
    """(samples,) to (1, T, D): normalised features in the encoder's width."""
    frontend = model.feature_extractor
    hear = _hear_mel if isinstance(frontend, LogMelExtractor) else _hear_waveform
    frames = int(frontend.output_lengths(torch.tensor([len(wave)]))[0])
    states = wave.new_empty(1, frames, len(model.mask_emb), dtype=model.mask_emb.dtype)
    start = 0
    for features in hear(frontend, wave, frames, block):
        x = model.layer_norm(features)
        x = x if model.post_extract_proj is None else model.post_extract_proj(x)
        states[:, start : start + x.shape[1]] = x
        start += x.shape[1]
    return states


def _hear_waveform(frontend: ConvFeatureExtractor, wave: Tensor, frames: int, block: int) -> Iterator[Tensor]:
    """Blocks of (1, n, C)."""
    if len(wave) < frontend.receptive_field:
        raise ValueError(f"audio must have at least {frontend.receptive_field} samples; got {len(wave)}")
    wave = wave.to(frontend.conv_layers[0][0].weight.dtype)
    first, *others = frontend.conv_layers
    convolution, _, *norm, activation = first
    normalise = norm[0] if norm else nn.Identity()
    if isinstance(normalise, nn.GroupNorm):
        normalise = _over_all_time(normalise, convolution, wave, block * frontend.hop)
    for start, end in spans(frames, block):
        x = wave[start * frontend.hop : (end - 1) * frontend.hop + frontend.receptive_field]
        x = activation(normalise(convolution(x.view(1, 1, -1))))
        for layer in others:
            x = layer(x)
        yield x.transpose(1, 2)


def _over_all_time(norm: nn.GroupNorm, convolution: nn.Conv1d, wave: Tensor, block: int) -> Callable[[Tensor], Tensor]:
    """The group norm with a group per channel, with statistics of the whole recording."""
    moments = Moments()
    (kernel,), (stride,) = convolution.kernel_size, convolution.stride
    for start, end in spans((len(wave) - kernel) // stride + 1, max(1, block // stride)):
        x = convolution(wave[start * stride : (end - 1) * stride + kernel].view(1, 1, -1))
        moments.add(x[0].transpose(0, 1))
    mean, variance = (one.to(wave.dtype) for one in moments.mean_and_variance())
    return lambda x: F.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)


def _hear_mel(frontend: LogMelExtractor, wave: Tensor, frames: int, block: int) -> Iterator[Tensor]:
    """Blocks of (1, n, C). The energies of the whole recording are held, 80 numbers each 10 ms."""
    if len(wave) < WINDOW:
        raise ValueError(f"audio must have at least {WINDOW} samples; got {len(wave)}")
    mel = _normalised_mel(frontend, wave, block)
    hop, context = 1, 0  # frames of mel
    for convolution in frontend.convolutions:
        context += convolution.padding[0] * hop
        hop *= convolution.stride[0]
    context = -(-context // hop)
    for start, end in spans(frames, block):
        begin = max(0, start - context)
        x, _ = frontend.convolve(mel[:, begin * hop : (end + context) * hop])
        yield x[:, start - begin : end - begin]


def _normalised_mel(frontend: LogMelExtractor, wave: Tensor, block: int) -> Tensor:
    """(1, 100 frames a second, bins): as ``LogMel.forward``."""
    wave = _normalise_in_place(wave.float().clone().unsqueeze(-1), block * HOP).squeeze(-1)
    padded = F.pad(wave, (WINDOW // 2, WINDOW // 2)).unsqueeze(0)
    parts = [
        frontend.log_mel.log_energies(padded[:, start * HOP : (end - 1) * HOP + WINDOW])
        for start, end in spans(len(wave) // HOP + 1, block)
    ]
    mel = torch.cat(parts, dim=1)
    _normalise_in_place(mel[0], block)
    return mel


def _normalise_in_place(x: Tensor, block: int) -> Tensor:
    """x (steps, C) to mean 0 and variance 1 over steps."""
    moments = Moments()
    for start, end in spans(len(x), block):
        moments.add(x[start:end])
    mean, variance = moments.mean_and_variance()
    return x.sub_(mean).mul_((variance + 1e-5).rsqrt())
