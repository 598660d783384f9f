"""Translate configurations between fairseq and Hugging Face."""

from dataclasses import fields as fields_of
from typing import Any, Dict, Mapping, Sequence, Tuple

from ..checkpoints.field_names import NORMS, SHARED_FIELDS, hf_field_names
from ..modules.config import EncoderConfig, FrontendConfig

# Masks of fine-tuning: fairseq's wav2vec_ctc | Hugging Face's
MASKS = (
    ("mask_prob", "mask_time_prob"),
    ("mask_length", "mask_time_length"),
    ("mask_channel_prob", "mask_feature_prob"),
    ("mask_channel_length", "mask_feature_length"),
)

# What wav2vec 2.0 is, of the choices of ours
STOCK_CHOICES = {"mixer": "self_attention", "encoder_layer": "transformer", "frontend": "waveform", "positions": "conv"}

ConvLayers = Sequence[Tuple[int, int, int]]


def field_names(ours: bool) -> Dict[str, str]:
    """Return Hugging Face's name of each of fairseq's fields: of its own ``Wav2Vec2Config``, or of ours."""
    own = [each.name for config in (FrontendConfig, EncoderConfig) for each in fields_of(config)] if ours else []
    return {**SHARED_FIELDS, **hf_field_names(own)}


def to_hf(fields: Mapping[str, Any], conv_layers: ConvLayers, ours: bool) -> Dict[str, Any]:
    """Return Hugging Face's fields of a pre-trained model.

    Args:
        fields: fairseq's.
        conv_layers: (channels, kernel size, stride) of the front end's convolutions.
        ours: whether it becomes our class, not ``Wav2Vec2Model``.
    """
    named = {theirs: fields[name] for name, theirs in field_names(ours).items() if name in fields}
    if ours:
        named = {**STOCK_CHOICES, **named}  # stock's fields name none
    sizes = codevector_sizes(fields)
    named["proj_codevector_dim"], named["codevector_dim"] = sizes["final_dim"], sizes["latent_dim"]
    named["hidden_act"] = str(fields["activation_fn"])
    named["conv_dim"], named["conv_kernel"], named["conv_stride"] = (list(column) for column in zip(*conv_layers))
    named["feat_extract_norm"] = {name: theirs for theirs, name in NORMS.items()}[str(fields["extractor_mode"])]
    # what tools call on a training model must give every layer each time
    return {**named, "layerdrop": 0.0, "initializer_range": 0.02, "layer_norm_eps": 1e-5}


def codevector_sizes(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Return ``final_dim`` and ``latent_dim`` as the model has them: 0 stands for the encoder's width, and for
    ``final_dim``."""
    final_dim = fields.get("final_dim") or fields.get("encoder_embed_dim")
    return {"final_dim": final_dim, "latent_dim": fields.get("latent_dim") or final_dim}


def from_hf(config: Mapping[str, Any], ours: bool) -> Dict[str, Any]:
    """Return fairseq's fields of a Hugging Face configuration, as the model ``wav2vec2_summarymixing`` knows them."""
    fields = {name: config[theirs] for name, theirs in field_names(ours).items() if theirs in config}
    layers = str(list(zip(config["conv_dim"], config["conv_kernel"], config["conv_stride"])))
    if fields.get("frontend") == "log_mel":
        fields["mel_conv_layers"] = layers
    else:
        fields["conv_feature_layers"] = layers
        fields["extractor_mode"] = NORMS[config["feat_extract_norm"]]
    if not ours:
        fields["mixer"] = STOCK_CHOICES["mixer"]
    fields["quantize_targets"] = True
    return fields


def mask_fields(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a fine-tuned model's masks of its training, and the dropout before its head."""
    named = {theirs: fields[name] for name, theirs in MASKS if name in fields}
    named["apply_spec_augment"] = bool(fields.get("apply_mask", False))
    named["final_dropout"] = fields.get("final_dropout", 0.0)
    return named


def mask_fields_from_hf(config: Mapping[str, Any]) -> Dict[str, Any]:
    """Reverse :func:`mask_fields`."""
    named = {name: config[theirs] for name, theirs in MASKS if theirs in config}
    return {
        **named,
        "apply_mask": config.get("apply_spec_augment", True),
        "final_dropout": config.get("final_dropout", 0.1),
    }
