"""What a model is made of. Fields carry fairseq's names where the meaning is fairseq's.

The dataclasses check themselves; layers receive plain arguments and never see them.
"""

import math
import re
from dataclasses import dataclass, fields
from typing import Any, Callable, Collection, Dict, FrozenSet, Optional, Tuple, Union

from torch import nn

from .activations import get_activation
from .attention import SelfAttention
from .conformer import ConformerLayer, ConvolutionModule
from .encoder import Encoder
from .fastformer import Fastformer
from .feed_forward import FeedForward
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .hyper_mixing import HyperMixing
from .positional import ConvPositions, SinusoidalPositions
from .quantizer import GumbelVectorQuantizer
from .summary_mixing import SummaryMixing, SummaryMixingLite
from .transformer import TransformerLayer

DEFAULT_CONV_LAYERS = ((512, 10, 5),) + ((512, 3, 2),) * 4 + ((512, 2, 2),) * 2
DEFAULT_MEL_CONV_LAYERS = ((512, 3, 2), (512, 3, 1))


class Part:
    """A module that is built of a configuration's fields: ``Part(SelfAttention, model_dim="encoder_embed_dim")``.

    Called with a configuration, it builds the module. Arguments that no field holds are given to the call. A ValueError
    of the module's class that names arguments names their fields, too.

    Args:
        kind: the module's class.
        arguments: for each of the class's arguments the name of a field, or what makes the argument of the
            configuration: another part, or a function.
    """

    def __init__(self, kind: Callable[..., nn.Module], **arguments: Union[str, Callable[[Any], Any]]):
        self.kind, self.arguments = kind, arguments

    def __call__(self, config: Any, **given: Any) -> nn.Module:
        found = {
            name: getattr(config, source) if isinstance(source, str) else source(config)
            for name, source in self.arguments.items()
        }
        try:
            return self.kind(**{**found, **given})
        except ValueError as error:
            raise ValueError(f"{error}{self._name_fields(str(error))}") from error

    def _name_fields(self, message: str) -> str:
        """For each argument in a message the field that it was taken from, such as `` (hidden_dim is x_dim)``."""
        taken = ((name, source) for name, source in self.arguments.items() if isinstance(source, str))
        named = [f"{name} is {source}" for name, source in taken if re.search(rf"\b{name}\b", message)]
        return f" ({', '.join(named)})" if named else ""

    @property
    def fields(self) -> FrozenSet[str]:
        """Names of the fields that it reads, those of the parts inside it included."""
        sources = self.arguments.values()
        own = {source for source in sources if isinstance(source, str)}
        return frozenset(own).union(*(source.fields for source in sources if isinstance(source, Part)))


ACTIVATION = Part(get_activation, name="activation_fn")

MIXERS = {
    "summary_mixing": Part(
        SummaryMixing,
        model_dim="encoder_embed_dim",
        num_heads="encoder_attention_heads",
        hidden_dim="summary_hidden_dim",
        dropout="attention_dropout",
        activation=ACTIVATION,
        branch_norm="summary_branch_norm",
    ),
    "summary_mixing_lite": Part(
        SummaryMixingLite,
        model_dim="encoder_embed_dim",
        num_heads="encoder_attention_heads",
        activation=ACTIVATION,
    ),
    "self_attention": Part(
        SelfAttention,
        model_dim="encoder_embed_dim",
        num_heads="encoder_attention_heads",
        dropout="attention_dropout",
    ),
    "hyper_mixing": Part(
        HyperMixing,
        model_dim="encoder_embed_dim",
        num_heads="encoder_attention_heads",
        hidden_dim="encoder_ffn_embed_dim",
        dropout="attention_dropout",
    ),
    "fastformer": Part(
        Fastformer,
        model_dim="encoder_embed_dim",
        num_heads="encoder_attention_heads",
        dropout="attention_dropout",
    ),
}


def build_mixer(config: "EncoderConfig") -> nn.Module:
    return MIXERS[config.mixer](config)


FEED_FORWARD = Part(
    FeedForward,
    model_dim="encoder_embed_dim",
    ffn_dim="encoder_ffn_embed_dim",
    activation=ACTIVATION,
    dropout="activation_dropout",
)

ENCODER_LAYERS = {
    "transformer": Part(
        TransformerLayer,
        mixer=build_mixer,
        feed_forward=FEED_FORWARD,
        model_dim="encoder_embed_dim",
        dropout="dropout",
        layer_norm_first="layer_norm_first",
    ),
    "conformer": Part(
        ConformerLayer,
        first_feed_forward=FEED_FORWARD,
        mixer=build_mixer,
        convolution=Part(
            ConvolutionModule,
            model_dim="encoder_embed_dim",
            kernel_size="depthwise_conv_kernel_size",
            activation=ACTIVATION,
        ),
        second_feed_forward=FEED_FORWARD,
        model_dim="encoder_embed_dim",
        dropout="dropout",
    ),
}

POSITIONS = {
    "conv": Part(ConvPositions, model_dim="encoder_embed_dim", kernel_size="conv_pos", groups="conv_pos_groups"),
    "sinusoidal": Part(SinusoidalPositions, model_dim="encoder_embed_dim"),
}

FRONTENDS = {
    "waveform": Part(
        ConvFeatureExtractor, conv_layers="conv_feature_layers", mode="extractor_mode", conv_bias="conv_bias"
    ),
    "log_mel": Part(LogMelExtractor, num_bins="num_mel_bins", conv_layers="mel_conv_layers", conv_bias="conv_bias"),
}


def build_frontend(config: "FrontendConfig") -> nn.Module:
    return FRONTENDS[config.frontend](config)


def build_layer(config: "EncoderConfig") -> nn.Module:
    return ENCODER_LAYERS[config.encoder_layer](config)


ENCODER = Part(
    Encoder,
    positions=lambda config: POSITIONS[config.positions](config),
    layers=lambda config: [build_layer(config) for _ in range(config.encoder_layers)],
    model_dim="encoder_embed_dim",
    # the paper drops out features before it adds sinusoids, and that is ``dropout_input``
    dropout=lambda config: config.dropout if config.positions == "conv" else 0.0,
    layerdrop="encoder_layerdrop",
    layer_norm_first="layer_norm_first",
    checkpoint_activations="checkpoint_activations",
)


def build_encoder(config: "EncoderConfig") -> Encoder:
    return ENCODER(config)


QUANTIZER = Part(
    GumbelVectorQuantizer,
    num_vars="latent_vars",
    groups="latent_groups",
    vq_dim="latent_dim",
    temperature="latent_temp",
)

# The fields that are choices, and what each of their values builds
CHOICES = {
    "frontend": FRONTENDS,
    "mixer": MIXERS,
    "encoder_layer": ENCODER_LAYERS,
    "positions": POSITIONS,
    "quantize_targets": {True: QUANTIZER, False: Part(nn.Identity)},
}


def idle_fields(config: Any) -> Dict[str, str]:
    """Find the fields that the choices of a configuration leave unread.

    Args:
        config: anything that has the fields of :data:`CHOICES`, with values that they have.

    Returns:
        Of each such field, by name, the choice that could read it, such as "positions".
    """
    read = ENCODER.fields.union(*(parts[getattr(config, choice)].fields for choice, parts in CHOICES.items()))
    return {name: choice for choice, parts in CHOICES.items() for part in parts.values() for name in part.fields - read}


def is_default(value: Any, default: Any) -> bool:
    """Whether a field has its default, in the types that recipes give: choices as enums or strings, tuples as lists."""
    if isinstance(default, tuple):
        return list(value) == list(default)
    return value == default or str(value) == str(default)


def check_choice(name: str, value: str, choices: Collection) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def check_range(name: str, value: float, lowest: float, highest: float = math.inf) -> None:
    """Raises ValueError unless a number is finite and lies in a range; NaN lies in none."""
    if lowest <= value <= highest and math.isfinite(value):
        return
    allowed = f"lie between {lowest} and {highest}" if math.isfinite(highest) else f"be at least {lowest}"
    raise ValueError(f"{name} must {allowed}{'' if math.isfinite(value) else ' and finite'}; got {value}")


def is_probability(name: str) -> bool:
    """Whether a field of this name is a probability."""
    return "drop" in name or name.endswith("_prob")


def check_numbers(config: Any, may_be_zero: Collection = ()) -> None:
    """Check every number of a dataclass: a probability lies in 0 to 1, another float is at least 0 and finite, an
    integer at least 1.

    Args:
        may_be_zero: names of integers for which 0 has a meaning.

    Raises:
        ValueError: the first number that is out of range, by name.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        lowest = 0 if field.type is float or field.name in may_be_zero else 1
        check_range(field.name, value, lowest, 1 if is_probability(field.name) else math.inf)


@dataclass
class FrontendConfig:
    """Waveform to features. Raises ValueError at construction for an unknown front end."""

    extractor_mode: str = "default"
    """Of ``waveform``: ``default`` (group norm, base) or ``layer_norm`` (large)."""
    conv_feature_layers: Tuple[Tuple[int, int, int], ...] = DEFAULT_CONV_LAYERS
    """Of ``waveform``: (channels, kernel size, stride) of each layer."""
    conv_bias: bool = False
    frontend: str = "waveform"
    """A key of :data:`FRONTENDS`: wav2vec 2.0's convolutions, or log-mel features and convolutions."""
    num_mel_bins: int = 80
    mel_conv_layers: Tuple[Tuple[int, int, int], ...] = DEFAULT_MEL_CONV_LAYERS
    """Of ``log_mel``: (channels, kernel size, stride) of each layer, behind 100 frames a second."""

    def __post_init__(self) -> None:
        check_choice("frontend", self.frontend, FRONTENDS)
        check_numbers(self)


@dataclass
class EncoderConfig:
    """The context encoder. Raises ValueError at construction for values that cannot be built."""

    mixer: str = "summary_mixing"
    """A key of :data:`MIXERS`."""
    encoder_layer: str = "transformer"
    """A key of :data:`ENCODER_LAYERS`."""
    positions: str = "conv"
    """A key of :data:`POSITIONS`."""
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    """Hidden units of the feed-forward networks, and of HyperMixing."""
    encoder_attention_heads: int = 12
    """Heads of the mixer, whichever it is."""
    summary_hidden_dim: Optional[int] = None
    """Width D' of the SummaryMixing branches; None = ``encoder_embed_dim``. Lite's is that."""
    summary_branch_norm: bool = True
    """LayerNorm on both SummaryMixing branches. Lite has none."""
    activation_fn: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    """Dropout inside the mixer: on attention weights, on SummaryMixing's joined vector, on HyperMixing's hidden units.
    Lite has nothing to drop."""
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    layer_norm_first: bool = False
    """The encoder's LayerNorm follows the last layer, not the positions; a transformer's layers are pre-norm."""
    depthwise_conv_kernel_size: int = 31
    """Of the conformer's convolution, in frames."""
    conv_pos: int = 128
    conv_pos_groups: int = 16
    checkpoint_activations: bool = False

    def __post_init__(self) -> None:
        check_choice("mixer", self.mixer, MIXERS)
        check_choice("encoder_layer", self.encoder_layer, ENCODER_LAYERS)
        check_choice("positions", self.positions, POSITIONS)
        check_numbers(self)
        if self.encoder_embed_dim % self.encoder_attention_heads:
            raise ValueError(
                "encoder_embed_dim must be a multiple of encoder_attention_heads; "
                f"got {self.encoder_embed_dim} and {self.encoder_attention_heads}"
            )


@dataclass
class ObjectiveConfig:
    """Masking, targets and distractors of pre-training."""

    dropout_input: float = 0.0
    """On the projected features, before masking."""
    dropout_features: float = 0.0
    """On the features that targets are made of."""
    feature_grad_mult: float = 1.0
    """Factor on the gradient that reaches the front end; 0 = it is not trained."""
    mask_prob: float = 0.65
    mask_length: int = 10
    require_same_masks: bool = True
    mask_dropout: float = 0.0
    mask_channel_prob: float = 0.0
    mask_channel_length: int = 10
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
