"""Models on disk, of fairseq and of Hugging Face: read once, and checked where they enter."""

from .checkpoint import Checkpoint

__all__ = ["Checkpoint"]
