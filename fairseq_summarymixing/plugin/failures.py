"""End the other processes of a run with the message of a process that ends with an error.

Otherwise they would wait for it in silence: half an hour in torch's store or in gloo.
"""

import atexit
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from datetime import timedelta
from typing import Iterator, Optional

import torch.distributed as dist

from ..errors import UserError
from .exits import before_leaving, leave_now
from .guard import guard
from .messages import is_about

logger = logging.getLogger(__name__)

# Keys of the store: how many processes have failed, the first's message, how many others have seen it; and of each
# process its host, and a count that rises as long as it lives.
# torchrun keeps the store when it starts the processes again
ATTEMPT = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
KEYS = ("ended", "message", "seen", "host", "alive")
ENDED, MESSAGE, SEEN, HOST, ALIVE = (f"fairseq_summarymixing/{ATTEMPT}/{key}" for key in KEYS)
POLL_SECONDS = 1.0
MESSAGE_SECONDS = 3.0  # for the message of a process that has ended to arrive
SEEN_SECONDS = 5.0  # that a process with an error waits for the others to see it: the first holds the store
LOST_SECONDS = 60.0  # without the store until its process counts as gone
GRACE_SECONDS = 10.0  # to end by itself after another process has failed without a message


def install() -> None:
    """Watch before anything else of a run can fail: these guards are to be the outermost."""
    import fairseq_cli.train
    from fairseq import checkpoint_utils, models, tasks
    from fairseq.tasks.audio_finetuning import AudioFinetuningTask
    from fairseq.tasks.audio_pretraining import AudioPretrainingTask

    guard(fairseq_cli.train, "add_defaults", watched_processes, fails_with_the_others)
    for owner, name in (
        (fairseq_cli.train, "train"),
        (tasks, "setup_task"),
        (models, "build_model"),
        (AudioPretrainingTask, "load_dataset"),
        (AudioFinetuningTask, "load_dataset"),
        (checkpoint_utils, "verify_checkpoint_directory"),
        (checkpoint_utils, "load_checkpoint"),
    ):
        guard(owner, name, fails_with_the_others)


@contextlib.contextmanager
def watched_processes(*args, **kwargs) -> Iterator[None]:
    """Keep a process that fails from leaving the others waiting."""
    watch_other_processes()
    yield


@contextlib.contextmanager
def fails_with_the_others(*args, **kwargs) -> Iterator[None]:
    """End the other processes where an error of any kind ends a training; one that ends because another has ended says
    whose log to read, instead of what gloo or NCCL says."""
    with failing_together():
        try:
            yield
        except RuntimeError as error:
            if _Watch.current is None or not is_about(error, "a lost process"):
                raise
            _Watch.current.join(MESSAGE_SECONDS)  # with a message the watch ends this process
            raise UserError(
                f"{_Watch.current.silent_processes()} has ended without a message, as one does that is killed, for "
                "want of memory for instance; its log may have the reason"
            ) from error


def watch_other_processes() -> None:
    """Start to watch the other processes of a run, once, in a thread; nothing where there is one process.

    The processes meet in the store by which torch set them up. Where it is not reached by TCP, or its port is closed
    to a second connection, nobody watches.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1 or _Watch.current:
        return
    try:
        _Watch.current = _Watch(dist.get_rank(), dist.get_world_size())
    except Exception as error:  # whatever torch raises: a run must not fail for want of a watch
        logger.warning("other processes' errors will not be reported by this process: %s", error)
        return
    _Watch.current.start()
    before_leaving.append(_Watch.current.report)
    atexit.register(_Watch.current.end)


def fail_alike() -> None:
    """Stop watching: all processes of this run end with an error that each of them knows and reports itself."""
    if _Watch.current is not None:
        _Watch.current.ends_by_itself.set()


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """Note that this process has failed where an error leaves the block: the others get a message when it ends."""
    try:
        yield
    except BaseException:
        if _Watch.current is not None:
            _Watch.current.has_failed = True
        raise


class _Watch(threading.Thread):
    """A thread of a training process that watches the others through the store by which they met.

    It counts up a sign of life, and ends the process with the message of the first process that has failed, or where
    the store is lost. :attr:`current` is this process's; None where nobody watches.
    """

    current: Optional["_Watch"] = None

    def __init__(self, rank: int, num_processes: int):
        super().__init__(name="watch-other-processes", daemon=True)
        self.rank, self.num_processes = rank, num_processes
        self.store = _connect()
        self.ends_by_itself = threading.Event()
        self.has_failed = False
        self.store.set(f"{HOST}/{rank}", socket.gethostname())

    def report(self, message: str) -> None:
        """Send this process's last message to the others, and wait a little for them to see it."""
        if self._send(message):
            self._wait_until_seen()

    def end(self) -> None:
        """Stop watching, since Python aborts where its way out meets a thread inside torch; where this process has
        failed, report that."""
        if self.has_failed:
            self._send("")
        self.ends_by_itself.set()
        self.join(GRACE_SECONDS)

    def _send(self, message: str) -> bool:
        if self.ends_by_itself.is_set():
            return False
        self.ends_by_itself.set()
        try:
            store = _connect()
            if store.add(ENDED, 0) == 0:  # the first message is the cause
                store.set(MESSAGE, f"{self.rank} {socket.gethostname()} {message}")
                store.add(ENDED, 1)
            return True
        except Exception:  # the store is gone with its process, and there is nobody to report to
            return False

    def _wait_until_seen(self) -> None:
        until = time.monotonic() + SEEN_SECONDS
        with contextlib.suppress(Exception):
            store = _connect()
            while time.monotonic() < until and store.add(SEEN, 0) < self.num_processes - 1:
                time.sleep(POLL_SECONDS / 10)

    def run(self) -> None:
        message = self._wait_for_message()
        if not self.ends_by_itself.is_set():
            if self.rank == 0:  # which mostly holds the store, and others may still ask it
                self._wait_until_seen()
                time.sleep(POLL_SECONDS)
            logging.disable()  # the training goes on beside this thread, and this is to be the last line
            print(f"error: {message}", file=sys.stderr, flush=True)
            leave_now(1)

    def silent_processes(self) -> str:
        """Name the processes that have given no sign of life for three polls."""
        try:
            store = _connect()
            others = [rank for rank in range(self.num_processes) if rank != self.rank]
            before = [store.add(f"{ALIVE}/{rank}", 0) for rank in others]
            time.sleep(3 * POLL_SECONDS)
            silent = [rank for rank, count in zip(others, before) if store.add(f"{ALIVE}/{rank}", 0) == count]
            named = [f"process {rank} on {store.get(f'{HOST}/{rank}').decode()}" for rank in silent]
        except Exception:  # the store has ended with its process, mostly
            named = ["process 0"]
        return " and ".join(named) or "another process of this run"

    def _wait_for_message(self) -> str:
        seen = time.monotonic()
        while True:
            if self.ends_by_itself.wait(POLL_SECONDS):
                return ""
            try:
                _check_listens(self.store)
                if self.store.add(ENDED, 0):
                    rank, host, message = self.store.get(MESSAGE).decode().split(" ", 2)
                    self.store.add(SEEN, 1)
                    break
                self.store.add(f"{ALIVE}/{self.rank}", 1)
                seen = time.monotonic()
            except Exception:
                if not dist.is_initialized():  # the run is over
                    self.ends_by_itself.set()
                elif time.monotonic() - seen > LOST_SECONDS:
                    return "process 0 has ended; its log has the reason"
                self._reconnect()
        if message:
            return f"process {rank} on {host}: {message}"
        self.ends_by_itself.wait(GRACE_SECONDS)
        return f"process {rank} on {host} has ended before this process; its log has the reason"

    def _reconnect(self) -> None:
        with contextlib.suppress(Exception):
            self.store = _connect()


def _check_listens(store: dist.Store) -> None:
    """Raise an OSError where a store is gone with its process: torch would print pages about it."""
    socket.create_connection((store.host, store.port), timeout=10).close()


def _connect() -> dist.Store:
    """Return a connection of its own to the run's store, which threads may not share: a wait would block them all."""
    store = dist.distributed_c10d._get_default_store()
    while hasattr(store, "underlying_store"):
        store = store.underlying_store
    _check_listens(store)
    return dist.TCPStore(store.host, store.port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=10))
