"""Build the models that are measured: ours with each mixer, and the strongest alternatives that a user could pick.

Our own candidates need only torch. The others are built where their packages are installed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..compat import mend_torchaudio
from ..modules.attention import SelfAttention
from ..modules.build import MIXERS, build_encoder, build_frontend
from ..modules.config import EncoderConfig, FrontendConfig, MaskingConfig, ObjectiveConfig
from ..modules.contrastive import diversity_loss
from ..modules.lean.replace import make_lean
from ..modules.log_mel import SAMPLE_RATE
from ..modules.wav2vec2 import Wav2Vec2


class Shape(NamedTuple):
    """The sizes and the dropout of a recipe. Layerdrop is 0, so that every step does the same work."""

    frontend: FrontendConfig
    encoder: EncoderConfig
    masking: MaskingConfig
    objective: ObjectiveConfig


SHAPES = {
    "base": Shape(
        FrontendConfig(feature_grad_mult=0.1),
        EncoderConfig(),
        MaskingConfig(dropout_input=0.1, dropout_features=0.1),
        ObjectiveConfig(quantize_targets=True, final_dim=256),
    ),
    "155m": Shape(
        FrontendConfig(frontend="log_mel"),
        EncoderConfig(
            encoder_layer="conformer",
            positions="sinusoidal",
            layer_norm_first=True,
            activation_fn="swish",
            encoder_attention_heads=8,
            activation_dropout=0.1,
        ),
        MaskingConfig(dropout_input=0.1, require_same_masks=False),
        ObjectiveConfig(quantize_targets=True, final_dim=256, latent_temp=(2, 0.25, 0.999995)),
    ),
}
"""Of the recipes in ``examples/pretraining``, which installed packages lack; a test compares every field."""


class Candidate(NamedTuple):
    """A model to train: ``forward()`` computes one step up to the scalar that the backward pass starts from."""

    name: str
    module: nn.Module
    forward: Callable[[], Tensor]


class Unavailable(Exception):
    """An error: this machine cannot build the candidate; the message names the reason."""


def build(work: str, shape: str, name: str, batch: int, seconds: float, device: str, dtype: torch.dtype) -> Candidate:
    """Build a candidate with random weights and a random input, the same input for each candidate of a work.

    Args:
        work: ``mixer`` (one layer's), ``encoder`` (positions and layers) or ``step`` (waveform to loss).
        shape: a key of :data:`SHAPES`.
        name: one of :data:`CANDIDATES` for this work.
        seconds: length of each of the ``batch`` utterances.

    Raises:
        Unavailable: its package is not installed, or there is no such candidate for this shape.
    """
    torch.manual_seed(1)
    sizes = SHAPES[shape]
    make = CANDIDATES[work][name]
    if work == "step":
        source = torch.randn(batch, round(seconds * SAMPLE_RATE), device=device)
    else:
        with torch.device("meta"):
            hop = build_frontend(sizes.frontend).hop
        frames = round(seconds * SAMPLE_RATE / hop)
        source = torch.randn(batch, frames, sizes.encoder.encoder_embed_dim, device=device, dtype=dtype)
        source.requires_grad_()
    with torch.device(device):  # a GPU draws random weights in no time
        module, call = make(sizes)
    module.to(device=device, dtype=dtype).train()
    return Candidate(name, module, lambda: call(module, source))


def _scalar(out: Tensor) -> Tensor:
    return out.float().mean()


OUR_MODELS: dict[str, dict[str, object]] = {
    **{name: {"mixer": name} for name in MIXERS},
    "self_attention_no_dropout": {"mixer": "self_attention", "attention_dropout": 0.0},
}
"""Candidates of our code, by what they change in the encoder. On the CPU torch's fused attention kernel takes no
dropout: with some it multiplies the whole matrix of weights. The last is the attention that never does."""


class UnfusedAttention(SelfAttention):
    """Self-attention without a fused kernel: the matrix of weights is stored, its softmax computed in fp32."""

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        queries, keys, values = (self._split(layer(x)) for layer in (self.q_proj, self.k_proj, self.v_proj))
        scores = (queries / queries.shape[-1] ** 0.5) @ keys.transpose(-1, -2)
        if padding_mask is not None:
            scores = scores.masked_fill(padding_mask[:, None, None, :], float("-inf"))
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(x.dtype)
        mixed = F.dropout(weights, self.dropout, self.training) @ values
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


def _unfused(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, SelfAttention):
            part.__class__ = UnfusedAttention
    return module


def _our_mixer(**changes):
    def make(sizes: Shape):
        config = dataclasses.replace(sizes.encoder, **changes)
        module = make_lean(MIXERS[config.mixer](config))
        return module, lambda module, x: _scalar(module(x))

    return make


def _our_encoder(**changes):
    def make(sizes: Shape):
        module = make_lean(build_encoder(dataclasses.replace(sizes.encoder, **changes)))
        return module, lambda module, x: _scalar(module(x).x)

    return make


def _our_step(**changes):
    def make(sizes: Shape):
        encoder = dataclasses.replace(sizes.encoder, **changes)
        module = make_lean(Wav2Vec2(sizes.frontend, encoder, sizes.masking, sizes.objective))
        return module, _our_loss

    return make


def _unfused_step(sizes: Shape):
    module, call = _our_step(mixer="self_attention")(sizes)
    return _unfused(module), call


def _our_loss(model: Wav2Vec2, source: Tensor) -> Tensor:
    output = model(source.to(model.mask_emb.dtype))
    diversity = diversity_loss(output.quantized.prob_perplexity, model.quantizer.num_vars * model.quantizer.groups)
    return _pretraining_loss(output.logits, diversity, output.features_penalty)


def _pretraining_loss(logits: Tensor, diversity: Tensor, penalty: Tensor) -> Tensor:
    """Compute fairseq's criterion ``wav2vec``: summed InfoNCE and the extra losses, per masked frame."""
    contrastive = F.cross_entropy(logits.float(), logits.new_zeros(len(logits), dtype=torch.long), reduction="mean")
    return contrastive + 0.1 * diversity.float() + 10 * penalty.float()


def _fairseq():
    try:
        import fairseq.models.wav2vec.wav2vec2 as stock
    except ImportError as error:
        raise Unavailable(f"fairseq is not installed ({error})") from error
    return stock


def _stock_config(stock, sizes: Shape):
    same = {f.name for f in dataclasses.fields(stock.Wav2Vec2Config)}
    fields = {f.name: getattr(part, f.name) for part in sizes for f in dataclasses.fields(part) if f.name in same}
    fields["conv_feature_layers"] = str(list(sizes.frontend.conv_feature_layers))
    if sizes.encoder.activation_fn == "swish":
        fields["activation_fn"] = "gelu"  # of the feed-forwards: its conformer has swish, whatever the field holds
    if sizes.encoder.encoder_layer == "conformer":
        fields.update(layer_type="conformer", attn_type="", pos_enc_type="abs")
    return stock.Wav2Vec2Config(**fields)


def _fairseq_attention(sizes: Shape):
    _fairseq()
    from fairseq.modules import MultiheadAttention

    config = sizes.encoder
    module = MultiheadAttention(
        config.encoder_embed_dim, config.encoder_attention_heads, dropout=config.attention_dropout, self_attention=True
    )

    def call(module, x):
        x = x.transpose(0, 1)  # its own layout, (T, B, D)
        return _scalar(module(query=x, key=x, value=x, need_weights=False)[0])

    return module, call


def _fairseq_encoder(sizes: Shape):
    stock = _fairseq()
    # also of conformer layers, with absolute positions: the others do not build
    return stock.TransformerEncoder(_stock_config(stock, sizes)), lambda module, x: _scalar(module(x)[0])


def _fairseq_step(sizes: Shape):
    stock = _fairseq()
    if sizes.frontend.frontend != "waveform":
        raise Unavailable("stock fairseq has no log-mel front end")
    return stock.Wav2Vec2Model(_stock_config(stock, sizes)), _fairseq_loss


def _fairseq_loss(model: nn.Module, source: Tensor) -> Tensor:
    net = model(source.to(model.mask_emb.dtype))
    logits = model.get_logits(net).float()
    diversity, penalty = model.get_extra_losses(net)
    return _pretraining_loss(logits, diversity, penalty)


def check_huggingface(sizes: Shape) -> None:
    """Raise Unavailable where transformers cannot be imported, or has no model of this shape."""
    mend_torchaudio()
    try:
        import transformers.models.wav2vec2.modeling_wav2vec2  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"transformers cannot be imported ({error})") from error
    if sizes.frontend.frontend != "waveform":
        raise Unavailable("Hugging Face's wav2vec2 has no log-mel front end")


def _huggingface_step(sizes: Shape):
    check_huggingface(sizes)
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
    from transformers.models.wav2vec2 import modeling_wav2vec2 as helpers

    config = Wav2Vec2Config(
        layerdrop=0.0,
        attention_dropout=sizes.encoder.attention_dropout,
        activation_dropout=0.0,
        feat_proj_dropout=0.1,
        feat_quantizer_dropout=0.1,
        mask_time_prob=sizes.masking.mask_prob,
    )
    config._attn_implementation = "sdpa"

    def call(model, source):
        frames = int(model._get_feat_extract_output_lengths(source.shape[1]))
        mask = helpers._compute_mask_indices((len(source), frames), config.mask_time_prob, config.mask_time_length)
        negatives = helpers._sample_negative_indices(mask.shape, config.num_negatives, mask)
        given = (torch.from_numpy(array).to(source.device) for array in (mask, negatives))
        mask, negatives = given
        source = source.to(model.dtype)
        output = model(source, mask_time_indices=mask.bool(), sampled_negative_indices=negatives)
        return output.loss / mask.sum()

    return Wav2Vec2ForPreTraining(config), call


CANDIDATES = {
    "mixer": {**{name: _our_mixer(**changes) for name, changes in OUR_MODELS.items()}, "fairseq": _fairseq_attention},
    "encoder": {**{name: _our_encoder(**changes) for name, changes in OUR_MODELS.items()}, "fairseq": _fairseq_encoder},
    "step": {
        **{name: _our_step(**changes) for name, changes in OUR_MODELS.items()},
        "self_attention_unfused": _unfused_step,
        "fairseq": _fairseq_step,
        "huggingface": _huggingface_step,
    },
}
