"""Describe a model: dataclasses that check themselves, with fairseq's names where the meaning is fairseq's.

A field with a help text is ours: the fairseq model and the Hugging Face configuration have it because it stands here.
The others are fields of fairseq's ``wav2vec2``, which has their help texts. Layers never see these classes.
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Collection, Optional, Tuple

ConvLayers = Tuple[Tuple[int, int, int], ...]

DEFAULT_CONV_LAYERS = ((512, 10, 5),) + ((512, 3, 2),) * 4 + ((512, 2, 2),) * 2
DEFAULT_MEL_CONV_LAYERS = ((512, 3, 2), (512, 3, 1))


LARGEST_SIZE = 2**20  # of anything in a model; beyond, a file is damaged or a zero too many was typed
MOST_LAYERS = 1000


def option(default: Any, help_text: str) -> Any:
    """Make a field that fairseq's ``wav2vec2`` lacks, with the help text that the fairseq model shows."""
    return field(default=default, metadata={"help": help_text})


def is_default(value: Any, default: Any) -> bool:
    """Return whether a field has its default; recipes may give choices as enums or strings, and tuples as lists."""
    if isinstance(default, tuple):
        return list(value) == list(default)
    return value == default or str(value) == str(default)


def check_range(name: str, value: float, lowest: float, highest: float = math.inf) -> None:
    """Raise a ValueError unless a number is finite and lies in the range from ``lowest`` to ``highest``."""
    if lowest <= value <= highest and math.isfinite(value):
        return
    allowed = f"lie between {lowest} and {highest}" if math.isfinite(highest) else f"be at least {lowest}"
    raise ValueError(f"{name} must {allowed}{'' if math.isfinite(value) else ' and finite'}; got {value}")


def is_probability(name: str) -> bool:
    """Return whether a field of this name is a probability."""
    return "drop" in name or name.endswith("_prob")


def check_numbers(config: Any, may_be_zero: Collection = ()) -> None:
    """Check every number of a dataclass: probabilities lie in 0 to 1; other floats are finite and at least 0; integers
    are at least 1 and at most :data:`LARGEST_SIZE`, the number of layers at most :data:`MOST_LAYERS`.

    Args:
        may_be_zero: names of integers for which 0 has a meaning.

    Raises:
        ValueError: the first number that is out of range, by name.
    """
    for each in fields(config):
        value = getattr(config, each.name)
        if each.type in (int, float) and not isinstance(value, (int, float)):
            raise ValueError(f"{each.name} must be a number; got {value!r}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        lowest = 0 if each.type is float or each.name in may_be_zero else 1
        check_range(each.name, value, lowest, 1 if is_probability(each.name) else math.inf)
        largest = MOST_LAYERS if each.name == "encoder_layers" else LARGEST_SIZE
        if each.type is not float and value > largest:
            raise ValueError(f"{each.name} must be at most {largest}; got {value}")


@dataclass
class FrontendConfig:
    """The configuration of the front end, from waveform to features; raises ValueError at construction for numbers out
    of range."""

    extractor_mode: str = "default"
    """Of ``waveform``: ``default`` (group norm, base) or ``layer_norm`` (large)."""
    conv_feature_layers: ConvLayers = DEFAULT_CONV_LAYERS
    """Of ``waveform``: (channels, kernel size, stride) of each layer."""
    conv_bias: bool = False
    feature_grad_mult: float = 1.0
    """Factor on the gradient that reaches the front end; 0 = it is not trained."""
    frontend: str = option("waveform", "what makes features of waveforms, and its options")
    num_mel_bins: int = option(80, "mel filters of log_mel")
    mel_conv_layers: ConvLayers = option(
        DEFAULT_MEL_CONV_LAYERS,
        "(channels, kernel size, stride) of the convolutions on mel bins, which come 100 times a second",
    )

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass
class EncoderConfig:
    """The configuration of the context encoder; raises ValueError at construction for numbers out of range."""

    mixer: str = option("summary_mixing", "what mixes frames, and its options besides encoder_attention_heads")
    encoder_layer: str = option("transformer", "the kind of layer, and its options")
    positions: str = option(
        "conv", "what gives frames their place: relative (conv) or absolute (sinusoidal), and its options"
    )
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    """Hidden units of the feed-forward networks, and of HyperMixing."""
    encoder_attention_heads: int = 12
    """Heads of the mixer, whichever it is; a mixer that has none leaves the recipe's value unread."""
    summary_hidden_dim: Optional[int] = option(
        None, "width D' of the SummaryMixing branches; default: encoder_embed_dim, which is lite's only one"
    )
    summary_branch_norm: bool = option(True, "LayerNorm on the output of both branches of summary_mixing")
    activation_fn: str = option("gelu", "gelu, relu, swish or tanh, in layers and mixers")
    dropout: float = 0.1
    attention_dropout: float = 0.1
    """Dropout inside the mixer: on attention weights, on SummaryMixing's joined vector, on HyperMixing's hidden units.
    Lite has nothing to drop."""
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    layer_norm_first: bool = False
    """The encoder's LayerNorm follows the last layer, not the positions; a transformer's layers are pre-norm."""
    depthwise_conv_kernel_size: int = 31
    """Kernel of the conformer's convolution, in frames."""
    conv_pos: int = 128
    conv_pos_groups: int = 16
    checkpoint_activations: bool = False
    compile_layers: bool = option(False, "compile each encoder layer with torch.compile, for training on a GPU")

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass
class MaskingConfig:
    """The configuration of dropout and masks between front end and encoder, in pre-training and in fine-tuning."""

    dropout_input: float = 0.0
    """Dropout on the projected features, before masking."""
    dropout_features: float = 0.0
    """Dropout on the features that targets are made of."""
    mask_prob: float = 0.65
    mask_length: int = 10
    require_same_masks: bool = True
    mask_dropout: float = 0.0
    mask_channel_prob: float = 0.0
    mask_channel_length: int = 10

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass
class ObjectiveConfig:
    """The configuration of targets and distractors of wav2vec 2.0's pre-training."""

    num_negatives: int = 100
    logit_temp: float = 0.1
    final_dim: int = 0
    """Features in which context and targets are compared; 0 = ``encoder_embed_dim``."""
    quantize_targets: bool = False
    latent_vars: int = 320
    latent_groups: int = 2
    latent_dim: int = 0
    """Features of a quantised target; 0 = ``final_dim``."""
    latent_temp: Tuple[float, float, float] = (2, 0.5, 0.999995)

    def __post_init__(self) -> None:
        check_numbers(self, may_be_zero=("final_dim", "latent_dim"))
        if self.logit_temp == 0:
            raise ValueError(f"logit_temp must be above 0; got {self.logit_temp}")
        if len(self.latent_temp) != 3:
            raise ValueError(f"latent_temp must be [start, end, decay per update]; got {list(self.latent_temp)}")
        if not all(0 < number < math.inf for number in self.latent_temp) or self.latent_temp[2] > 1:
            raise ValueError(
                "latent_temp must be [start, end, decay per update], all above 0 and the decay at most 1; "
                f"got {list(self.latent_temp)}"
            )
