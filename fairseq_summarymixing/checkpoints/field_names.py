"""Map names of a model's fields between fairseq and Hugging Face: one table for both directions."""

from typing import Dict, Iterable

# fairseq's field | that of Hugging Face's own Wav2Vec2Config, where the values are the same
SHARED_FIELDS = {
    "encoder_layers": "num_hidden_layers",
    "encoder_embed_dim": "hidden_size",
    "encoder_ffn_embed_dim": "intermediate_size",
    "encoder_attention_heads": "num_attention_heads",
    "activation_fn": "hidden_act",
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "dropout_input": "feat_proj_dropout",
    "dropout_features": "feat_quantizer_dropout",
    "encoder_layerdrop": "layerdrop",
    "layer_norm_first": "do_stable_layer_norm",
    "conv_bias": "conv_bias",
    "conv_pos": "num_conv_pos_embeddings",
    "conv_pos_groups": "num_conv_pos_embedding_groups",
    "latent_vars": "num_codevectors_per_group",
    "latent_groups": "num_codevector_groups",
    "latent_dim": "codevector_dim",
    "final_dim": "proj_codevector_dim",
    "num_negatives": "num_negatives",
    "logit_temp": "contrastive_logits_temperature",
}
# ... and that of our configuration, where only ours has it. Those that do not stand here have one name in both
OUR_FIELDS = {"depthwise_conv_kernel_size": "conv_depthwise_kernel_size"}

# Fields of front end and encoder whose values are written in another way: conv_dim, conv_kernel and conv_stride ...
CONV_LAYERS = ("conv_feature_layers", "mel_conv_layers")
# ... and feat_extract_norm, whose values are these
NORMS = {"group": "default", "layer": "layer_norm"}
TRANSLATED_FIELDS = (*CONV_LAYERS, "extractor_mode")
# ... and those of how a model is trained, which an exported model leaves to what trains it
TRAINING_FIELDS = ("feature_grad_mult", "checkpoint_activations", "compile_layers")


def hf_field_names(names: Iterable[str]) -> Dict[str, str]:
    """Return Hugging Face's name of each of these fields of front end or encoder whose value is the same there."""
    elsewhere = (*TRANSLATED_FIELDS, *TRAINING_FIELDS)
    return {name: {**SHARED_FIELDS, **OUR_FIELDS}.get(name, name) for name in names if name not in elsewhere}
