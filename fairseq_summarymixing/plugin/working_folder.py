"""Find what a run names in the folder where the command was given, since hydra changes the working folder, and keep the
jobs of a sweep (``--multirun``) from sharing a folder of checkpoints."""

import contextlib
import logging
import multiprocessing
import os
from typing import Any, Dict, Iterator, Optional

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from ..data.manifest import start_folders
from ..errors import UserError
from .guard import guard

logger = logging.getLogger(__name__)

# Files and folders that a run reads. What it writes goes into hydra's folder, of which each job of a sweep has its own
READ_PATHS = (
    "task.data",
    "task.leave_out",
    "task.target_dictionary",
    "model.w2v_path",
    "model.init_from",
    "checkpoint.restore_file",
    "checkpoint.continue_once",
    "checkpoint.finetune_from_model",
)
LAST_CHECKPOINT = "checkpoint_last.pt"  # checkpoint.restore_file's default, in checkpoint.save_dir
_job_of: Dict[str, int] = {}  # by folder of checkpoints


def install() -> None:
    """Guard where a run begins, and where it finds a place for its checkpoints."""
    import fairseq_cli.train
    from fairseq import checkpoint_utils

    guard(fairseq_cli.train, "add_defaults", paths_from_the_start)
    guard(checkpoint_utils, "verify_checkpoint_directory", folder_of_its_own)


@contextlib.contextmanager
def paths_from_the_start(cfg: Any) -> Iterator[None]:
    """Let a relative path that is not in hydra's folder be one in the folder where the command was given, and so the
    relative root of a manifest."""
    start = start_folder()
    if os.path.realpath(start) != os.getcwd() and is_in_hydras_folder():
        start_folders[:] = [start]
    for name in READ_PATHS:
        path = OmegaConf.select(cfg, name) if OmegaConf.is_config(cfg.get(name.split(".")[0])) else None
        if not isinstance(path, str) or path in ("", LAST_CHECKPOINT) or os.path.exists(path):
            continue
        found = os.path.join(start, path)
        if os.path.exists(found):
            logger.info("%s=%s is %s: hydra runs this job in %s", name, path, found, os.getcwd())
            with open_dict(cfg):
                OmegaConf.update(cfg, name, found, merge=False)
    yield


def is_in_hydras_folder() -> bool:
    """Return whether this process is a job of hydra's, or one of those that it has spawned."""
    return HydraConfig.initialized() or multiprocessing.parent_process() is not None


def start_folder() -> str:
    """Return the folder in which the command was given."""
    if HydraConfig.initialized():
        return HydraConfig.get().runtime.cwd
    return os.environ.get("PWD", os.getcwd())  # of a process that fairseq has spawned


@contextlib.contextmanager
def folder_of_its_own(save_dir: str) -> Iterator[None]:
    """Check that no other job of a sweep has written its checkpoints there: this job would go on from them."""
    job = job_number()
    if job is not None:
        other = _job_of.setdefault(os.path.realpath(save_dir), job)
        if other != job:
            raise UserError(
                f"checkpoint.save_dir={save_dir} is that of job {other} of this sweep, from whose checkpoint this job "
                "would go on: name a relative folder, which is another for each job"
            )
    yield


# Also in plugin/hydra_plugins/fairseq_summarymixing.py, which must not import this package
def job_number() -> Optional[int]:
    """Return which job of a sweep this is, from 0; None outside a sweep."""
    if not HydraConfig.initialized() or OmegaConf.is_missing(HydraConfig.get().job, "num"):
        return None
    return HydraConfig.get().job.num
