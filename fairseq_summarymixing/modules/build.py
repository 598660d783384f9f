"""Build a model from its configuration: a table for each choice, with a line for each of its values.

Layers receive plain arguments: a line lists which fields of the dataclasses in ``config.py`` they are taken from.
"""

import re
from typing import Any, Callable, Dict, FrozenSet, Union

from torch import nn

from .activations import get_activation
from .attention import SelfAttention
from .config import EncoderConfig, FrontendConfig
from .conformer import ConformerLayer, ConvolutionModule
from .encoder import Encoder
from .fastformer import Fastformer
from .feed_forward import FeedForward
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .hyper_mixing import HyperMixing
from .no_summary import NoSummary
from .positional import ConvPositions, SinusoidalPositions
from .summary_mixing import SummaryMixing, SummaryMixingLite
from .transformer import TransformerLayer


class Part:
    """A recipe for a module, ``Part(SelfAttention, model_dim="encoder_embed_dim")``, which builds it from the fields of
    a configuration.

    Called with a configuration, it builds the module. Arguments that no field holds are given to the call. If the
    module's class raises a ValueError that names arguments, their fields are added to the message.

    Args:
        kind: the module's class.
        arguments: for each of the class's arguments the name of a field, or a part or function that makes the argument
            from the configuration.
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
        """Name the field of each argument that a message names, such as `` (hidden_dim is x_dim)``; empty for none."""
        taken = ((name, source) for name, source in self.arguments.items() if isinstance(source, str))
        named = [f"{name} is {source}" for name, source in taken if re.search(rf"\b{name}\b", message)]
        return f" ({', '.join(named)})" if named else ""

    @property
    def fields(self) -> FrozenSet[str]:
        """The names of the fields that the part reads, those of the parts inside it included."""
        sources = self.arguments.values()
        own = {source for source in sources if isinstance(source, str)}
        return frozenset(own).union(*(source.fields for source in sources if isinstance(source, Part)))


def chosen(config: Any, choice: str, parts: Dict[Any, Part]) -> Part:
    """Return the entry of a table that a field of a configuration chooses; raises ValueError if there is none."""
    value = getattr(config, choice)
    if value not in parts:
        raise ValueError(f"{choice} must be one of {', '.join(map(str, parts))}; got {value!r}")
    return parts[value]


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
    "no_summary": Part(
        NoSummary,
        model_dim="encoder_embed_dim",
        num_heads="encoder_attention_heads",
        dropout="attention_dropout",
        activation=ACTIVATION,
    ),
}


def build_mixer(config: EncoderConfig) -> nn.Module:
    return chosen(config, "mixer", MIXERS)(config)


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


def build_frontend(config: FrontendConfig) -> nn.Module:
    return chosen(config, "frontend", FRONTENDS)(config)


def build_layer(config: EncoderConfig) -> nn.Module:
    return chosen(config, "encoder_layer", ENCODER_LAYERS)(config)


ENCODER = Part(
    Encoder,
    positions=lambda config: chosen(config, "positions", POSITIONS)(config),
    layers=lambda config: [build_layer(config) for _ in range(config.encoder_layers)],
    model_dim="encoder_embed_dim",
    # the paper drops out features before it adds sinusoids, and that is ``dropout_input``
    dropout=lambda config: config.dropout if config.positions == "conv" else 0.0,
    layerdrop="encoder_layerdrop",
    layer_norm_first="layer_norm_first",
    checkpoint_activations="checkpoint_activations",
)


def build_encoder(config: EncoderConfig) -> Encoder:
    return ENCODER(config)
