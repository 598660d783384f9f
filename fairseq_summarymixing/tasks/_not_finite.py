"""Find whether a recording or the model is at fault where an update's gradients are NaN or infinite.

fairseq then stops with FloatingPointError, which names no utterance, and meets the same batch after every restart.
"""

import contextlib
import logging
from typing import Any, Dict, List, NamedTuple, Optional

import torch
from fairseq.distributed import utils as distributed_utils

from ._dataset import ResilientAudioDataset

logger = logging.getLogger(__name__)

BYTES_OF_NAMES = 12000  # of one process; fairseq exchanges 16384 bytes


class _Finding(NamedTuple):
    """The result of one process about its part of an update."""

    batches: int
    bad: int
    names: str
    model_is_sound: bool


def explain_not_finite(
    trainer: Any, samples: List[Dict[str, Any]], dataset: ResilientAudioDataset, to_leave_out: str
) -> Optional[str]:
    """Compute the gradients of each batch of an update alone, and those of noise, and name the batch at fault.

    Every process calls it at the same time and returns the same.

    Args:
        to_leave_out: what a command line is to have so that the paths in FILE are left out.

    Returns:
        One line; None where every batch alone has a finite loss and finite gradients.
    """
    finding = _look(trainer, samples, dataset)
    findings = [finding]
    if trainer.data_parallel_world_size > 1:
        group = distributed_utils.get_data_parallel_group()
        findings = [_Finding(*found) for found in distributed_utils.all_gather_list(tuple(finding), group=group)]
    batches, bad = sum(found.batches for found in findings), sum(found.bad for found in findings)
    if bad == 0:
        return None
    what = f"loss or gradients of update {trainer.get_num_updates() + 1} are not finite"
    if not all(found.model_is_sound for found in findings) or bad == batches > 1:
        return (
            f"{what}, whatever the utterances: the model has diverged. Go on from an earlier checkpoint "
            "(checkpoint.restore_file) with a lower optimization.lr, a longer warm-up or optimization.clip_norm"
        )
    names = ", ".join(found.names for found in findings if found.names)
    return (
        f"{what} because of a batch that holds {names}: look for damaged audio there. To go on without: write these "
        f"paths, one a line, into a file, and run the same command with {to_leave_out}"
    )


def _look(trainer: Any, samples: List[Dict[str, Any]], dataset: ResilientAudioDataset) -> _Finding:
    trainer._set_seed()
    batches, bad, names = 0, 0, []
    for sample in samples:
        sample, _ = trainer._prepare_sample(sample)
        usable = len(sample["id"]) > 0
        batches += usable
        if usable and not _is_finite(trainer, sample):
            bad += 1
            names += [dataset.name(index) for index in sample["id"].tolist()]
    model_is_sound = _is_finite(trainer, trainer._prepare_sample(dataset.noise())[0])
    joined = ", ".join(names)
    if len(joined.encode()) > BYTES_OF_NAMES:
        logger.error("all utterances of the batches whose loss or gradients are not finite: %s", joined)
        joined = joined.encode()[:BYTES_OF_NAMES].decode(errors="ignore") + " ... (the log names all)"
    return _Finding(batches, bad, joined, model_is_sound)


def _is_finite(trainer: Any, sample: Dict[str, Any]) -> bool:
    """Return whether loss and gradients of this batch alone, in this process alone, are finite."""
    model = trainer.model
    trainer.zero_grad()
    with model.no_sync() if hasattr(model, "no_sync") else contextlib.nullcontext():
        loss, *_ = trainer.task.train_step(
            sample, model, trainer.criterion, trainer.optimizer, trainer.get_num_updates()
        )
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    finite = all(bool(torch.isfinite(values).all()) for values in [loss, *gradients])
    trainer.zero_grad()
    return finite
