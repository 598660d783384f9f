"""What a model is made of. Fields carry fairseq's names where the meaning is fairseq's.

The dataclasses check themselves; layers receive plain arguments and never see them.
"""

from dataclasses import dataclass
from typing import Optional, Tuple

from torch import nn

from .attention import SelfAttention
from .conformer import ConformerLayer, ConvolutionModule
from .encoder import Encoder
from .feed_forward import FeedForward
from .frontend import ConvFeatureExtractor, LogMelExtractor
from .positional import ConvPositions, SinusoidalPositions
from .summary_mixing import SummaryMixing, SummaryMixingLite
from .transformer import TransformerLayer

DEFAULT_CONV_LAYERS = ((512, 10, 5),) + ((512, 3, 2),) * 4 + ((512, 2, 2),) * 2
DEFAULT_MEL_CONV_LAYERS = ((512, 3, 2), (512, 3, 1))


def _build_summary(config: "EncoderConfig") -> nn.Module:
    return SummaryMixing(
        config.encoder_embed_dim,
        num_heads=config.encoder_attention_heads,
        hidden_dim=config.summary_hidden_dim,
        dropout=config.attention_dropout,
        activation=config.activation_fn,
        branch_norm=config.summary_branch_norm,
    )


def _build_self_attention(config: "EncoderConfig") -> nn.Module:
    return SelfAttention(config.encoder_embed_dim, config.encoder_attention_heads, dropout=config.attention_dropout)


MIXERS = {
    "summary_mixing": _build_summary,
    "summary_mixing_lite": lambda config: SummaryMixingLite(
        config.encoder_embed_dim, config.encoder_attention_heads, config.summary_hidden_dim, config.activation_fn
    ),
    "self_attention": _build_self_attention,
}


def _build_feed_forward(config: "EncoderConfig") -> FeedForward:
    return FeedForward(
        config.encoder_embed_dim,
        config.encoder_ffn_embed_dim,
        activation=config.activation_fn,
        dropout=config.activation_dropout,
    )


def _build_transformer_layer(config: "EncoderConfig") -> TransformerLayer:
    return TransformerLayer(
        MIXERS[config.mixer](config),
        _build_feed_forward(config),
        config.encoder_embed_dim,
        dropout=config.dropout,
        layer_norm_first=config.layer_norm_first,
    )


def _build_conformer_layer(config: "EncoderConfig") -> ConformerLayer:
    return ConformerLayer(
        _build_feed_forward(config),
        MIXERS[config.mixer](config),
        ConvolutionModule(config.encoder_embed_dim, config.depthwise_conv_kernel_size, config.activation_fn),
        _build_feed_forward(config),
        config.encoder_embed_dim,
        dropout=config.dropout,
    )


ENCODER_LAYERS = {"transformer": _build_transformer_layer, "conformer": _build_conformer_layer}

POSITIONS = {
    "conv": lambda config: ConvPositions(config.encoder_embed_dim, config.conv_pos, config.conv_pos_groups),
    "sinusoidal": lambda config: SinusoidalPositions(config.encoder_embed_dim),
}

FRONTENDS = {
    "waveform": lambda config: ConvFeatureExtractor(
        config.conv_feature_layers, config.extractor_mode, config.conv_bias
    ),
    "log_mel": lambda config: LogMelExtractor(config.num_mel_bins, config.mel_conv_layers, config.conv_bias),
}


def check_choice(name: str, value: str, choices) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def check_positive(config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1; got {getattr(config, name)}")


def check_probability(config: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"{name} must lie between 0 and 1; got {getattr(config, name)}")


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
        check_positive(self, "num_mel_bins")


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
    encoder_attention_heads: int = 12
    """Heads of the mixer, whichever it is."""
    summary_hidden_dim: Optional[int] = None
    """Width D' of the SummaryMixing branches; None = ``encoder_embed_dim``."""
    summary_branch_norm: bool = True
    """LayerNorm on both SummaryMixing branches."""
    activation_fn: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    """Dropout inside the mixer: on attention weights, or on SummaryMixing's joined vector."""
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
        check_positive(
            self, "encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads",
            "conv_pos", "conv_pos_groups",
        )  # fmt: skip
        check_probability(self, "dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop")
        if self.encoder_embed_dim % self.encoder_attention_heads:
            raise ValueError(
                "encoder_embed_dim must be a multiple of encoder_attention_heads; "
                f"got {self.encoder_embed_dim} and {self.encoder_attention_heads}"
            )


def build_frontend(config: FrontendConfig) -> nn.Module:
    return FRONTENDS[config.frontend](config)


def build_layer(config: EncoderConfig) -> nn.Module:
    return ENCODER_LAYERS[config.encoder_layer](config)


def build_encoder(config: EncoderConfig) -> Encoder:
    return Encoder(
        POSITIONS[config.positions](config),
        [build_layer(config) for _ in range(config.encoder_layers)],
        config.encoder_embed_dim,
        # the paper drops out features before it adds sinusoids, and that is ``dropout_input``
        dropout=config.dropout if config.positions == "conv" else 0.0,
        layerdrop=config.encoder_layerdrop,
        layer_norm_first=config.layer_norm_first,
        checkpoint_activations=config.checkpoint_activations,
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
        check_positive(self, "mask_length", "mask_channel_length", "num_negatives", "latent_vars", "latent_groups")
        check_probability(self, "dropout_input", "dropout_features", "mask_prob", "mask_dropout", "mask_channel_prob")
        if len(self.latent_temp) != 3:
            raise ValueError(f"latent_temp must be [start, end, decay per update]; got {list(self.latent_temp)}")
        if self.logit_temp <= 0:
            raise ValueError(f"logit_temp must be above 0; got {self.logit_temp}")
