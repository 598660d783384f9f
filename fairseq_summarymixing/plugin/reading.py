"""Let fairseq's own functions read checkpoints safely, and build models with the configuration of their training.

Besides fairseq's registries, this is all that an import of our models changes in fairseq.
"""

import contextlib
import contextvars
import functools
from typing import Any, Dict, Iterator, Mapping, Optional

import torch

from .. import register
from ..checkpoints import Checkpoint
from ..checkpoints.for_fairseq import state_for_fairseq
from ..checkpoints.state import safe_classes
from ..errors import UserError
from .exits import exits_in_one_line
from .guard import guard


@functools.lru_cache(maxsize=None)
def install() -> None:
    """Put our reader in the place of fairseq's, once in a process."""
    from fairseq import checkpoint_utils, models

    register_safe_classes()
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
    guard(checkpoint_utils, "load_ema_from_checkpoint", readable_checkpoint)
    guard(models, "build_model", noted_origin)


def register_safe_classes() -> None:
    """Declare the classes in fine-tuned checkpoints safe: fairseq 0.12.2 and fairseq-fixed 0.12.3.1 call torch.load
    without ``weights_only``, which is true by default from torch 2.6 on and refuses a Dictionary."""
    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals(list(safe_classes()))


@exits_in_one_line(UserError)
def load_checkpoint_to_cpu(
    path: str, arg_overrides: Optional[Mapping[str, Any]] = None, load_on_all_ranks: bool = False
) -> Dict[str, Any]:
    """Read a checkpoint as fairseq's function of this name does, after the checks of :meth:`Checkpoint.read`, and with
    the model and the task that it may name registered.

    fairseq's calls ``torch.load`` with whatever default torch's version and environment give it, and below torch 2.6
    that runs code that a file brings along.

    Raises:
        UserError: names the file and what it is instead of a checkpoint.
    """
    from fairseq.file_io import PathManager

    register()
    # what lies in another store may have changed since it was copied here
    fresh = {"force": True} if PathManager.path_requires_pathmanager(path) else {}
    checkpoint = Checkpoint.read(PathManager.get_local_path(path, **fresh))
    state = state_for_fairseq(checkpoint, arg_overrides or {})
    position = (state.get("extra_state") or {}).get("train_iterator")
    if position:
        position["num_processes"] = checkpoint.num_processes
    return state


@contextlib.contextmanager
def readable_checkpoint(path: str) -> Iterator[None]:
    """Check that a checkpoint is whole, and brings along nothing that would run."""
    Checkpoint.read(path)
    yield


@contextlib.contextmanager
def noted_origin(cfg: Any, task: Any = None, from_checkpoint: bool = False) -> Iterator[None]:
    """Note for a model that is built whether its configuration is a checkpoint's."""
    with reading_checkpoint(from_checkpoint):
        yield


_IS_READING = contextvars.ContextVar("is_reading", default=False)


@contextlib.contextmanager
def reading_checkpoint(reading: bool = True) -> Iterator[None]:
    """Inside, build models from a checkpoint's configuration, even with fields that recipes may not set."""
    token = _IS_READING.set(reading)
    try:
        yield
    finally:
        _IS_READING.reset(token)


def reads_checkpoint() -> bool:
    """Return whether the model that is being built comes from a checkpoint."""
    return _IS_READING.get()
