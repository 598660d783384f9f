"""A process that ends with an error ends the others of its run as well, with its message.

Without, they would wait for it: half an hour in torch's store or in gloo, in silence.
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

from ..errors import before_leaving
from .guard import guard

logger = logging.getLogger(__name__)

# Keys of the store: how many processes have ended, the last message, how many others have seen it
ENDED, MESSAGE, SEEN = (f"fairseq_summarymixing/{key}" for key in ("ended", "message", "seen"))
POLL_SECONDS = 1.0
SEEN_SECONDS = 5.0  # that a process with an error waits for the others to see it: the first holds the store
LOST_SECONDS = 60.0  # without the store until its process counts as gone
GRACE_SECONDS = 10.0  # to end by itself after another process has ended without a message, as all do when a run is done


def install() -> None:
    """Watch before anything else of a run can fail: this guard is to be the outermost."""
    import fairseq_cli.train

    guard(fairseq_cli.train, "add_defaults", processes_that_end_together)


@contextlib.contextmanager
def processes_that_end_together(*args, **kwargs) -> Iterator[None]:
    """A process that ends with an error must not leave the others waiting."""
    watch_other_processes()
    yield


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
        logger.warning("other processes' errors will not be reported by this one: %s", error)
        return
    _Watch.current.start()
    before_leaving.append(_Watch.current.report)
    atexit.register(_Watch.current.report_end)


class _Watch(threading.Thread):
    current: Optional["_Watch"] = None

    def __init__(self, rank: int, num_processes: int):
        super().__init__(name="watch-other-processes", daemon=True)
        self.rank, self.num_processes = rank, num_processes
        self.store = _connect()
        self.own = threading.Event()  # this process ends by itself

    def report(self, message: str) -> None:
        """Send this process's last message to the others, and wait a little for them to see it."""
        if self._send(message):
            self._wait_until_seen()

    def report_end(self) -> None:
        """Send word that this process has ended, done or not, and stop to watch: Python aborts where its way out meets
        a thread inside torch."""
        self._send("")
        self.join(GRACE_SECONDS)

    def _send(self, message: str) -> bool:
        if self.own.is_set():
            return False
        self.own.set()
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
        if not self.own.is_set():
            print(f"error: {message}", file=sys.stderr, flush=True)
            if self.rank == 0:  # which mostly holds the store, and others may still ask it
                self._wait_until_seen()
                time.sleep(POLL_SECONDS)
            os._exit(1)

    def _wait_for_message(self) -> str:
        seen = time.monotonic()
        while True:
            if self.own.wait(POLL_SECONDS):
                return ""
            try:
                if self.store.add(ENDED, 0):
                    rank, host, message = self.store.get(MESSAGE).decode().split(" ", 2)
                    self.store.add(SEEN, 1)
                    break
                seen = time.monotonic()
            except Exception:
                if time.monotonic() - seen > LOST_SECONDS:
                    return "process 0 has ended; its log says why"
                self._reconnect()
        if message:
            return f"process {rank} on {host}: {message}"
        self.own.wait(GRACE_SECONDS)
        return f"process {rank} on {host} has ended before this one; its log says why"

    def _reconnect(self) -> None:
        with contextlib.suppress(Exception):
            self.store = _connect()


def _connect() -> dist.Store:
    """A connection of its own to the run's store, which threads may not share: a wait would block them all."""
    store = dist.distributed_c10d._get_default_store()
    while hasattr(store, "underlying_store"):
        store = store.underlying_store
    return dist.TCPStore(store.host, store.port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=10))
