"""Read models on disk, of fairseq and of Hugging Face, once, and check them where they enter."""

from .checkpoint import Checkpoint

__all__ = ["Checkpoint"]
