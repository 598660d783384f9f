"""Configurations of fairseq and of Hugging Face, in each other's terms."""

from typing import Any, Dict, Mapping, Sequence, Tuple

from ..checkpoints.hf_directory import NORMS

# fairseq's field (stock's or ours) | Hugging Face's
FIELDS = (
    ("encoder_layers", "num_hidden_layers"),
    ("encoder_embed_dim", "hidden_size"),
    ("encoder_ffn_embed_dim", "intermediate_size"),
    ("encoder_attention_heads", "num_attention_heads"),
    ("activation_fn", "hidden_act"),
    ("dropout", "hidden_dropout"),
    ("attention_dropout", "attention_dropout"),
    ("activation_dropout", "activation_dropout"),
    ("dropout_input", "feat_proj_dropout"),
    ("dropout_features", "feat_quantizer_dropout"),
    ("layer_norm_first", "do_stable_layer_norm"),
    ("conv_bias", "conv_bias"),
    ("conv_pos", "num_conv_pos_embeddings"),
    ("conv_pos_groups", "num_conv_pos_embedding_groups"),
    ("latent_vars", "num_codevectors_per_group"),
    ("latent_groups", "num_codevector_groups"),
    ("latent_dim", "codevector_dim"),
    ("final_dim", "proj_codevector_dim"),
    ("num_negatives", "num_negatives"),
    ("logit_temp", "contrastive_logits_temperature"),
)
# ... and what only our classes have
OUR_FIELDS = (
    ("mixer", "mixer"),
    ("encoder_layer", "encoder_layer"),
    ("frontend", "frontend"),
    ("positions", "positions"),
    ("summary_hidden_dim", "summary_hidden_dim"),
    ("summary_branch_norm", "summary_branch_norm"),
    ("depthwise_conv_kernel_size", "conv_depthwise_kernel_size"),
    ("num_mel_bins", "num_mel_bins"),
)
# Masks of fine-tuning: fairseq's wav2vec_ctc | Hugging Face's
MASKS = (
    ("mask_prob", "mask_time_prob"),
    ("mask_length", "mask_time_length"),
    ("mask_channel_prob", "mask_feature_prob"),
    ("mask_channel_length", "mask_feature_length"),
)

ConvLayers = Sequence[Tuple[int, int, int]]


def to_hf(fields: Mapping[str, Any], conv_layers: ConvLayers, ours: bool) -> Dict[str, Any]:
    """Hugging Face's fields of a pre-trained model.

    Args:
        fields: fairseq's.
        conv_layers: (channels, kernel size, stride) of the front end's convolutions.
        ours: whether it becomes our class, not ``Wav2Vec2Model``.
    """
    named = {theirs: fields[name] for name, theirs in FIELDS + (OUR_FIELDS if ours else ()) if name in fields}
    if ours:
        named.setdefault("mixer", "self_attention")  # stock's fields name none
    width = fields["encoder_embed_dim"]
    named["proj_codevector_dim"] = fields["final_dim"] or width
    named["codevector_dim"] = fields["latent_dim"] or named["proj_codevector_dim"]
    named["hidden_act"] = str(fields["activation_fn"])
    named["conv_dim"], named["conv_kernel"], named["conv_stride"] = (list(column) for column in zip(*conv_layers))
    named["feat_extract_norm"] = {name: theirs for theirs, name in NORMS.items()}[str(fields["extractor_mode"])]
    # what tools call on a training model must give every layer each time
    return {**named, "layerdrop": 0.0, "initializer_range": 0.02, "layer_norm_eps": 1e-5}


def from_hf(config: Mapping[str, Any], ours: bool) -> Dict[str, Any]:
    """fairseq's fields of a Hugging Face configuration, as the model ``wav2vec2_summarymixing`` knows them."""
    pairs = FIELDS + (OUR_FIELDS if ours else ())
    fields = {name: config[theirs] for name, theirs in pairs if theirs in config}
    layers = str(list(zip(config["conv_dim"], config["conv_kernel"], config["conv_stride"])))
    if fields.get("frontend") == "log_mel":
        fields["mel_conv_layers"] = layers
    else:
        fields["conv_feature_layers"] = layers
        fields["extractor_mode"] = NORMS[config["feat_extract_norm"]]
    if not ours:
        fields["mixer"] = "self_attention"
    fields["quantize_targets"] = True
    return fields


def mask_fields(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Of a fine-tuned model: the masks that it was trained with, and dropout before the head."""
    named = {theirs: fields[name] for name, theirs in MASKS if name in fields}
    named["apply_spec_augment"] = bool(fields.get("apply_mask", False))
    named["final_dropout"] = fields.get("final_dropout", 0.0)
    return named


def mask_fields_from_hf(config: Mapping[str, Any]) -> Dict[str, Any]:
    """The way back of :func:`mask_fields`."""
    named = {name: config[theirs] for name, theirs in MASKS if theirs in config}
    return {
        **named,
        "apply_mask": config.get("apply_spec_augment", True),
        "final_dropout": config.get("final_dropout", 0.1),
    }
