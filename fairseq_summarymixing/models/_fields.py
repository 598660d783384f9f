"""One rule for every field of a model's configuration: it is read, or it keeps its default.

Read are the fields of the dataclasses in ``modules/config.py``, as far as the choices made read them
(:func:`~fairseq_summarymixing.modules.config.idle_fields`). A new field of fairseq's is so refused until something
reads it.
"""

import logging
from dataclasses import fields
from typing import Any

from ..modules.config import (
    CHOICES,
    EncoderConfig,
    FrontendConfig,
    ObjectiveConfig,
    idle_fields,
    is_default,
    is_probability,
)
from ..plugin.reading import reads_checkpoint

logger = logging.getLogger(__name__)

READ = {"_name", "init_from"}.union(
    *({field.name for field in fields(config)} for config in (FrontendConfig, EncoderConfig, ObjectiveConfig))
)

# Unread fields whose names fairseq's common.fp16 and dataset.required_seq_len_multiple have too: its command line
# without hydra fills both. These values ask nothing of the model
SHARED_NAMES = {"fp16": True, "required_seq_len_multiple": 1}

# Unread fields that change nothing of what a trained model computes: stock checkpoints are read whatever they say
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


def check_unread_fields(cfg: Any, config_class: type) -> None:
    """Refuse a field that nothing reads and that is set. For a checkpoint, those of :data:`INERT` may be.

    Args:
        cfg: a model's configuration, stock ``wav2vec2``'s or ours.
        config_class: the dataclass whose defaults count.

    Raises:
        ValueError: the first such field, by name.
    """
    accepted = READ | (INERT.keys() if reads_checkpoint() else set())
    for field in fields(config_class):
        found = getattr(cfg, field.name, None)
        asks_nothing = found is None or is_default(found, field.default) or found == SHARED_NAMES.get(field.name)
        if field.name not in accepted and not asks_nothing:
            instead = "set model.encoder_layer" if field.name == "layer_type" else "remove it from the recipe"
            raise ValueError(
                f"model.{field.name}={found} is not supported by wav2vec2_summarymixing, only {field.default!r}: "
                f"{instead}, or use stock wav2vec2"
            )


def check_idle_fields(cfg: Any, config_class: type) -> None:
    """Refuse a field that is set and that the choices made do not read. For a checkpoint it is logged: its training
    did not read it either. A probability of 0 asks for nothing and may always be set.

    Raises:
        ValueError: the first such field, by name.
    """
    known = {field.name: field for field in fields(config_class)}
    for name, choice in sorted(idle_fields(cfg).items()):
        found = getattr(cfg, name)
        if is_default(found, known[name].default) or (is_probability(name) and found == 0):
            continue
        readers = " or ".join(str(value) for value, part in CHOICES[choice].items() if name in part.fields)
        message = f"model.{name} has no effect with model.{choice}={getattr(cfg, choice)}, only with {readers}"
        if not reads_checkpoint():
            raise ValueError(f"{message}: remove it from the recipe")
        logger.warning(message)
