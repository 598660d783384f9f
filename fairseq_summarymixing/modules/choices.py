"""List the fields of a configuration that are choices, and which other fields each of their values reads."""

from typing import Any, Dict

from torch import nn

from .build import ENCODER, ENCODER_LAYERS, FRONTENDS, MIXERS, POSITIONS, Part, chosen
from .wav2vec2 import QUANTIZER

# The fields that are choices, and what each of their values builds
CHOICES = {
    "frontend": FRONTENDS,
    "mixer": MIXERS,
    "encoder_layer": ENCODER_LAYERS,
    "positions": POSITIONS,
    "quantize_targets": {True: QUANTIZER, False: Part(nn.Identity)},
}


# Fields that belong to no value of a choice: a recipe keeps its number of heads when it tries a mixer without heads
NEVER_IDLE = frozenset({"encoder_attention_heads"})


def describe(choice: str) -> str:
    """List the values of a choice, each with the fields that not all of them read: "conv (conv_pos), sinusoidal"."""
    parts = CHOICES[choice]
    shared = frozenset.intersection(*(part.fields for part in parts.values()))
    own = {value: ", ".join(sorted(part.fields - shared)) for value, part in parts.items()}
    return ", ".join(f"{value} ({names})" if names else str(value) for value, names in own.items())


def idle_fields(config: Any) -> Dict[str, str]:
    """Find the fields that the choices of a configuration leave unread, :data:`NEVER_IDLE` aside.

    Args:
        config: anything that has the fields of :data:`CHOICES`.

    Returns:
        By the name of each such field, the choice with a value that would read it, such as "positions".

    Raises:
        ValueError: a choice has a value that is not in its table.
    """
    chosen_parts = (chosen(config, choice, parts) for choice, parts in CHOICES.items())
    read = ENCODER.fields.union(NEVER_IDLE, *(part.fields for part in chosen_parts))
    return {name: choice for choice, parts in CHOICES.items() for part in parts.values() for name in part.fields - read}
