"""Replace functions of fairseq that fail in runs of several processes, on torch 2.0 to 2.13."""

from typing import Any, Optional

import torch
from torch import nn


def install() -> None:
    """Replace the functions that fail on current versions of torch, or without GPUs."""
    from fairseq.distributed import utils
    from fairseq.models import distributed_fairseq_model

    utils._broadcast_object_slow = broadcast_object
    distributed_fairseq_model.DistributedDataParallel = data_parallel
    use_cpu_buffers_without_gpu()


def broadcast_object(obj: Any, src_rank: int, group: Any, dist_device: Optional[torch.device] = None) -> Any:
    """Send an object from one process to the others of its run; returns it in each.

    Replaces fairseq's ``_broadcast_object_slow``, through which a checkpoint that rank 0 has read goes without its
    tensors. That function reads with ``torch.load``, whose weights-only default refuses the configuration from torch
    2.6 on. Processes of one run trust each other; files are checked where rank 0 reads them.
    """
    held = [obj]
    torch.distributed.broadcast_object_list(held, src=src_rank, group=group, device=dist_device)
    return held[0]


def data_parallel(module: nn.Module, device_ids=None, output_device=None, **arguments: Any) -> nn.Module:
    """Build torch's ``DistributedDataParallel``, on a CPU without the device numbers that it refuses there."""
    if next(module.parameters()).device.type == "cpu":
        device_ids = output_device = None
    return nn.parallel.DistributedDataParallel(module, device_ids, output_device, **arguments)


def use_cpu_buffers_without_gpu() -> None:
    """Give fairseq's ``all_gather_list`` buffers on a machine without GPU (128 processes' worth): it would allocate
    CUDA buffers, and uses those that it finds."""
    if torch.cuda.is_available():
        return
    from fairseq.distributed import utils

    max_size = 16384  # bytes per process, the function's own default
    utils.all_gather_list._buffer = torch.zeros(128 * max_size, dtype=torch.uint8)
    utils.all_gather_list._cpu_buffer = torch.zeros(max_size, dtype=torch.uint8)
