"""Run a SummaryMixing model over recordings of any length, layer by layer and chunk by chunk, as exact as in one pass.

A frame depends on the whole recording only through one average per layer (and a few statistics in the front end,
:mod:`.long_form_frontend`), so a layer goes over the chunks twice: for the average, then for its output. Memory holds
one hidden state per frame and the intermediate values of one chunk.
"""

from typing import Callable, Iterator, Optional

import torch
from torch import Tensor, nn

from .capabilities import find_obstacle
from .chunks import chunk_bounds, update_in_chunks
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .long_form_frontend import features_in_chunks
from .speech_encoder import SpeechEncoder

ChunkCallback = Callable[[int, int, Tensor], None]

# Methods of a model that encode_in_chunks does not call: it computes itself what they compute
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
