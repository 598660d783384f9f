"""Let several commands share one folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[IO | None]:
    """Keep the folder for this process, and for those that inherit the file that it gives; gives None where another
    process has it."""
    with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as lock:
        yield lock


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep the folder for this process, after any other process that has it."""
    with _locked(folder, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[IO | None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            yield None
            return
        except OSError:  # this file system has no locks
            pass
        yield file
