"""Reading what a run goes on from: safely, and where another number of processes goes on."""

import functools
import logging
from argparse import Namespace
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from ..checkpoints import load_checkpoint, prepare_for_fairseq
from ..errors import UserError, exits_in_one_line
from ..weights import check_optimizer_state

logger = logging.getLogger(__name__)


def prepare_resuming() -> None:
    """Put our reader in the place of fairseq's, once."""
    from fairseq import checkpoint_utils
    from fairseq.trainer import Trainer

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
    if not hasattr(Trainer.load_checkpoint, "__wrapped__"):
        Trainer.load_checkpoint = _go_on_in_place(Trainer.load_checkpoint)


def load_checkpoint_to_cpu(
    path: str, arg_overrides: Optional[Mapping[str, Any]] = None, load_on_all_ranks: bool = False
) -> Dict[str, Any]:
    """Read a checkpoint as fairseq's function of this name does, after the checks of :func:`load_checkpoint`.

    fairseq's calls ``torch.load`` with whatever default torch's version and environment give it, and below torch 2.6
    that runs code that a file brings along.

    Raises:
        UserError: names the file and what it is instead of a checkpoint.
    """
    from fairseq.file_io import PathManager

    with exits_in_one_line(UserError):
        # what lies in another store may have changed since it was copied here
        fresh = {"force": True} if PathManager.path_requires_pathmanager(path) else {}
        state = load_checkpoint(PathManager.get_local_path(path, **fresh))
    position = (state.get("extra_state") or {}).get("train_iterator")
    if position:
        position["num_processes"] = _num_processes(state)
    return prepare_for_fairseq(state, arg_overrides or {})


def _num_processes(state: Mapping[str, Any]) -> int:
    """How many processes saved a state from :func:`load_checkpoint`."""
    config = state.get("args")
    if not isinstance(config, Namespace):
        config = Namespace(**dict((state.get("cfg") or {}).get("distributed_training") or {}))
    return getattr(config, "distributed_world_size", 1)


def rescale_position(position: Dict[str, Any], num_processes: int, update_freq: Sequence[int]) -> None:
    """Restate, in place, how many batches each process has used of an epoch, for another number of processes.

    fairseq deals the batches of an epoch out in turn and saves how many each process has had. Taken as it is by fewer
    processes, that number would repeat batches; by more, leave some out. It becomes a number of whole updates: at any
    other, fairseq would begin the epoch anew.

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
            before, num_processes, used * before, f", {again} of them will be used again" if again else "",
            before / num_processes,
        )  # fmt: skip


def _go_on_in_place(load: Callable) -> Callable:
    @functools.wraps(load)
    def load_checked(self, filename, *args, **kwargs):
        extra_state = load(self, filename, *args, **kwargs)
        if extra_state is not None and self._optimizer is not None:  # else reset
            with exits_in_one_line(UserError):
                check_optimizer_state(filename, list(self.optimizer.optimizer.state.values()))
        begins_anew = self.cfg.checkpoint.reset_dataloader or filename == self.cfg.checkpoint.finetune_from_model
        if extra_state is not None and not begins_anew:
            position = extra_state["train_iterator"]
            rescale_position(position, self.data_parallel_world_size, self.cfg.optimization.update_freq)
        return extra_state

    return load_checked
