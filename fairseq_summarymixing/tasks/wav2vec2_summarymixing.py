"""Register the task ``wav2vec2_summarymixing``: fairseq's audio pre-training for week-long runs on real corpora.

Beyond stock ``audio_pretraining``, it skips and counts unusable files, redraws batches each epoch, draws random numbers
that a resumed run repeats, logs the hours of audio per update and the peak memory, and warns of known failures. It
trains stock ``wav2vec2`` models as well.
"""

import logging
import math
import os
import resource
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics
from fairseq.tasks import register_task
from omegaconf import II

from ..checkpoints.names import OUR_MODEL
from ..data.audio import RATES
from ..errors import UserError, duration
from ..modules.config import check_range, is_default
from ..modules.lean.activation_memory import count_activation_bytes
from ..plugin.exits import exits_in_one_line
from ..protocols import as_pretraining_model
from ._batches import report_batches
from ._dataset import SHORTEST, ResilientAudioDataset
from ._health import HealthMonitor
from ._skipping import SkippingConfig, SkippingTask

logger = logging.getLogger(__name__)

# What this task reads of its configuration, and what fairseq does of any task's. Other fields keep their defaults
READ = frozenset(
    "data sample_rate normalize enable_padding max_sample_size min_sample_size seed update_freq wrong_sample_rate "
    "max_skipped leave_out hours_per_update health_patience reuse_dataloader persistent_workers rebuild_batches "
    "post_save_script _name".split()
)

# From and to, where there is a number
RANGES = {
    "max_skipped": (0, 1),
    "hours_per_update": (0, 1_000_000),
    "health_patience": (1, math.inf),
    "sample_rate": RATES,
    "min_sample_size": (0, math.inf),
    "max_sample_size": (1, math.inf),
}

VALIDATION = 0  # stands for the update number where masks are drawn for validation


@dataclass
class Wav2Vec2SummaryMixingTaskConfig(SkippingConfig):
    """The configuration: all of ``audio_pretraining``'s fields, and what a long run on a real corpus needs."""

    min_sample_size: Optional[int] = field(
        default=4000, metadata={"help": "leave out clips with fewer samples; 4000 is a quarter of a second"}
    )
    hours_per_update: Optional[float] = field(
        default=None,
        metadata={"help": "hours of audio in one update of full batches, over all GPUs, that the recipe means"},
    )
    health_patience: int = field(default=5000, metadata={"help": "updates at the loss of guessing before a warning"})
    # Workers that live on would crop by the epoch in which they started
    reuse_dataloader: bool = field(default=False, metadata={"help": "keep the data loader between epochs"})
    persistent_workers: bool = field(default=False, metadata={"help": "keep the workers between epochs"})
    update_freq: List[int] = II("optimization.update_freq")


@register_task(OUR_MODEL, dataclass=Wav2Vec2SummaryMixingTaskConfig)
class Wav2Vec2SummaryMixingTask(SkippingTask):
    """The task of audio pre-training on manifests (``<split>.tsv``).

    Raises:
        UserError: the manifest is damaged, too many files are unusable, or a field is not offered.
    """

    cfg: Wav2Vec2SummaryMixingTaskConfig
    starts_warm = True
    shortest = SHORTEST

    def __init__(self, cfg: Wav2Vec2SummaryMixingTaskConfig):
        super().__init__(cfg)
        self._health = HealthMonitor(cfg.health_patience)
        self._num_negatives: Optional[int] = None
        self._logged_batches = False
        self._adds_seeds = False
        self._activation_mb_per_audio_second: Optional[float] = None

    def build_model(self, model_cfg: FairseqDataclass, from_checkpoint: bool = False):
        """Build the model as stock does; before training, check that the configuration can be honoured and that there
        is data.

        The task inside a checkpoint is taken as it is: fairseq's commands set some of its fields by name.
        """
        if not from_checkpoint:
            self._check_before_training()
        model = super().build_model(model_cfg, from_checkpoint)
        asked = as_pretraining_model(model)
        if not from_checkpoint:
            asked.warm_start()
        self._adds_seeds = asked.takes_utterance_seeds
        self.keeps_precision = asked.needs_fp32_source
        self._num_negatives = asked.num_negatives
        self._check_sample_rate()
        return model

    @exits_in_one_line()
    def _check_before_training(self) -> None:
        check_config(self.cfg)
        if not os.path.isdir(self.cfg.data):
            raise UserError(f"task.data={self.cfg.data} is no folder: expected one that holds train.tsv")

    @exits_in_one_line()
    def _check_sample_rate(self) -> None:
        if self.keeps_precision and self.cfg.sample_rate != 16000:
            raise UserError(f"task.sample_rate={self.cfg.sample_rate}: model.frontend=log_mel takes 16000 Hz alone")

    def get_batch_iterator(self, dataset, *args, **kwargs):
        """Return stock's iterator; the first time that training asks, log what its batches hold."""
        iterator = super().get_batch_iterator(dataset, *args, **kwargs)
        if dataset is self.datasets.get("train") and not self._logged_batches:
            self._logged_batches = True
            self._log_batches(dataset, iterator, kwargs.get("max_tokens"))
            self._warn_of_wasteful_multiple(
                dataset,
                iterator,
                kwargs.get("required_batch_size_multiple", 1),
                max_tokens=kwargs.get("max_tokens"),
                max_sentences=kwargs.get("max_sentences"),
            )
        return iterator

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """Run the step with randomness drawn from (seed, update, utterance)."""
        self._add_seeds(sample, update_num + 1)
        if self._activation_mb_per_audio_second is None and len(sample["id"]):
            criterion = self._count_activations(criterion)
        loss, sample_size, logged = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        # fairseq stops at gradients that are not finite before it reduces metrics
        if len(sample["id"]):
            self._warn(self._health.check_finite(float(logged.get("loss", 0))))
        return loss, sample_size, logged

    def _count_activations(self, criterion) -> Callable:
        """Return the criterion's forward pass, which counts what it stores; the backward pass stores what it recomputes
        anew, and frees it."""

        def forward(model, sample):
            with count_activation_bytes(model) as saved:
                found = criterion(model, sample)
            seconds = sample["net_input"]["source"].numel() / self.cfg.sample_rate
            self._activation_mb_per_audio_second = saved.total / 1e6 / seconds
            return found

        return forward

    def valid_step(self, sample, model, criterion):
        """Run the step; each validation draws the same masks."""
        self._add_seeds(sample, VALIDATION)
        return super().valid_step(sample, model, criterion)

    def reduce_metrics(self, logging_outputs, criterion) -> None:
        """Log stock's metrics, ``peak_memory_gb`` and, of the first batch, ``activation_mb_per_audio_second``: 10^6
        bytes stored for the backward pass per second of audio, padding counted. In training, it also checks the run's
        health."""
        super().reduce_metrics(logging_outputs, criterion)
        used = [logged for logged in logging_outputs if logged.get("nsentences", 1)]
        if not used:
            return
        metrics.log_scalar("peak_memory_gb", peak_memory_gb(), weight=0, round=2)
        if criterion.training:
            metrics.log_scalar(
                "activation_mb_per_audio_second", self._activation_mb_per_audio_second or 0, weight=0, round=3
            )
            self._watch(used)

    def _add_seeds(self, sample: Dict[str, Any], update: int) -> None:
        if self._adds_seeds:
            sample["net_input"]["utterance_seeds"] = [
                int(np.random.SeedSequence([self.cfg.seed, update, index]).generate_state(1, np.uint64)[0]) >> 1
                for index in sample["id"].tolist() or [0]
            ]

    def _log_batches(self, dataset: ResilientAudioDataset, iterator, max_tokens: Optional[int]) -> None:
        report = report_batches(
            iterator.frozen_batches, dataset.sizes, dataset.pad, dataset.max_sample_size, max_tokens
        )
        samples_per_hour = self.cfg.sample_rate * 3600
        accumulated = self.cfg.update_freq[0]
        processes = distributed_utils.get_data_parallel_world_size()
        hours = report.samples / samples_per_hour * processes * accumulated
        logger.info(
            "%s of audio in %d files; one update takes about %.4g h (%d processes x %d accumulated batches); %s",
            duration(dataset.seconds),
            len(dataset),
            hours,
            processes,
            accumulated,
            report,
        )
        # Published batch sizes are of full batches, so full batches are compared
        full = (max_tokens or 0) / samples_per_hour * processes * accumulated
        wanted = self.cfg.hours_per_update
        if wanted and full and not 0.9 < full / wanted < 1.1:
            logger.warning(
                "the recipe means one update of full batches to hold %.4g h of audio, here it is %.4g h: "
                "set optimization.update_freq=[%d], or expect another outcome",
                wanted,
                full,
                max(1, round(accumulated * wanted / full)),
            )

    @staticmethod
    def _warn_of_wasteful_multiple(dataset: ResilientAudioDataset, iterator, multiple: int, **limits) -> None:
        if multiple == 1:
            return
        batches, fewest = len(iterator.frozen_batches), len(dataset.batch_by_size(dataset.ordered_indices(), **limits))
        if fewest < 0.9 * batches:
            logger.warning(
                "dataset.required_batch_size_multiple=%d makes %d batches of what fits into %d: set it to 1",
                multiple,
                batches,
                fewest,
            )

    def _watch(self, logging_outputs: List[Dict[str, Any]]) -> None:
        def total(key: str) -> float:
            return float(sum(log.get(key, 0) for log in logging_outputs))

        frames = total("sample_size")
        self._warn(self._health.check_masked(frames))
        if not frames:
            return
        has_codes = "code_perplexity" in logging_outputs[0]
        messages = self._health.update(
            loss=total("loss_0" if "loss_0" in logging_outputs[0] else "loss") / frames / math.log(2),
            accuracy=total("correct") / total("count") if total("count") else None,
            code_perplexity=total("code_perplexity") / len(logging_outputs) if has_codes else None,
            num_negatives=self._num_negatives,
        )
        self._warn(messages)

    @staticmethod
    def _warn(messages: List[str]) -> None:
        for message in messages:
            logger.warning("health: %s", message)


def check_config(cfg: Wav2Vec2SummaryMixingTaskConfig) -> None:
    """Check that every field is read or keeps its default, and that every number is in range.

    Raises:
        ValueError: the first field that is not, by name.
    """
    for unread in (each for each in fields(Wav2Vec2SummaryMixingTaskConfig) if each.name not in READ):
        value = getattr(cfg, unread.name, None)
        # common.tpu, a field of another group of the recipe, must be off
        default = False if unread.name == "tpu" else unread.default
        if value is not None and not is_default(value, default) and not is_default(value, unread.default):
            raise UserError(
                f"task.{unread.name}={value} is not supported by the task wav2vec2_summarymixing: "
                "use the stock task audio_pretraining, which trains the same models"
            )
    for name, (lowest, highest) in RANGES.items():
        value = getattr(cfg, name)
        if value is not None:
            check_range(f"task.{name}", value, lowest, highest)
    shortest, longest = cfg.min_sample_size, cfg.max_sample_size
    if shortest is not None and longest is not None and shortest > longest:
        raise UserError(
            f"task.min_sample_size={shortest} is above task.max_sample_size={longest}: the files that are long enough "
            "would be cropped to less"
        )


def peak_memory_gb() -> float:
    """Return the largest memory so far, in 10^9 bytes: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 / 1e9
