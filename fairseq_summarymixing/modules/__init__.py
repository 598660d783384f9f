"""The method in pure PyTorch: nothing here imports fairseq, transformers or the rest of the package."""

from .summary_mixing import SummaryMixing, SummaryMixingLite

__all__ = ["SummaryMixing", "SummaryMixingLite"]
