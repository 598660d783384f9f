"""Check that this machine can do what a recipe asks, before anything is built."""

import logging
import os
import shutil
from typing import Any, Optional

import torch

from ..errors import UserError

logger = logging.getLogger(__name__)

SHARED_MEMORY = "/dev/shm"
PREFETCHED = 2  # batches of each process that loads data, torch's default
BYTES = 4  # of a sample


def check_machine(cfg: Any) -> None:
    """Check what a run needs of the machine; warn where shared memory may be too small for its batches.

    Raises:
        UserError: fp16 without a GPU, which fairseq then looks for.
    """
    has_gpu = torch.cuda.is_available() and not cfg.common.cpu
    asked = [name for name in ("fp16", "memory_efficient_fp16") if getattr(cfg.common, name)]
    if asked and not has_gpu and not cfg.common.tpu:
        reason = "common.cpu=true" if torch.cuda.is_available() else "torch finds no GPU here"
        off = " ".join(f"common.{name}=false" for name in asked)
        raise UserError(
            f"common.{asked[0]}=true needs a GPU, and {reason}: to train on the CPU, set {off} common.cpu=true "
            "distributed_training.distributed_world_size=1"
        )
    needed, room = shared_memory_needed(cfg), _free(SHARED_MEMORY)
    if room is not None and needed > room:
        logger.warning(
            "%s has %d MB free, and full batches on their way may take %d MB: if it runs full, enlarge it (docker run "
            "--shm-size=8g, or --ipc=host) or lower dataset.num_workers=%d",
            SHARED_MEMORY,
            room / 1e6,
            needed / 1e6,
            cfg.dataset.num_workers,
        )


def shared_memory_needed(cfg: Any) -> int:
    """Return the bytes that batches take at most on their way from the processes that load them; 0 where their size
    is not known."""
    on_their_way = cfg.dataset.num_workers * PREFETCHED + cfg.dataset.data_buffer_size
    return BYTES * (cfg.dataset.max_tokens or 0) * on_their_way if cfg.dataset.num_workers else 0


def _free(folder: str) -> Optional[int]:
    return shutil.disk_usage(folder).free if os.path.isdir(folder) else None
