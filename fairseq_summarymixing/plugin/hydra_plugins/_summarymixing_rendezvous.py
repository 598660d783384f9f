"""Log which processes a run waits for before it begins, and end it in one line if they do not join, or at Ctrl-C.

torch waits without a message for half an hour, ignores Ctrl-C, and ends with a long error about its store. (On torch
2.0 no other thread of process 0 runs meanwhile: there only the other processes log whom they wait for.)
"""

import contextlib
import functools
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from typing import Any, Callable, Iterator, List, Optional, Tuple
from urllib.parse import urlparse

import torch.distributed as dist

POLL_SECONDS = 1.0
FIRST_SECONDS = 10.0  # until the first line
AGAIN_SECONDS = 600.0  # and from one to the next
LIMIT_SECONDS = 1800.0  # torch's, which fairseq leaves as it is
JOINED = "fairseq_summarymixing/joined"  # of each process in the store: how often it has joined
CONNECT_SECONDS = 5.0

logger = logging.getLogger("fairseq_cli.hydra_train")
Address = Tuple[str, int]


def rendezvous(distributed_init: Callable, is_ours: Callable[[Any], bool], interrupted: str) -> Callable:
    """Wrap the function in which processes join a run that were started by a command each.

    Args:
        is_ours: whether a configuration is of our runs; others stay as they are.
        interrupted: what is printed at Ctrl-C.
    """

    @functools.wraps(distributed_init)
    def init(cfg: Any):
        given = cfg.distributed_training
        address = address_of(given.distributed_init_method)
        if not is_ours(cfg) or address is None or not given.distributed_no_spawn:
            return distributed_init(cfg)
        rank, size = given.distributed_rank, given.distributed_world_size
        if not 0 <= rank < size:
            raise SystemExit(
                f"error: distributed_training.distributed_rank={rank} must be 0 or more and below "
                f"distributed_training.distributed_world_size={size}"
            )
        waiting = Waiting(address, rank, size, interrupted)
        with waiting.until_joined():
            if rank:
                wait_for_server(address, waiting)
            return distributed_init(cfg)

    return init


def address_of(init_method: Optional[str]) -> Optional[Address]:
    """Return host and port of ``tcp://HOST:PORT``; None of anything else."""
    with contextlib.suppress(ValueError):
        found = urlparse(init_method or "")
        if found.scheme == "tcp" and found.hostname and found.port:
            return found.hostname, found.port
    return None


def wait_for_server(address: Address, waiting: "Waiting") -> None:
    """Wait until process 0 is there, as long as torch would."""
    until = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            return socket.create_connection(address, timeout=CONNECT_SECONDS).close()
        except OSError:
            if time.monotonic() > until:
                raise SystemExit(waiting.error()) from None
            time.sleep(POLL_SECONDS)


class Waiting(threading.Thread):
    """Logs from time to time for whom a process waits; a signal that comes meanwhile wakes it up."""

    def __init__(self, address: Address, rank: int, size: int, interrupted: str):
        super().__init__(name="wait-for-other-processes", daemon=True)
        self.address, self.rank, self.size, self.interrupted = address, rank, size, interrupted
        self.has_joined = False
        self.line = self._missing()

    @contextlib.contextmanager
    def until_joined(self) -> Iterator[None]:
        """Wait inside for the others; raises SystemExit where they do not join."""
        self.signals, written = os.pipe()
        os.set_blocking(written, False)
        before = signal.set_wakeup_fd(written)
        self.start()
        try:
            yield
        except RuntimeError as error:
            if "address already in use" in str(error).lower():
                raise SystemExit(self._of_a_taken_port()) from error
            if not any(word in str(error).lower() for word in ("timed out", "timeout", "connection")):
                raise
            raise SystemExit(self.error()) from error
        finally:
            signal.set_wakeup_fd(before)
            os.close(written)  # which ends the thread
            self.join()
            os.close(self.signals)

    def run(self) -> None:
        began = said = time.monotonic()
        while True:
            if select.select([self.signals], [], [], POLL_SECONDS)[0]:
                numbers = os.read(self.signals, 99)
                if signal.SIGINT not in numbers:
                    return
                self._leave()
            with contextlib.suppress(Exception):  # of a store that is not there yet
                self._join()
            now = time.monotonic()
            if now - began > FIRST_SECONDS and (said == began or now - said > AGAIN_SECONDS):
                said = now
                self.line = self._missing()
                logger.warning("%s", self.line)

    def error(self) -> str:
        return (
            f"error: {self.line}; they have not joined in {LIMIT_SECONDS / 60:.2g} minutes: start these, or set "
            "distributed_training.distributed_world_size to the number of processes that are started"
        )

    def _of_a_taken_port(self) -> str:
        return (
            f"error: port {self.address[1]} of distributed_training.distributed_init_method is taken, by another run "
            "or by a second process with distributed_training.distributed_rank=0: choose another port, or the rank"
        )

    def _leave(self) -> None:
        if select.select([self.signals], [], [], POLL_SECONDS)[0] and not os.read(self.signals, 1):
            return  # the main thread has taken it
        print(self.interrupted, file=sys.stderr, flush=True)
        os._exit(130)

    def _join(self) -> None:
        if not self.has_joined:
            self._connect().add(f"{JOINED}/{self.rank}", 1)
            self.has_joined = True

    def _missing(self) -> str:
        here = f"process {self.rank} of {self.size} waits at tcp://{self.address[0]}:{self.address[1]}"
        counts: List[int] = []
        with contextlib.suppress(Exception):
            store = self._connect() if self.has_joined else None
            counts = [store.add(f"{JOINED}/{rank}", 0) for rank in range(self.size)] if store else []
        if not counts:
            return f"{here} for {'process 0, which is to listen there' if self.rank else 'the others'}"
        missing = [str(rank) for rank, count in enumerate(counts) if not count]
        twice = [str(rank) for rank, count in enumerate(counts) if count > 1]
        more = f"; distributed_training.distributed_rank={twice[0]} is given twice" if twice else ""
        return f"{here} for {', '.join(missing)}; {self.size - len(missing)} of {self.size} have joined{more}"

    def _connect(self) -> dist.Store:
        socket.create_connection(self.address, timeout=CONNECT_SECONDS).close()  # else torch prints pages
        limit = timedelta(seconds=CONNECT_SECONDS)
        return dist.TCPStore(*self.address, is_master=False, wait_for_workers=False, timeout=limit)
