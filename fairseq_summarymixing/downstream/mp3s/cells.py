"""One run of one recipe: its folder, its process, its log, its result."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...errors import UserError
from ...files import atomic_write
from ...json_files import read_json
from ...text_files import read_text
from .recipes import Recipe
from .score import TRAIN_LOG, forget_scores, read_scores

RESULT, SETTINGS, OUTPUT, LAYER_WEIGHTS = "result.json", "settings.json", "output.log", "layer_weights.json"
POLL_SECONDS, GRACE_SECONDS = 0.5, 10


@dataclass(frozen=True)
class Cell:
    """A run: a task with one encoder, one seed and, for IEMOCAP, one test speaker."""

    task: str
    recipe: Recipe
    model: str
    seed: int
    speaker: int | None = None

    def folder(self, out: Path) -> Path:
        last = f"seed-{self.seed}" + (f"-speaker-{self.speaker}" if self.speaker is not None else "")
        return out / "runs" / self.task.replace("/", "-") / self.model / last

    def __str__(self) -> str:
        speaker = f", test speaker {self.speaker}" if self.speaker is not None else ""
        return f"{self.task}, {self.model}, seed {self.seed}{speaker}"


def finished(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the result of a run that ended with a score, or None.

    Raises:
        UserError: the folder holds a run of other settings, which would be mixed up with this one.
    """
    for name in (RESULT, SETTINGS):
        if not (folder / name).exists():
            continue
        try:
            content = read_json(folder / name)
        except UserError as error:
            raise UserError(f"{str(error).partition(';')[0]}; remove {folder}, and run it again") from error
        before = content.get("settings") if name == RESULT else content
        if not isinstance(before, dict):
            raise UserError(f"{folder / name} holds no settings, so it is damaged; remove {folder}, and run it again")
        changed = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        if changed:
            raise UserError(
                f"{folder} was run with another {', '.join(changed)}: choose another `out`, or remove that folder"
            )
        if name == RESULT:
            return content
    return None


def run_cell(
    cell: Cell,
    folder: Path,
    command: Sequence[str],
    where: Path,
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    report: Callable[[str], None],
    lock: IO,
) -> dict[str, Any]:
    """Run a recipe to its score and write result.json; a run that was interrupted goes on at its last checkpoint.

    Args:
        command: which writes into ``folder``, run in the folder ``where``.
        settings: that make this run the same as another.
        about: what else result.json is to hold.
        report: is called with each line that the recipe adds to its log of epochs.
        lock: file that claims the folder; the recipe inherits it, since it goes on if this process is killed.

    Raises:
        UserError: the process failed, or ended without a score. output.log holds what it printed.
    """
    forget_scores(folder)
    (folder / LAYER_WEIGHTS).unlink(missing_ok=True)
    with atomic_write(folder / SETTINGS) as file:
        json.dump(settings, file, indent=1)
    begin = time.monotonic()
    with open(folder / OUTPUT, "ab") as log:
        status = _run(command, where, log, _Follower(folder / TRAIN_LOG, report), lock)
    if status:
        raise UserError(f"it ended with status {status}: {_last_line(folder / OUTPUT)}; see {folder / OUTPUT}")
    try:
        scores = read_scores(folder, cell.recipe)
        weights = json.loads(read_text(folder / LAYER_WEIGHTS))
    except ValueError as error:
        raise UserError(
            f"it ended with status 0, but {error}; its last line: {_last_line(folder / OUTPUT)}; see {folder / OUTPUT}"
        ) from error
    of_cell = {"task": cell.task, "model": cell.model, "seed": cell.seed, "speaker": cell.speaker}
    result = {**of_cell, "scores": scores, "layer_weights": weights, "seconds": round(time.monotonic() - begin, 1)}
    result.update(about, settings=settings)
    with atomic_write(folder / RESULT) as file:
        json.dump(result, file, indent=1)
    return result


def _run(command: Sequence[str], where: Path, log: IO, follow: Callable[[], None], lock: IO) -> int:
    # No .pyc beside the benchmark's scripts, and no package of this environment in SpeechBrain's
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    process = subprocess.Popen(
        command,
        cwd=where,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
        pass_fds=[lock.fileno()],
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            follow()
    finally:
        _end(process)
    return process.returncode


def _end(process: subprocess.Popen) -> None:
    """End the process and its workers, whether this one was interrupted or workers have outlived it."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


class _Follower:
    """Reports the lines that are added to a file."""

    def __init__(self, path: Path, report: Callable[[str], None]):
        self.path, self.report = path, report
        self.read = path.stat().st_size if path.is_file() else 0

    def __call__(self) -> None:
        if not self.path.is_file():
            return
        with open(self.path, "rb") as file:
            file.seek(self.read)
            *lines, rest = file.read().split(b"\n")
            self.read = file.tell() - len(rest)
        for line in lines:
            self.report(line.decode("utf-8", "replace"))


def _last_line(path: Path) -> str:
    with open(path, "rb") as file:  # progress bars make it long
        file.seek(max(0, path.stat().st_size - 4096))
        text = file.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
