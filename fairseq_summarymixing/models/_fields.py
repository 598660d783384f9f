"""Define the fields of a model's configuration in fairseq, and enforce one rule for each: it is read, or it keeps its
default.

Read are the fields of the dataclasses in ``modules/config.py``, as far as the choices made read them
(:func:`~fairseq_summarymixing.modules.choices.idle_fields`). A new field of fairseq's is so refused until something
reads it.
"""

import ast
import logging
from dataclasses import Field, field, fields, make_dataclass
from typing import Any, Iterable, Optional, Tuple

from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config

from ..modules.choices import CHOICES, describe, idle_fields
from ..modules.config import (
    MOST_LAYERS,
    ConvLayers,
    EncoderConfig,
    FrontendConfig,
    MaskingConfig,
    ObjectiveConfig,
    is_default,
    is_probability,
)
from ..plugin.reading import reads_checkpoint

logger = logging.getLogger(__name__)

# What a speech encoder is built of, and what wav2vec 2.0 is
ENCODER_CONFIGS = (FrontendConfig, EncoderConfig, MaskingConfig)
CONFIGS = (*ENCODER_CONFIGS, ObjectiveConfig)

INIT_FROM = field(
    default=None,
    metadata={
        "help": "before training, take every parameter that is the same from this fairseq checkpoint or Hugging "
        "Face directory; needs the task wav2vec2_summarymixing"
    },
)

# Unread fields that fairseq's command line without hydra fills, since common.fp16 and dataset.required_seq_len_multiple
# have the same names. These values ask nothing of the model
FILLED_BY_COMMAND_LINE = {"fp16": True, "required_seq_len_multiple": 1}

# Unread fields that change nothing of what a trained model computes: stock checkpoints are read whatever they hold
INERT = {
    "mask_min_space": "only with no_mask_overlap",
    "mask_channel_min_space": "only with no_mask_channel_overlap",
    "quantizer_factor": "only with quantizer_depth above 1",
    "max_positions": "no positions have a limit",
    "required_seq_len_multiple": "padding to a multiple changes no output",
    "adp_dim": "only with layer_type=trf_adp",
    "adp_act_fn": "only with layer_type=trf_adp",
    "adp_trf_idx": "only with layer_type=trf_adp",
}


def recipe_fields(configs: Iterable[type]) -> type:
    """Make a base for a model's fairseq dataclass: stock ``wav2vec2``'s fields, those of ``configs`` that stock lacks
    or that have a help text of ours, and ``init_from``. Layers of convolutions are strings, as fairseq's are.
    """
    stock = {each.name for each in fields(Wav2Vec2Config)}
    ours = [each for config in configs for each in fields(config) if each.name not in stock or "help" in each.metadata]
    own = [*map(_recipe_field, ours), ("init_from", Optional[str], INIT_FROM)]
    return make_dataclass("RecipeFields", own, bases=(Wav2Vec2Config,))


def _recipe_field(own: Field) -> Tuple[str, Any, Any]:
    """Return name, type and field of one of our fields as recipes write it: layers of convolutions as a string."""
    kind, default, text = own.type, own.default, own.metadata.get("help", "")
    if kind == ConvLayers:
        kind, default = str, str(list(default))
    if own.name in CHOICES:
        text = f"{text}: {describe(own.name)}"
    return own.name, kind, field(default=default, metadata={"help": text})


def translate(cfg: Any, config: type) -> Any:
    """Make one of the dataclasses in ``modules/config.py`` of a fairseq configuration.

    Raises:
        ValueError: a value cannot be read or is out of range; the message names its field.
    """
    return config(**{each.name: _read(each, getattr(cfg, each.name)) for each in fields(config)})


def _read(own: Field, value: Any) -> Any:
    if own.type == ConvLayers:
        return parse_conv_layers(value, own.name)
    return tuple(value) if isinstance(own.default, tuple) else value


def parse_conv_layers(text: str, name: str = "conv_feature_layers") -> ConvLayers:
    """Read fairseq's ``conv_feature_layers``, e.g. ``[(512, 10, 5)] + [(512, 3, 2)] * 4``, without ``eval``.

    Raises:
        ValueError: the text is anything but lists of triples of integers above 0, joined by + and repeated by *, or
            they are too many.
    """

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            left, right = value(node.left), value(node.right)
            sizes = [side if isinstance(side, int) else len(side) for side in (left, right)]
            if sizes[0] * sizes[1] > MOST_LAYERS:
                raise ValueError  # before it fills the memory
            return left * right
        return ast.literal_eval(node)

    try:
        layers = tuple(tuple(int(number) for number in layer) for layer in value(ast.parse(text, mode="eval").body))
        if layers and all(len(layer) == 3 and min(layer) > 0 for layer in layers):
            return layers
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        pass
    raise ValueError(
        f"{name} must be a list of at most {MOST_LAYERS} layers, each (channels, kernel size, stride), all above 0, as "
        f"in '[(512, 10, 5)] + [(512, 3, 2)] * 4'; got {text!r}"
    )


def check_unread_fields(cfg: Any, config_class: type, configs: Iterable[type] = CONFIGS) -> None:
    """Refuse a field that nothing reads and that is set. For a checkpoint, those of :data:`INERT` may be.

    Args:
        cfg: a model's configuration, stock ``wav2vec2``'s or ours.
        config_class: the dataclass whose defaults count.
        configs: the dataclasses whose fields are read.

    Raises:
        ValueError: the first such field, by name.
    """
    read = {"_name", "init_from"}.union(each.name for config in configs for each in fields(config))
    accepted = read | (INERT.keys() if reads_checkpoint() else set())
    for each in fields(config_class):
        found = getattr(cfg, each.name, None)
        asks_nothing = (
            found is None or is_default(found, each.default) or found == FILLED_BY_COMMAND_LINE.get(each.name)
        )
        if each.name not in accepted and not asks_nothing:
            instead = "set model.encoder_layer" if each.name == "layer_type" else "remove it from the recipe"
            raise ValueError(
                f"model.{each.name}={found} is not supported by wav2vec2_summarymixing, only {each.default!r}: "
                f"{instead}, or use stock wav2vec2"
            )


def check_idle_fields(cfg: Any, config_class: type) -> None:
    """Refuse a field that is set and that the choices made do not read. For a checkpoint it is logged: its training
    did not read it either. A probability of 0 asks for nothing and may always be set.

    Raises:
        ValueError: the first such field, by name.
    """
    known = {each.name: each for each in fields(config_class)}
    for name, choice in sorted(idle_fields(cfg).items()):
        found = getattr(cfg, name)
        if is_default(found, known[name].default) or (is_probability(name) and found == 0):
            continue
        readers = " or ".join(str(value) for value, part in CHOICES[choice].items() if name in part.fields)
        message = f"model.{name} has no effect with model.{choice}={getattr(cfg, choice)}, only with {readers}"
        if not reads_checkpoint():
            raise ValueError(f"{message}: remove it from the recipe")
        logger.warning(message)
