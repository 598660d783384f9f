"""Run commands side by side, a limited number at a time; each is shown and watched.

An error of a command, or Ctrl-C, ends the others: ``asyncio.run`` cancels what still runs, and a
cancelled command is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from .errors import UserError

SHOWN_LINES_OF_A_FAILURE = 15
SECONDS_BETWEEN_LINES = 30.0  # of a training's progress, in a file
# of glibc, which else takes each block above 32 MB from the system anew
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}


def show_text(text: str) -> None:
    """Print above the bars, before what the next command prints."""
    tqdm.write(text)
    sys.stdout.flush()


def shown(command: list[str]) -> str:
    return " ".join(map(shlex.quote, [Path(command[0]).name, *command[1:]]))


def show(command: list[str]) -> None:
    show_text(f"\n$ {shown(command)}")


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Jobs:
    """A runner of commands. Made inside ``asyncio.run``.

    Args:
        count: jobs that may run at once.

    Attributes:
        environment: of the commands; the jobs that run at once share the cores, and keep the memory that they free.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        threads = str(max(1, count_cores() // count))
        self.environment = {"OMP_NUM_THREADS": threads, **KEEP_FREED_MEMORY, **os.environ}

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until a job may start, first come, first served. After an error none may."""
        await self._free.acquire()
        yield
        self._free.release()

    async def train(self, command: list[str], run: Path) -> None:
        """Train into the folder ``run``; a run that is complete is left alone, a partial run goes on.

        Raises:
            UserError: the folder holds a run of another command, another training runs in it, or this one failed.
        """
        line, started, finished = " ".join(map(shlex.quote, command[1:])), run / "command.txt", run / "done"
        if started.exists() and started.read_text(encoding="utf-8") != line:
            raise UserError(f"{run} holds a run with other settings: delete it, or train into another folder")
        show(command)
        if finished.exists():
            show_text(f"{run} is complete")
            return
        run.mkdir(parents=True, exist_ok=True)
        started.write_text(line, encoding="utf-8")
        await self._train(command, run)
        finished.touch()

    async def _train(self, command: list[str], run: Path) -> None:
        """Run a trainer, with a progress bar; its whole output goes to ``output.log``.

        The trainer inherits a lock on the log, so that no second trainer joins one that outlived its driver.
        """
        log_path, name = run / "output.log", f"{run.parent.name}/{run.name}"
        with open(log_path, "a", encoding="utf-8", buffering=1) as log, Progress(name) as progress:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(f"another training still runs in {run}: wait for it, or stop it") from error

            def keep(line: str) -> None:
                log.write(line)
                progress.read(line)

            status, lines = await self._follow(command, keep, pass_fds=[log.fileno()])
        if status:
            raise UserError(f"{name} failed; its output is in {log_path} and ends:", _end(lines))
        show_text(progress.summary())

    async def output(self, command: list[str], **environment: str) -> str:
        """Return what a command prints. Raises UserError where the command fails."""
        status, lines = await self._follow(command, lambda line: None, env={**self.environment, **environment})
        if status:
            raise UserError(f"{shown(command)} failed; its output ends:", _end(lines))
        return "".join(lines).rstrip("\n")

    async def _follow(self, command: list[str], on_line: Callable[[str], None], **options) -> tuple[int, list[str]]:
        """Run a command to its end. Returns its status and its lines, with each of which ``on_line`` is called.

        A thread reads: asyncio's own subprocesses wait for ever where they are cancelled while they start.
        """
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
        process = subprocess.Popen(command, **{"env": self.environment, **pipe, **options})
        lines: list[str] = []

        def read() -> int:
            with process.stdout:
                for line in process.stdout:  # to the end of the last process that the command started
                    lines.append(line)
                    on_line(line)
            return process.wait()

        own_thread = ThreadPoolExecutor(1)  # asyncio's own pool holds as many as there are cores, and a few
        reading = asyncio.get_running_loop().run_in_executor(own_thread, read)
        try:
            return await asyncio.shield(reading), lines
        except BaseException:
            process.terminate()
            while not reading.done():
                with contextlib.suppress(asyncio.CancelledError):  # again, by each that waits for this command
                    await asyncio.wait([reading])
            raise


def _end(lines: list[str]) -> str:
    """Return what to show of a failure."""
    return "".join([line for line in lines if line.startswith("error: ")] or lines[-SHOWN_LINES_OF_A_FAILURE:]).rstrip()


class Progress:
    """A display of where a training stands, by what it logs: a bar in a terminal, lines in a file."""

    def __init__(self, name: str) -> None:
        self.name, self.state = name, ""
        self.total = 0
        self.begun = self.printed = time.monotonic()
        width = shutil.get_terminal_size().columns - len("^C")
        self.bar = tqdm(desc=name, unit="update", file=sys.stdout, leave=False, ncols=width, disable=None)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        is_terminal = not self.bar.disable
        self.bar.close()
        if is_terminal:
            print("\r", end="", flush=True)  # a bar below another leaves the cursor where it ended

    def read(self, line: str) -> None:
        """Take a line of the log."""
        total = re.search(r"'max_update': (\d+)", line)
        if total and not self.total:  # fine-tuning also logs the configuration of the model that it starts from
            self.total = self.bar.total = int(total[1])
        found = re.search(r"\[(train_inner|valid)\]\[INFO\] - (\{.*\})", line)
        if not found:
            return
        figures = json.loads(found[2])
        shown = [key for key in ("loss", "accuracy", "valid_accuracy", "valid_uer") if key in figures]
        state = ", ".join(f"{key} {figures[key]}" for key in shown)
        updates = int(figures.get("num_updates", figures.get("valid_num_updates", self.bar.n)))
        self.state = f"{self.name}: {updates} of {self.total} updates, {state}"
        self.bar.n = updates
        self.bar.set_postfix_str(state)
        if self.bar.disable and time.monotonic() - self.printed > SECONDS_BETWEEN_LINES:
            self.printed = time.monotonic()
            show_text(self.state)

    def summary(self) -> str:
        return f"{self.state or self.name}, in {(time.monotonic() - self.begun) / 60:.1f} minutes"
