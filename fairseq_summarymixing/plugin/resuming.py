"""Check the checkpoint that a run resumes from or that another command of fairseq loads; with another number of
processes, let the run resume at the same place."""

import contextlib
import functools
import logging
import os
from typing import Any, Callable, Dict, Iterator, Optional, Sequence

from ..checkpoints.misfit import Misfit
from ..checkpoints.weights import check_optimizer_state
from ..errors import UserError
from .exits import exits_in_one_line
from .guard import guard
from .messages import first_line, is_about

logger = logging.getLogger(__name__)


def install() -> None:
    """Guard the functions by which fairseq restores a checkpoint."""
    from fairseq import checkpoint_utils
    from fairseq.trainer import Trainer

    guard(checkpoint_utils, "load_checkpoint", fitting_checkpoint)
    guard(checkpoint_utils, "load_model_ensemble_and_task", existing_checkpoints)
    Trainer.load_checkpoint = _go_on_in_place(Trainer.load_checkpoint)


@contextlib.contextmanager
def fitting_checkpoint(cfg: Any, *args, **kwargs) -> Iterator[None]:
    """Check that what is restored exists, and fits the model and the batches that the recipe makes."""
    if cfg.restore_file != "checkpoint_last.pt" and not os.path.isfile(cfg.restore_file):
        raise UserError(f"there is no checkpoint checkpoint.restore_file={cfg.restore_file}")
    try:
        yield
    except Exception as error:  # what the trainer raises
        text = first_line(error).split(";")[0]
        if is_about(error, "another model's checkpoint"):
            if isinstance(error.__context__, Misfit):  # the model knows what is wrong
                raise UserError(f"{text}: {error.__context__}") from None
            raise UserError(
                f"{text}: it is of another model than the recipe's; name another checkpoint or, to "
                "train from scratch, an empty checkpoint.save_dir"
            ) from error
        if is_about(error, "other batches"):
            raise UserError(
                "the checkpoint was saved in the middle of an epoch of other batches (data or batch size changed): "
                "go on with the next epoch by checkpoint.reset_dataloader=true"
            ) from error
        if is_about(error, "no model to fine-tune"):
            raise UserError(
                f"there is no checkpoint checkpoint.finetune_from_model={cfg.finetune_from_model}"
            ) from error
        raise


@contextlib.contextmanager
def existing_checkpoints(filenames: Sequence[Optional[str]], *args, **kwargs) -> Iterator[None]:
    """Check that checkpoints that are loaded, as fairseq-validate does, are named and exist."""
    if None in filenames:
        raise UserError("no checkpoint is named: give --path FILE")
    try:
        yield
    except OSError as error:
        if is_about(error, "no model to load"):
            raise UserError(f"there is no checkpoint {', '.join(filenames)}") from error
        raise


def rescale_position(position: Dict[str, Any], num_processes: int, update_freq: Sequence[int]) -> None:
    """Restate, in place, how many batches each process has used of an epoch, for another number of processes.

    fairseq deals the batches of an epoch out in turn and saves how many each process has had. Taken as it is by fewer
    processes, that number would repeat batches; by more, leave some out. It becomes a number of whole updates: at any
    other, fairseq would restart the epoch.

    Args:
        position: the state of fairseq's ``EpochBatchIterator``, with ``num_processes``, those that saved it.
        update_freq: batches of each process in one update, by epoch, as ``optimization.update_freq``.
    """
    before, used = position.pop("num_processes", num_processes), position.get("iterations_in_epoch", 0)
    of_update = update_freq[min(position.get("epoch", 1), len(update_freq)) - 1]
    position["iterations_in_epoch"] = used * before // num_processes // of_update * of_update
    again = used * before - position["iterations_in_epoch"] * num_processes
    if before != num_processes or again:
        logger.warning(
            "the checkpoint was saved by %d processes, %d go on: %d batches of its epoch are used already%s; for "
            "updates of as many batches as before, optimization.update_freq must be %g times as large",
            before,
            num_processes,
            used * before,
            f", {again} of them will be used again" if again else "",
            before / num_processes,
        )


def _go_on_in_place(load: Callable) -> Callable:
    @functools.wraps(load)
    def load_checked(self, filename, *args, **kwargs):
        extra_state = load(self, filename, *args, **kwargs)
        if extra_state is not None and self._optimizer is not None:  # else reset
            with exits_in_one_line(UserError):
                check_optimizer_state(filename, list(self.optimizer.optimizer.state.values()))
        restarts = self.cfg.checkpoint.reset_dataloader or filename == self.cfg.checkpoint.finetune_from_model
        if extra_state is not None and not restarts:
            position = extra_state["train_iterator"]
            rescale_position(position, self.data_parallel_world_size, self.cfg.optimization.update_freq)
        return extra_state

    return load_checked
