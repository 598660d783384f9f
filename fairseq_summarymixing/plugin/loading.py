"""Pass batches on from the processes that load them, so that an error there ends the run instead of stopping it.

torch passes tensors on in shared memory, /dev/shm, of which a Docker container has 64 MB by default. It does so in a
thread of the loading process whose errors nobody sees: the batch never arrives.
"""

import atexit
import contextlib
import functools
import queue
import re
import threading
import time
from typing import Any, Callable, Iterator, List

import torch
from torch.utils.data import get_worker_info

from ..errors import UserError
from .guard import guard
from .messages import is_about, last_line

END_SECONDS = 10.0  # for a thread to load its last batch
ADVICE = "enlarge it (docker run --shm-size=8g, or --ipc=host), or set dataset.num_workers to a smaller number or 0"

MORE_FILES = "raise their number (ulimit -n 65536), or set dataset.num_workers to a smaller number or 0"


def install() -> None:
    """Let fairseq's iterators share batches where errors are passed on."""
    from fairseq.data.iterators import CountingIterator, EpochBatchIterator

    EpochBatchIterator.__init__ = _sharing(EpochBatchIterator.__init__)
    guard(CountingIterator, "__next__", loaded_batch)
    atexit.register(end_loading)


def end_loading() -> None:
    """Let fairseq's threads that fetch batches come to their end: a run that stops within an epoch leaves them at work,
    and Python aborts (SIGABRT, after all is done and saved) where its way out meets them inside torch."""
    from fairseq.data.iterators import BackgroundConsumer

    for thread in threading.enumerate():
        until = time.monotonic() + END_SECONDS
        while isinstance(thread, BackgroundConsumer) and thread.is_alive() and time.monotonic() < until:
            thread._max_len = 0  # batches to fetch
            with contextlib.suppress(queue.Empty):
                thread._queue.get(timeout=0.05)


def _sharing(init):
    @functools.wraps(init)
    def init_and_share(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.collate_fn = functools.partial(collate_shared, self.collate_fn)

    return init_and_share


def collate_shared(collate: Callable, samples: List[Any]) -> Any:
    """Compute ``collate(samples)``, its tensors in shared memory where this process loads for another.

    Raises:
        UserError: there is not enough shared memory.
    """
    batch = collate(samples)
    if get_worker_info() is None:
        return batch
    try:
        _share(batch)
    except (RuntimeError, OSError) as error:
        if "open files" in str(error):
            raise UserError(f"loaded batches hold too many files open: {MORE_FILES}") from error
        raise UserError(f"/dev/shm is full, through which loaded batches go: {ADVICE}") from error
    return batch


def _share(batch: Any) -> None:
    if isinstance(batch, torch.Tensor):
        batch.share_memory_()
    elif isinstance(batch, dict):
        for value in batch.values():
            _share(value)
    elif isinstance(batch, (list, tuple)):
        for value in batch:
            _share(value)


@contextlib.contextmanager
def loaded_batch(*args, **kwargs) -> Iterator[None]:
    """Report in one line what ended a loading process."""
    try:
        yield
    except UserError as error:  # torch puts the process's stack trace into its message
        raise UserError(last_line(error).split("UserError: ")[-1].removesuffix(r"\n")) from error
    except RuntimeError as error:
        if not is_about(error, "a killed worker"):
            raise
        signal = re.search(r"signal: (\w[\w ]*)", str(error))
        raise UserError(
            f"a process that loads data was killed{f' ({signal[1]})' if signal else ''}, for want of memory or of "
            f"shared memory, /dev/shm: {ADVICE}"
        ) from error
