"""Reading what a run goes on from: safely, and where another number of processes goes on."""

import functools
import logging
from typing import Any, Dict, Mapping, Optional

from ..checkpoints import Checkpoint
from ..checkpoints.restore import state_for_fairseq
from ..checkpoints.weights import check_optimizer_state
from ..errors import UserError, exits_in_one_line

logger = logging.getLogger(__name__)


def prepare_resuming() -> None:
    """Put our reader in the place of fairseq's, once."""
    from fairseq import checkpoint_utils
    from fairseq.trainer import Trainer

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
    if not hasattr(Trainer.load_checkpoint, "__wrapped__"):
        Trainer.load_checkpoint = _at_the_same_place(Trainer.load_checkpoint)


def load_checkpoint_to_cpu(
    path: str, arg_overrides: Optional[Mapping[str, Any]] = None, load_on_all_ranks: bool = False
) -> Dict[str, Any]:
    """Read a checkpoint as fairseq's function of this name does, after the checks of :meth:`Checkpoint.read`.

    fairseq's calls ``torch.load`` with whatever default torch's version and environment give it, and below torch 2.6
    that runs code that a file brings along.

    Raises:
        UserError: names the file and what it is instead of a checkpoint.
    """
    from fairseq.file_io import PathManager

    with exits_in_one_line(UserError):
        # what lies in another store may have changed since it was copied here
        fresh = {"force": True} if PathManager.path_requires_pathmanager(path) else {}
        checkpoint = Checkpoint.read(PathManager.get_local_path(path, **fresh))
    state = state_for_fairseq(checkpoint, arg_overrides or {})
    position = (state.get("extra_state") or {}).get("train_iterator")
    if position:
        position["num_processes"] = checkpoint.num_processes
    return state


def rescale_position(position: Dict[str, Any], num_processes: int) -> None:
    """Restate, in place, how many batches each process has used of an epoch, for another number of processes.

    fairseq deals the batches of an epoch out in turn and saves how many each process has had. Taken as it is by fewer
    processes, that number would repeat batches; by more, leave some out.
    """
    before, used = position.pop("num_processes", num_processes), position.get("iterations_in_epoch", 0)
    if before == num_processes:
        return
    position["iterations_in_epoch"] = used * before // num_processes
    again = used * before % num_processes
    logger.warning(
        "the checkpoint was saved by %d processes, %d go on: %d batches of its epoch are used already%s; for updates "
        "of as many batches as before, change optimization.update_freq too",
        before, num_processes, used * before, f", {again} of them will be used again" if again else "",
    )  # fmt: skip


def _at_the_same_place(load):
    @functools.wraps(load)
    def load_and_rescale(self, filename, *args, **kwargs):
        extra_state = load(self, filename, *args, **kwargs)
        if extra_state is not None:
            if self._optimizer is not None:  # else reset
                with exits_in_one_line(UserError):
                    check_optimizer_state(filename, list(self.optimizer.optimizer.state.values()))
            rescale_position(extra_state["train_iterator"], self.data_parallel_world_size)
        return extra_state

    return load_and_rescale
