"""Allow one training to a folder of checkpoints, and remove there what a killed training left half written."""

import fcntl
import logging
import os
import socket
from pathlib import Path
from typing import IO, Dict

from ..errors import UserError
from ..files import sweep_leftovers

logger = logging.getLogger(__name__)

LOCK = ".training.lock"
FAIRSEQ_TEMPORARIES = ("*.pt.tmp",)
_held: Dict[str, IO] = {}  # open while this process lives: the system releases a lock with its process, however it ends


def _let_go() -> None:
    """Close the locks in a forked process, which loads data and may outlive the process that trains."""
    while _held:
        _held.popitem()[1].close()


os.register_at_fork(after_in_child=_let_go)


def hold_save_dir(save_dir: str) -> None:
    """Keep a folder for the trainings of this process, as long as it lives, and sweep it.

    Where the file system has no locks, nothing is kept or swept and a line is logged.

    Raises:
        UserError: another process trains into the folder; the message names it.
    """
    path = os.path.join(os.path.realpath(save_dir), LOCK)
    if path in _held:
        return
    try:
        # not through a link, which would be somebody's file
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot write to checkpoint.save_dir={save_dir}, its file {LOCK}: {error.strerror}; remove that file, or "
            "name another folder"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = Path(path).read_text(encoding="utf-8").strip() or "a process of another machine"
        file.close()
        raise UserError(
            f"checkpoint.save_dir={save_dir} is in use by another training ({holder}): name another folder, or end it"
        ) from error
    except OSError as error:
        logger.warning("checkpoint.save_dir=%s cannot be locked against other trainings: %s", save_dir, error.strerror)
        file.close()
        return
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    _held[path] = file
    removed = sweep_leftovers(save_dir, unlocked=FAIRSEQ_TEMPORARIES)
    if removed:
        logger.info(
            "removed what a killed training left half written: %s", ", ".join(leftover.name for leftover in removed)
        )
