"""Check the name of the metric by which the best checkpoint is chosen: fairseq looks it up after its first validation,
hours into a run, and ends with a KeyError."""

import contextlib
import difflib
from typing import Any, Collection, Dict, FrozenSet, Iterator

from ..errors import UserError

SHARED = frozenset("loss ntokens nsentences wps wpb bsz num_updates".split())
# What validation logs besides, by criterion. Of other criteria it is not known before
METRICS: Dict[str, FrozenSet[str]] = {
    "wav2vec": SHARED | frozenset("accuracy loss_0 loss_1 loss_2 peak_memory_gb".split()),
    "ctc": SHARED | frozenset("nll_loss uer wer raw_wer bleu".split()),
}


@contextlib.contextmanager
def metric_of_the_criterion(cfg: Any) -> Iterator[None]:
    """Check the metric before anything is built, where the criterion is one of :data:`METRICS`."""
    known = METRICS.get(getattr(cfg.criterion, "_name", None))
    if known is not None and not cfg.dataset.disable_validation:
        _check(cfg.checkpoint.best_checkpoint_metric, known.union(getattr(cfg.criterion, "log_keys", None) or ()))
    yield


@contextlib.contextmanager
def logged_metric(cfg: Any, trainer: Any, stats: Dict[str, Any], *args: Any) -> Iterator[None]:
    """Check that the validation has logged the metric."""
    _check(cfg.checkpoint.best_checkpoint_metric, {*stats, "num_updates"})
    yield


def _check(metric: str, known: Collection[str]) -> None:
    if metric not in known:
        close = difflib.get_close_matches(metric, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"validation logs {', '.join(sorted(known))}"
        raise UserError(f"checkpoint.best_checkpoint_metric={metric} is no metric of this run: {hint}")
