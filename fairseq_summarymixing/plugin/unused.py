"""Report utterances that fairseq loads and puts into no batch, in a log line per split; use sets smaller than a batch.

fairseq-fixed drops the last batch where its size is no multiple of ``dataset.required_batch_size_multiple``, 8 by
default: the same utterances in every epoch where their order is fixed. fairseq 0.12.2 makes a smaller batch.
"""

import functools
import logging
import weakref
from typing import Any, Callable, Dict, Tuple

import numpy as np

logger = logging.getLogger(__name__)


def install() -> None:
    """Count what fairseq's batches hold."""
    from fairseq.data import FairseqDataset
    from fairseq.tasks import FairseqTask

    FairseqDataset.batch_by_size = keep_the_only_batch(FairseqDataset.batch_by_size)
    FairseqTask.get_batch_iterator = report_unused(FairseqTask.get_batch_iterator)


def keep_the_only_batch(batch_by_size: Callable) -> Callable:
    """Let a set that is smaller than a batch be a batch."""

    @functools.wraps(batch_by_size)
    def batches(dataset, indices, max_tokens=None, max_sentences=None, required_batch_size_multiple=1):
        made = batch_by_size(dataset, indices, max_tokens, max_sentences, required_batch_size_multiple)
        if len(made) == 0 and len(indices) > 0:
            made = batch_by_size(dataset, indices, max_tokens, max_sentences, 1)
        return made

    return batches


def report_unused(get_batch_iterator: Callable) -> Callable:
    """Log once for each data set how many of its utterances its batches hold: INFO if all, or else WARNING."""

    reported = weakref.WeakSet()

    @functools.wraps(get_batch_iterator)
    def iterator_of(task, dataset, *args, **settings):
        iterator = get_batch_iterator(task, dataset, *args, **settings)
        if hasattr(iterator, "frozen_batches") and dataset not in reported:
            reported.add(dataset)
            if iterator.shard_id == 0:
                split = next((name for name, known in task.datasets.items() if known is dataset), "a data set")
                total, reasons = _left_out(dataset, iterator, settings)
                _log(split, total, reasons, iterator.skip_remainder_batch)
        return iterator

    return iterator_of


def _left_out(dataset: Any, iterator: Any, settings: Dict[str, Any]) -> Tuple[int, Dict[str, int]]:
    """Return the utterances of the manifest, and how many of them are left out for each reason."""
    batches, multiple = iterator.frozen_batches, settings.get("required_batch_size_multiple", 1)
    unused, limits = len(dataset) - sum(map(len, batches)), settings.get("max_positions")
    refused = unused
    if unused and multiple > 1:  # they may also be left over
        refused = 0 if limits is None else len(dataset.filter_indices_by_size(np.arange(len(dataset)), limits)[1])
    ungrouped = len(batches) % iterator.num_shards if iterator.grouped_shuffling else 0
    short = len(getattr(getattr(dataset, "dataset", dataset), "skipped_indices", ()))
    return len(dataset) + short, {
        "shorter than task.min_sample_size": short,
        "longer than the task or the model takes": refused,
        f"left over by dataset.required_batch_size_multiple={multiple} (set it to 1)": unused - refused,
        "in batches too few for all processes, which dataset.grouped_shuffling drops": sum(
            map(len, batches[len(batches) - ungrouped :])
        ),
    }


def _log(split: str, total: int, reasons: Dict[str, int], skips_remainder: bool) -> None:
    parts = [f"{count} {reason}" for reason, count in reasons.items() if count]
    if skips_remainder:
        parts.append(
            "each epoch drops the last batch of each process and batches that do not fill an update "
            "(optimization.skip_remainder_batch)"
        )
    logger.log(
        logging.WARNING if parts else logging.INFO,
        "%s: batches hold %d of %d utterances%s",
        split,
        total - sum(reasons.values()),
        total,
        ": " + "; ".join(parts) if parts else "",
    )
