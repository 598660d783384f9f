"""Run a SummaryMixing model over recordings of any length, layer by layer and chunk by chunk, as exact as in one pass.

A frame depends on the whole recording only through one average per layer (and a few statistics in the front end), so a
layer goes over the chunks twice: for the average, then for its output. Memory holds one hidden state per frame and the
intermediate values of one chunk.
"""

from typing import Callable, Iterator, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .capabilities import find_obstacle
from .chunks import Moments, chunk_bounds, update_in_chunks
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .lean.frontend import quick_features
from .log_mel import HOP, WINDOW
from .speech_encoder import SpeechEncoder

ChunkCallback = Callable[[int, int, Tensor], None]

# Methods of a model that encode_in_chunks stands for and does not call
PASSED_OVER = ("encode", "extract_normalised", "_extract")


@torch.no_grad()
def encode_in_chunks(
    model: SpeechEncoder, wave: Tensor, chunk: int, on_chunk: Optional[ChunkCallback] = None
) -> Tensor:
    """Compute the context representations of one recording in chunks, with the result of ``model.encode``.

    Args:
        model: in evaluation mode; its parts declare ``computes_in_chunks`` (:mod:`.capabilities`).
        wave: (samples,), 16 kHz.
        chunk: frames of a chunk, 50 a second.
        on_chunk: called with (k, first frame, (n, D)) for each chunk of hidden state k: 0 is the first layer's input, k
            the output of layer k. The tensor is only good during the call.

    Returns:
        (1, T, D): the context representations.

    Raises:
        ValueError: the model is in training mode, one of its parts does not declare ``computes_in_chunks``, or the
            recording is too short for a frame.
    """
    encoder = model.encoder
    if model.training:
        raise ValueError("encode_in_chunks needs a model in evaluation mode: call model.eval()")
    obstacle = chunking_obstacle(model)
    if obstacle is not None:
        raise ValueError(
            f"the model cannot be computed chunk by chunk: {obstacle} does not declare computes_in_chunks, or lacks "
            "what it promises (of a mixer: summary, and a mix of its own beside its forward); call encode"
        )
    states = _embed(model, wave.to(model.mask_emb.device), chunk)

    def callback(number: int) -> Callable[[int, Tensor], None]:
        return lambda start, x: on_chunk(number, start, x[0]) if on_chunk is not None else None

    update_in_chunks(states, chunk, encoder.pos_conv.context, encoder.add_positions, callback(0))
    for number, layer in enumerate(encoder.layers, start=1):
        _apply_layer(layer, states, chunk, callback(number))
    if encoder.layer_norm_first:
        update_in_chunks(states, chunk, 0, lambda x, first: encoder.layer_norm(x))
    return states


def chunking_obstacle(model: SpeechEncoder) -> Optional[str]:
    """Return the class name of a part that cannot be computed in chunks, such as SelfAttention; None if all can."""
    if not isinstance(model.feature_extractor, (ConvFeatureExtractor, LogMelExtractor)):
        return type(model.feature_extractor).__name__
    obstacle = find_obstacle(_needed_parts(model), _running_parts(model))
    if obstacle is not None:
        return obstacle
    mixers = (layer.mixer for layer in model.encoder.layers)
    return next((type(mixer).__name__ for mixer in mixers if not _mixes_in_chunks(mixer)), None)


def _mixes_in_chunks(mixer: nn.Module) -> bool:
    names = vars(type(mixer))
    return hasattr(mixer, "summary") and hasattr(mixer, "mix") and ("forward" not in names or "mix" in names)


def _running_parts(model: SpeechEncoder) -> Iterator[nn.Module]:
    """Yield every module that ``encode`` runs, not those of an objective."""
    features = (model.feature_extractor, model.layer_norm, model.post_extract_proj, model.dropout_input)
    for part in (*features, model.encoder):
        yield from () if part is None else part.modules()


def _needed_parts(model: SpeechEncoder) -> Iterator[nn.Module]:
    if any(getattr(type(model), name) is not getattr(SpeechEncoder, name) for name in PASSED_OVER):
        yield model
    yield from (model.feature_extractor, model.encoder, model.encoder.pos_conv)
    for layer in model.encoder.layers:
        yield layer
        yield layer.mixer


def _apply_layer(layer: nn.Module, states: Tensor, chunk: int, after: Callable[[int, Tensor], None]) -> None:
    total = 0.0
    for start, end in chunk_bounds(states.shape[1], chunk):
        x = states[:, start:end] = layer.before_mixer(states[:, start:end])
        total = total + layer.mixer.summary(layer.mixer_input(x)).sum(dim=1, keepdim=True, dtype=torch.float64)
    mean = (total / states.shape[1]).to(states.dtype)

    def finish(x: Tensor, first: int) -> Tensor:
        return layer.after_mixer(x, layer.mixer.mix(layer.mixer_input(x), mean))

    update_in_chunks(states, chunk, layer.context, finish, after)


def _embed(model: SpeechEncoder, wave: Tensor, chunk: int) -> Tensor:
    """Compute normalised features in the encoder's width: (samples,) to (1, T, D)."""
    frames = int(model.feature_extractor.output_lengths(torch.tensor([len(wave)]))[0])
    states = wave.new_empty(1, frames, len(model.mask_emb), dtype=model.mask_emb.dtype)
    start = 0
    for x in features_in_chunks(model, wave, chunk):
        x = x if model.post_extract_proj is None else model.post_extract_proj(x)
        states[:, start : start + x.shape[1]] = model.dropout_input(x)
        start += x.shape[1]
    return states


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
