"""Map names in checkpoints: of models, of their parts, and of parameters in fairseq, in our modules and in Hugging
Face.

A table is pairs of names of one parameter in two worlds. ``{n}`` stands for a number and ``{p}`` for the rest of a
name; both sides have the same of these, so each table reads from left to right and from right to left.
"""

import re
from typing import Dict, Iterable, List, Tuple

Table = Tuple[Tuple[str, str], ...]

# fairseq's names of the models that we read; ours is our task's name, too
STOCK_MODEL = "wav2vec2"
OUR_MODEL = "wav2vec2_summarymixing"
PRETRAINED_MODELS = (STOCK_MODEL, OUR_MODEL)
CTC_MODEL = "wav2vec_ctc"
FINETUNED_PREFIX = "wav2vec_"  # wav2vec_ctc, wav2vec_seq2seq ...
# Hugging Face's, the "model_type" of a config.json
HF_STOCK_MODEL = "wav2vec2"
HF_OUR_MODEL = "summarymixing"
HF_MODELS = (HF_STOCK_MODEL, HF_OUR_MODEL)

# Where a parameter's name begins with ...
ENCODER_PREFIX = "w2v_encoder.w2v_model."
"""... it is of the pre-trained model inside a ``wav2vec_ctc``."""
ENCODER_PREFIXES = (ENCODER_PREFIX, "encoder.w2v_model.")
"""... or inside a ``wav2vec_seq2seq``."""
PRETRAINING_HEADS = ("quantizer.", "project_q.", "final_proj.")
"""... it is of what a pre-trained model has beside its encoder."""
CTC_HEAD = "w2v_encoder.proj."
"""... it is of the linear layer that a ``wav2vec_ctc`` has over its encoder."""

HF_ENCODER_PREFIX = "wav2vec2."
"""... it is of the encoder inside a model of Hugging Face's with a head."""
HF_PRETRAINING_HEADS = ("quantizer.", "project_q.", "project_hid.")
"""... it is of Hugging Face's counterpart of :data:`PRETRAINING_HEADS`."""
HF_CTC_HEAD = "lm_head."
"""... it is of Hugging Face's counterpart of :data:`CTC_HEAD`."""
HF_HEADS = (HF_CTC_HEAD, "projector.", "classifier.", "layer_weights")
"""... it is of a head of Hugging Face's for a task after pre-training."""

# stock fairseq wav2vec2 | ours: inside a transformer layer
STOCK_LAYER_NAMES: Table = (
    ("encoder.layers.{n}.self_attn.{p}", "encoder.layers.{n}.mixer.{p}"),
    ("encoder.layers.{n}.self_attn_layer_norm.{p}", "encoder.layers.{n}.mixer_layer_norm.{p}"),
    ("encoder.layers.{n}.fc1.{p}", "encoder.layers.{n}.feed_forward.fc1.{p}"),
    ("encoder.layers.{n}.fc2.{p}", "encoder.layers.{n}.feed_forward.fc2.{p}"),
)

# fairseq | Hugging Face: around front end and encoder
SHARED_NAMES: Table = (
    ("mask_emb", "wav2vec2.masked_spec_embed"),
    ("layer_norm.{p}", "wav2vec2.feature_projection.layer_norm.{p}"),
    ("post_extract_proj.{p}", "wav2vec2.feature_projection.projection.{p}"),
    ("quantizer.vars", "quantizer.codevectors"),
    ("quantizer.weight_proj.{p}", "quantizer.weight_proj.{p}"),
    ("project_q.{p}", "project_q.{p}"),
    ("final_proj.{p}", "project_hid.{p}"),
)

# ours | Hugging Face, with our own classes: the modules are the same but for torch's own weight norm, since
# transformers renames what ends in weight_g and weight_v
OUR_ENCODER_NAMES: Table = (
    ("encoder.pos_conv.0.weight_g", "wav2vec2.encoder.pos_conv.0.parametrizations.weight.original0"),
    ("encoder.pos_conv.0.weight_v", "wav2vec2.encoder.pos_conv.0.parametrizations.weight.original1"),
    ("feature_extractor.{p}", "wav2vec2.feature_extractor.{p}"),
    ("encoder.{p}", "wav2vec2.encoder.{p}"),
)

# stock fairseq | Hugging Face's own Wav2Vec2Model
HF_ENCODER_NAMES: Table = (
    ("feature_extractor.conv_layers.{n}.0.{p}", "wav2vec2.feature_extractor.conv_layers.{n}.conv.{p}"),
    ("encoder.pos_conv.0.{p}", "wav2vec2.encoder.pos_conv_embed.conv.{p}"),
    ("encoder.layers.{n}.self_attn.{p}", "wav2vec2.encoder.layers.{n}.attention.{p}"),
    ("encoder.layers.{n}.self_attn_layer_norm.{p}", "wav2vec2.encoder.layers.{n}.layer_norm.{p}"),
    ("encoder.layers.{n}.fc1.{p}", "wav2vec2.encoder.layers.{n}.feed_forward.intermediate_dense.{p}"),
    ("encoder.layers.{n}.fc2.{p}", "wav2vec2.encoder.layers.{n}.feed_forward.output_dense.{p}"),
    ("encoder.layers.{n}.final_layer_norm.{p}", "wav2vec2.encoder.layers.{n}.final_layer_norm.{p}"),
    ("encoder.layer_norm.{p}", "wav2vec2.encoder.layer_norm.{p}"),
)
# ... whose norms of the front end lie elsewhere by its mode
HF_ENCODER_NORM_NAMES: Dict[str, Table] = {
    "default": (
        ("feature_extractor.conv_layers.{n}.2.{p}", "wav2vec2.feature_extractor.conv_layers.{n}.layer_norm.{p}"),
    ),
    "layer_norm": (
        ("feature_extractor.conv_layers.{n}.2.1.{p}", "wav2vec2.feature_extractor.conv_layers.{n}.layer_norm.{p}"),
    ),
}

# what torch >= 2.1 calls the two halves of a normalised weight | what published checkpoints do
WEIGHT_NORM_NAMES: Table = (
    (
        "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original0",
        "wav2vec2.encoder.pos_conv_embed.conv.weight_g",
    ),
    (
        "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1",
        "wav2vec2.encoder.pos_conv_embed.conv.weight_v",
    ),
)

# fairseq's wav2vec_ctc | Hugging Face: what is on top of the encoder
CTC_HEAD_NAMES: Table = ((CTC_HEAD + "{p}", HF_CTC_HEAD + "{p}"),)


def hf_names(ours: bool, extractor_mode: str) -> Table:
    """Return a pre-trained model's pairs of fairseq's names (ours, or stock's) and Hugging Face's (of our classes, or
    of its own)."""
    if ours:
        return SHARED_NAMES + OUR_ENCODER_NAMES
    return SHARED_NAMES + HF_ENCODER_NAMES + HF_ENCODER_NORM_NAMES[extractor_mode]


NUM_LISTED = 3


def reverse(table: Table) -> Table:
    return tuple((right, left) for left, right in table)


def rename(names: Iterable[str], table: Table, *, strict: bool = True) -> Dict[str, str]:
    """Return the new name of each name, by the first pair whose left side fits; without ``strict`` unknown names stay.

    Raises:
        ValueError: names that no pair knows; or two that would become one.
    """
    pairs = [(_pattern(left), right) for left, right in table]
    renamed: Dict[str, str] = {}
    unknown: List[str] = []
    for name in names:
        matches = ((pattern.fullmatch(name), right) for pattern, right in pairs)
        found = next(((match, right) for match, right in matches if match), None)
        if found is None:
            unknown.append(name)
        renamed[name] = name if found is None else found[1].format(**found[0].groupdict())
    if unknown and strict:
        raise ValueError(f"unknown parameters: {_some(unknown)}")
    if len(set(renamed.values())) < len(renamed):
        twice = sorted(new for new in set(renamed.values()) if list(renamed.values()).count(new) > 1)
        raise ValueError(f"several names are of one parameter: {_some(twice)}")
    return renamed


def _some(names: List[str]) -> str:
    more = f" and {len(names) - NUM_LISTED} more" if len(names) > NUM_LISTED else ""
    return ", ".join(names[:NUM_LISTED]) + more


def check_names(found: Iterable[str], expected: Iterable[str], where: str) -> None:
    """Raise a ValueError that lists missing and unknown names, where there are any."""
    found, expected = set(found), set(expected)
    missing, unknown = sorted(expected - found), sorted(found - expected)
    listed = [f"{kind} {_some(names)}" for kind, names in (("missing", missing), ("unknown", unknown)) if names]
    if listed:
        raise ValueError(f"the parameters of {where} do not fit: {'; '.join(listed)}")


def _pattern(template: str) -> "re.Pattern":
    escaped = re.escape(template).replace(r"\{n\}", r"(?P<n>\d+)").replace(r"\{p\}", r"(?P<p>.+)")
    return re.compile(escaped)
