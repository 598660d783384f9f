"""Skip unusable recordings of a corpus in training and validation: the part that pre-training and fine-tuning share."""

import contextlib
import logging
import math
import os
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple
from unittest import mock

import numpy as np
import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks.audio_pretraining import AudioPretrainingConfig, AudioPretrainingTask
from omegaconf import II

from ..errors import UserError
from ..plugin.exits import exits_in_one_line
from ._dataset import ResilientAudioDataset
from ._leave_out import read_leave_out
from ._not_finite import explain_not_finite
from ._waveforms import unpack

logger = logging.getLogger(__name__)


VALIDATION_SHARE = 0.5  # unusable files of a validation set, which is small, do not end a training below this share
# Stock's ways to store or shape a corpus that are left to stock's data sets
STOCK_ALONE = ("binarized_dataset", "multi_corpus_keys", "precompute_mask_config", "num_batch_buckets", "tpu")


@dataclass
class SkippingConfig(AudioPretrainingConfig):
    """The configuration: stock's fields, and which recordings a task leaves out."""

    wrong_sample_rate: ChoiceEnum(["resample", "refuse"]) = field(
        default="resample",
        metadata={"help": "files whose rate is not sample_rate: resample them while loading, or leave them out"},
    )
    max_skipped: float = field(
        default=0.01,
        metadata={
            "help": "share of the manifest's files that one process may find unusable before training stops; of "
            "validation sets at least a half"
        },
    )
    leave_out: Optional[str] = field(
        default=None,
        metadata={
            "help": "text file of paths, one a line as in the manifests, whose utterances count as unusable; "
            "batches stay the same, so a run may set it at any update"
        },
    )
    seed: int = II("common.seed")  # fairseq 0.12.2's task has none


class SkippingTask(AudioPretrainingTask):
    """A base of tasks on manifests (``<split>.tsv``) whose unusable files are skipped, counted and logged, up to a
    share, in training and validation (there a half at least), in any number of processes.

    The configuration is a :class:`SkippingConfig`; fields of it that it lacks have their defaults.

    Raises:
        UserError: a manifest is damaged, or too many of its files are unusable.
    """

    starts_warm = False
    redraws_batches = True
    keeps_precision = False
    shortest = 0  # samples
    to_set_fields = ""
    """What a command line needs besides ``+task.leave_out=FILE`` and the like."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        self._warned_of_no_gradient = False
        self._left_out: Optional[Set[str]] = None
        self._validation: Set[str] = set()

    @exits_in_one_line()
    def load_dataset(self, split: str, task_cfg: Any = None, **kwargs: Any) -> None:
        """Read ``<data>/<split>.tsv``; its every line is checked, and a few files are tried."""
        cfg = task_cfg or self.cfg
        if getattr(cfg, "subsample", None) not in (None, 1) or any(getattr(cfg, name, None) for name in STOCK_ALONE):
            super().load_dataset(split, task_cfg, **kwargs)
            return
        if kwargs.get("combine") is False:  # as fairseq loads what it validates on
            self._validation.add(split)
        if self._left_out is None:
            path = getattr(self.cfg, "leave_out", None)
            self._left_out = read_leave_out(path, cfg.data) if path else set()
        self.datasets[split] = ResilientAudioDataset(
            manifest_path=os.path.join(cfg.data, f"{split}.tsv"),
            sample_rate=cfg.sample_rate,
            resample_others=str(getattr(cfg, "wrong_sample_rate", None)) != "refuse",
            seed=getattr(cfg, "seed", None) or 1,
            max_sample_size=cfg.max_sample_size,
            min_sample_size=max(cfg.min_sample_size or 0, self.shortest),
            pad=cfg.labels is not None or cfg.enable_padding,
            normalize=cfg.normalize,
            keep_precision=self.keeps_precision,
            leave_out=self._left_out,
            redraw_batches=self.redraws_batches,
        )

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """Run stock's step. A batch without a usable utterance counts nothing and leaves gradients as they are."""
        self._check_skipped()
        sample = unpack(sample)
        if len(sample["id"]):
            return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        # amp's scaler must have seen a loss
        needed = isinstance(optimizer, AMPOptimizer)
        step = super().train_step
        return self._count_nothing(step, needed, sample, model, criterion, optimizer, update_num, ignore_grad=True)

    def valid_step(self, sample, model, criterion):
        """Run stock's step. A batch without a usable utterance counts nothing."""
        self._check_skipped()
        sample = unpack(sample)
        if len(sample["id"]):
            return super().valid_step(sample, model, criterion)
        return self._count_nothing(super().valid_step, False, sample, model, criterion)

    def optimizer_step(self, optimizer, model, update_num):
        """Run stock's step; where no process had a usable utterance, weights and optimizer stay as they are."""
        if any(p.grad is not None and p.grad.any() for p in reversed(list(model.parameters()))):
            return super().optimizer_step(optimizer, model, update_num)
        if not self._warned_of_no_gradient:
            self._warned_of_no_gradient = True
            logger.warning(
                "update %d has no gradient, since no utterance of its batches is usable or no frame is masked: "
                "the weights stay as they are; further updates of this kind are not reported",
                update_num + 1,
            )
        with _weights_kept(optimizer):
            super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        """Log stock's metrics of what had a usable utterance; where nothing had, ``loss`` NaN."""
        used = [logged for logged in logging_outputs if logged.get("nsentences", 1)]
        if used:
            super().reduce_metrics(used, criterion)
        else:
            metrics.log_scalar("loss", math.nan, weight=0, round=3)  # fairseq would log -1

    def explain_not_finite(self, trainer: Any, samples: List[Dict[str, Any]]) -> Optional[str]:
        """Name the utterances, or the model, that made an update's gradients NaN or infinite; see _not_finite."""
        dataset = self.dataset(trainer.cfg.dataset.train_subset)
        if not hasattr(dataset, "noise"):  # stock's
            return None
        return explain_not_finite(trainer, samples, dataset, f"{self.to_set_fields}+task.leave_out=FILE")

    @staticmethod
    def _count_nothing(step, needed: bool, *arguments, **more) -> Tuple[torch.Tensor, int, Dict[str, Any]]:
        """Return what a step returns, without effect. Several processes compute it together, or wait for each other."""
        if not needed and distributed_utils.get_data_parallel_world_size() == 1:
            return torch.zeros(()), 0, {"nsentences": 0}
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_available() else []):
            loss, sample_size, logged = step(*arguments, **more)
        return loss, _zero(sample_size), {key: _zero(value) for key, value in logged.items()}

    @exits_in_one_line()
    def _check_skipped(self) -> None:
        allowed = getattr(self.cfg, "max_skipped", None)
        allowed = SkippingConfig.max_skipped if allowed is None else allowed
        for split, dataset in self.datasets.items():
            skipped, files = getattr(dataset, "num_skipped", 0), len(dataset)
            if split in self._validation and skipped <= VALIDATION_SHARE * files:
                continue
            if skipped > allowed * files:
                raise UserError(
                    f"{skipped} of {files} files of {split}.tsv cannot be used, more than task.max_skipped={allowed:g} "
                    "allows; the log names each with its reason. To go on without them: "
                    f"{self.to_set_fields}+task.max_skipped=SHARE"
                )


@contextlib.contextmanager
def _weights_kept(optimizer) -> Iterator[None]:
    """Keep weights and their moments through a step inside, while fairseq's loss scale and factors go on."""
    with mock.patch.object(optimizer.optimizer, "step", lambda *args, **kwargs: None):
        yield


def _zero(value: Any) -> Any:
    """Return nothing, of the same type and shape, so that sums over processes go together."""
    if torch.is_tensor(value):
        return torch.zeros_like(value)
    return np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)()
