"""Run ``mp3s run``: the recipes over the exported checkpoints, run after run, each in a process of its own."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ...errors import UserError, counted
from . import buckeye
from .cells import LAYER_WEIGHTS, Cell, finished, run_cell
from .corpora import Count, look, read_corpora
from .encoders import Encoder, export, name_checkpoints
from .environment import HYPERPARAMETERS, benchmark_digest, find_benchmark, read_versions, runner
from .locks import claimed, one_at_a_time
from .recipes import BUCKEYE, arguments, choose

DEFAULT_SEEDS = (1986,)  # the recipes' own


def run(
    benchmarks: str | Path,
    corpora: str | Path,
    checkpoints: Sequence[str | Path],
    out: str | Path,
    tasks: Sequence[str] | None = None,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    device: str = "cpu",
    python: str = "python3",
    epochs: int | None = None,
    names: Sequence[str] | None = None,
) -> str:
    """Train and test the probes of each task on each checkpoint with each seed; what has a score is not run again.

    Args:
        benchmarks: a checkout of speechbrain/benchmarks.
        corpora: a YAML file; see :func:`.read_corpora`.
        checkpoints: of fairseq, or directories of Hugging Face.
        out: gets encoders/, corpora/ and runs/TASK/MODEL/seed-N/ with output.log and result.json.
        tasks: such as ``LibriSpeech`` or ``CommonVoice/LSTM/cy``; None = all.
        device: for SpeechBrain: cpu, cuda or cuda:N.
        python: of an environment with SpeechBrain and this package.
        epochs: in place of each recipe's; then scores are not the benchmark's.
        names: of the checkpoints, for folders and tables.

    Returns:
        A summary.

    Raises:
        UserError: something is missing, which is looked for before anything runs; or, at the end, a run failed.
    """
    if epochs is not None and epochs < 1:
        raise UserError(f"`epochs` must be 1 or more; got {epochs}")
    if os.sep in python:  # recipes run in folders of their own
        python = os.path.abspath(python)
    out, recipes, named = Path(out).absolute(), choose(tasks), name_checkpoints(checkpoints, names)
    benchmark, where = find_benchmark(benchmarks), read_corpora(corpora)
    counts = {recipe.corpus: look(recipe.corpus, where) for recipe in recipes.values()}
    versions = read_versions(python, {package for recipe in recipes.values() for package in recipe.packages})
    for name, found in counts.items():
        if not all(count.complete for count in found):
            _print(f"warning: {name} is not the whole corpus (mp3s check): the report will say so")
    encoders, prepared = [], out / "corpora" / BUCKEYE
    with one_at_a_time(out):
        for name, path in named.items():
            _print(f"encoder {name}: {path}")
            encoders.append(export(path, name, out / "encoders"))
        if BUCKEYE in counts:
            buckeye.prepare(where[BUCKEYE], prepared)
    digest = benchmark_digest(benchmark)
    plan = _Plan(out, benchmark, digest, where, counts, prepared, device, python, epochs, versions, list(named))
    cells = [
        (Cell(task, recipe, encoder.name, seed, speaker), encoder)
        for task, recipe in recipes.items()
        for seed in dict.fromkeys(seeds)
        for encoder in encoders
        for speaker in (recipe.speakers or (None,))
    ]
    return plan.run(cells)


@dataclass(frozen=True)
class _Plan:
    """What all runs of a command share."""

    out: Path
    benchmark: Path
    digest: str
    where: Mapping[str, Path]
    counts: Mapping[str, list[Count]]
    prepared: Path
    device: str
    python: str
    epochs: int | None
    versions: Mapping[str, str]
    names: Sequence[str]

    def run(self, cells: Sequence[tuple[Cell, Encoder]]) -> str:
        done = {cell: finished(cell.folder(self.out), self._settings(cell, encoder)) for cell, encoder in cells}
        kept, failed, elsewhere = sum(map(bool, done.values())), [], 0
        _print(f"{counted(len(cells), 'run')}, {kept} done before")
        for number, (cell, encoder) in enumerate(cells, start=1):
            if done[cell]:
                continue
            title, folder = f"[{number}/{len(cells)}] {cell}", cell.folder(self.out)
            with claimed(folder) as lock:
                if lock is None:
                    _print(f"{title}: another process is running it")
                    elsewhere += 1
                elif not finished(folder, self._settings(cell, encoder)):  # nor by another process meanwhile
                    failed += self._try(title, cell, encoder, folder, lock)
        if failed:
            raise UserError(
                f"{len(failed)} of {len(cells)} runs failed, such as {failed[0]}; the same command repeats them"
            )
        left = f", {elsewhere} are being run by other processes" if elsewhere else ""
        scored = f"{len(cells) - elsewhere} of {len(cells)} runs have a score{left}"
        return f"{scored}: fairseq-summarymixing mp3s report {self.out}"

    def _try(self, title: str, cell: Cell, encoder: Encoder, folder: Path, lock: IO) -> list[str]:
        """Run a cell and print how it ended; returns why it failed, or nothing."""
        _print(f"{title}: {folder}")
        command = self._command(cell, encoder, folder)
        about = {
            "place": self.names.index(cell.model),
            "versions": dict(self.versions),
            "device": self.device,
            "date": datetime.date.today().isoformat(),
            "corpus": [asdict(count) for count in self.counts[cell.recipe.corpus]],
        }
        try:
            result = run_cell(
                cell,
                folder,
                command,
                self.benchmark / cell.recipe.folder,
                self._settings(cell, encoder),
                about,
                lambda line: _print(f"  {line}"),
                lock,
            )
        except UserError as error:
            _print(f"{title}: FAILED, {error}")
            return [f"{cell}: {error}"]
        scores = ", ".join(f"{test} {cell.recipe.metric} {value:.2f} %" for test, value in result["scores"].items())
        _print(f"{title}: {scores} after {result['seconds']:.0f} s")
        return []

    def _command(self, cell: Cell, encoder: Encoder, folder: Path) -> list[str]:
        places = {
            "corpus": self.where[cell.recipe.corpus],
            "out": folder,
            "prepared": self.prepared,
            "states": encoder.states,
            "encoder": encoder.folder,
            "dim": encoder.dim,
            "seed": cell.seed,
            "speaker": cell.speaker,
        }
        weights = ["--layer-weights", str(folder / LAYER_WEIGHTS)]
        options = arguments(cell.recipe, places, self.epochs)
        return [
            *runner(self.python, encoder.normalise),
            *weights,
            "train.py",
            HYPERPARAMETERS,
            *options,
            f"--device={self.device}",
        ]

    def _settings(self, cell: Cell, encoder: Encoder) -> dict[str, Any]:
        """Return what makes two runs the same, wherever they lie."""
        return {
            "options": list(cell.recipe.options),
            "epochs": self.epochs,
            "encoder": encoder.digest,
            "normalised": encoder.normalise,
            "benchmark": self.digest,
            "corpus": [[count.what, count.found] for count in self.counts[cell.recipe.corpus]],
        }


def _print(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
