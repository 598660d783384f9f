"""SummaryMixing and wav2vec 2.0 in pure PyTorch, without fairseq, transformers or the rest of the package."""

from .summary_mixing import SummaryMixing, SummaryMixingLite

__all__ = ["SummaryMixing", "SummaryMixingLite"]
