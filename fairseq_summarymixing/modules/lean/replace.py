"""Make a plain model lean."""

from torch import nn

from ..attention import SelfAttention
from ..conformer import ConformerLayer, ConvolutionModule
from ..feed_forward import FeedForward
from ..frontend import ConvFeatureExtractor
from ..log_mel import LogMel
from ..positional import ConvPositions
from ..summary_mixing import Branch, SummaryMixing, SummaryMixingLite
from ..transformer import TransformerLayer
from .attention import LeanSelfAttention
from .conformer import LeanConformerLayer, LeanConvolutionModule
from .convolution import LeanConv1d, LeanConvPositions
from .counterparts import is_unchanged
from .dropout import LeanDropout
from .feed_forward import LeanFeedForward
from .frontend import LeanConvFeatureExtractor
from .precision import LeanLogMel
from .summary_mixing import LeanBranch, LeanSummaryMixing, LeanSummaryMixingLite
from .transformer import LeanTransformerLayer

LEAN = {
    nn.Dropout: LeanDropout,
    nn.Conv1d: LeanConv1d,
    ConvPositions: LeanConvPositions,
    ConvFeatureExtractor: LeanConvFeatureExtractor,
    LogMel: LeanLogMel,
    FeedForward: LeanFeedForward,
    ConvolutionModule: LeanConvolutionModule,
    TransformerLayer: LeanTransformerLayer,
    ConformerLayer: LeanConformerLayer,
    SelfAttention: LeanSelfAttention,
    Branch: LeanBranch,
    SummaryMixing: LeanSummaryMixing,
    SummaryMixingLite: LeanSummaryMixingLite,
}


def make_lean(model: nn.Module) -> nn.Module:
    """Give every layer of a model the class of its lean version, in place; returns the model.

    Layers without a lean version, subclasses of those that have one, and layers whose code was edited after the lean
    version was written (:mod:`.counterparts`) stay as they are.
    """
    for module in model.modules():
        kind = type(module)
        if kind in LEAN and is_unchanged(kind.__module__):
            module.__class__ = LEAN[kind]
    return model
