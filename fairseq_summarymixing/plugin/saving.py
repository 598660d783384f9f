"""Write checkpoints whole or not at all, and check that there is a folder and room on the disk for them."""

import contextlib
import logging
import os
import shutil
from typing import Any, Iterator

from ..errors import UserError
from ..files import atomic_write, says_no_room
from .exits import exits_in_one_line
from .guard import guard
from .messages import first_line
from .save_dir import hold_save_dir


def install() -> None:
    """Guard the functions by which fairseq writes checkpoints, and copy them whole."""
    from fairseq import checkpoint_utils
    from fairseq.file_io import IOPathManager, PathManager

    guard(checkpoint_utils, "verify_checkpoint_directory", writable_folder)
    guard(checkpoint_utils, "torch_persistent_save", room_on_disk)
    if not IOPathManager:  # which copies to other stores, too
        PathManager.copy = staticmethod(copy_whole)


@contextlib.contextmanager
def writable_folder(save_dir: str) -> Iterator[None]:
    """Check that checkpoints find a place, which no other training uses."""
    if not save_dir:
        raise UserError("checkpoint.save_dir is empty: name a folder for checkpoints")
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to checkpoint.save_dir={save_dir}: {error.strerror}") from error
    hold_save_dir(save_dir)


@contextlib.contextmanager
def room_on_disk(obj: Any, filename: str, *args, **kwargs) -> Iterator[None]:
    """Leave the earlier checkpoints as they were where a checkpoint cannot be written."""
    log = logging.getLogger("fairseq.checkpoint_utils")
    was_disabled, log.disabled = log.disabled, True  # it would log a stack trace
    try:
        yield
    except (OSError, RuntimeError) as error:
        no_room = "the disk is full, or files may not be so large"  # torch names the place in its source alone
        reason = getattr(error, "strerror", None) or (no_room if says_no_room(error) else first_line(error))
        with contextlib.suppress(OSError):
            os.unlink(f"{filename}.tmp")  # fairseq's, and as large as what had room
        raise UserError(
            f"cannot write {filename}: {reason}; earlier checkpoints are kept: make room and run the same command"
        ) from error
    finally:
        log.disabled = was_disabled


@exits_in_one_line(UserError)
def copy_whole(source: str, target: str, overwrite: bool = False) -> str:
    """Replace fairseq's copy of a local file, by which checkpoint_best.pt and checkpoint_last.pt are made: whole or not
    at all, where fairseq would write over the file that is there."""
    with atomic_write(target, "wb") as file, open(source, "rb") as original:
        shutil.copyfileobj(original, file, 2**24)
    return target
