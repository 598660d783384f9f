"""Work-arounds for versions of fairseq and torch: each says what, why, and until which version."""

import argparse

import torch


def prepare_fairseq() -> None:
    """Everything that stock fairseq needs in this process. Called when the plugin is imported."""
    register_safe_classes()
    use_cpu_buffers_without_gpu()


def safe_classes() -> tuple:
    """Classes that fairseq writes into checkpoints beside tensors and plain containers."""
    from fairseq.data import Dictionary

    return (Dictionary, argparse.Namespace)


def register_safe_classes() -> None:
    """fairseq 0.12.2 and fairseq-fixed 0.12.3.1 call torch.load without ``weights_only``, which is true by
    default from torch 2.6 on and refuses fine-tuned checkpoints, since they hold a Dictionary."""
    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals(list(safe_classes()))


def use_cpu_buffers_without_gpu() -> None:
    """fairseq's ``all_gather_list`` allocates CUDA buffers, in every version so far; it uses the buffers
    that it finds, so on a machine without GPU it is given some (128 processes' worth)."""
    if torch.cuda.is_available():
        return
    from fairseq.distributed import utils

    max_size = 16384  # bytes per process, the function's own default
    utils.all_gather_list._buffer = torch.zeros(128 * max_size, dtype=torch.uint8)
    utils.all_gather_list._cpu_buffer = torch.zeros(max_size, dtype=torch.uint8)
