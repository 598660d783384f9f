"""The stages that train: pre-train every run, fine-tune each on one hour and on ten minutes, and decode."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Awaitable, Iterable, List

from prepare import pretraining_data
from runs import MODELS, Run, trainer, verb

from fairseq_summarymixing.compat import quiet_fairseq
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.jobs import Jobs, show, show_text

FINETUNINGS = {"one_hour": "hour_updates", "ten_minutes": "minutes_updates"}  # options


class Trainings:
    """The trainings of a study in the folder ``out``.

    Args:
        args: the options of run.py.
    """

    def __init__(self, out: Path, args) -> None:
        self.out, self.args = out, args
        self.data, self.results = out / "data", out / "results"
        self.ends = time.monotonic() + 60 * args.minutes if args.minutes else None

    def run(self, stage: str, runs: List[Run]) -> bool:
        """Run ``pretrain`` or ``finetune``. Returns whether there was time for all of it."""

        async def work() -> bool:
            self.jobs, self.free = Jobs(self.args.jobs), asyncio.Semaphore(self.args.jobs)
            return await self.until_the_end(getattr(self, stage)(run) for run in runs)

        return asyncio.run(work())

    async def until_the_end(self, work: Iterable[Awaitable]) -> bool:
        """Await all, and after so many minutes stop what is not done. Returns whether all was done.

        Raises:
            UserError: one failed; the others have gone on.
        """
        tasks = [asyncio.ensure_future(each) for each in work]
        seconds = None if self.ends is None else max(0.0, self.ends - time.monotonic())
        try:
            await asyncio.wait(tasks, timeout=seconds)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        stopped = [task for task in tasks if task.cancelled()]
        for task in tasks:
            if task not in stopped:
                task.result()  # of several errors, the first
        if stopped:
            show_text(f"\nstopped after {self.args.minutes:g} minutes: run the same command again to go on")
        return not stopped

    async def pretrain(self, run: Run) -> None:
        """Pre-train a run and keep its results; results that were brought here without their run are left alone."""
        folder, model = self.out / "pretraining" / run.name, MODELS[run.model]
        if self.is_kept(run) and not folder.exists():
            self.check_whole(run)
            show_text(f"{self.checkpoint(run)} is there")
            return
        settings = [
            *model.overrides,
            f"task.data={pretraining_data(self.out)}",
            f"common.seed={run.seed}",
            f"optimization.max_update={self.updates(run)}",
        ]
        async with self.free:
            await self.train(model.recipe, folder, settings, self.results / "pretraining", run.name)

    async def finetune(self, run: Run) -> None:
        """Fine-tune a run on each labelled set that is there, decode the test set, and keep the results."""
        if not self.is_kept(run):
            raise UserError(f"there is no {self.checkpoint(run)}: run the stage pretrain first, or bring it here")
        labelled = [name for name in FINETUNINGS if (self.data / name / "train.ltr").exists()]
        if not labelled:
            raise UserError(f"there are no transcripts in {self.data}: run the stage prepare first")
        self.check_whole(run)
        ended = await asyncio.gather(*(self.finetune_on(name, run) for name in labelled), return_exceptions=True)
        for error in filter(None, ended):
            raise error

    def check_whole(self, run: Run) -> None:
        """Raise a UserError where a run was not pre-trained for as many updates as the options say."""
        from fairseq_summarymixing.checkpoints import Checkpoint  # torch, which takes a while

        path, expected = self.checkpoint(run), self.updates(run)
        found = Checkpoint.read(path).num_updates
        if found != expected:
            folder = self.out / "pretraining" / run.name
            raise UserError(
                f"{path} has {found} updates, not {expected}: give --updates, or go on with the run {folder}"
            )

    async def finetune_on(self, labelled: str, run: Run) -> None:
        """Fine-tune on a labelled set and decode; results that were brought here without their run are left alone."""
        folder, data = self.out / labelled / run.name, self.data / labelled
        out, best = self.results / labelled / f"{run.name}-test", folder / "checkpoints" / "checkpoint_best.pt"
        if (out / "result.json").exists() and not folder.exists():
            show_text(f"{out} is there")
            return
        settings = [
            f"task.data={data}",
            f"model.w2v_path={self.checkpoint(run)}",
            f"common.seed={run.seed}",
            f"optimization.max_update={getattr(self.args, FINETUNINGS[labelled])}",
        ]
        async with self.free:  # decoded before the next training begins
            await self.train("finetuning", folder, settings, self.results / labelled, run.name)
            if (data / "test.ltr").exists() and not is_newer(out / "result.json", best):
                on = ["--data", data, "--split", "test", "--device", self.args.device]
                command = verb("decode", best, *on, "--out", out)
                show(command)
                show_text(await self.jobs.output(command))

    def updates(self, run: Run) -> int:
        """Return how long a run is pre-trained; random weights are what one update with the rate 0 leaves."""
        return self.args.updates if MODELS[run.model].is_trained else 1

    def checkpoint(self, run: Run) -> Path:
        """Return the parameters that pre-training has left, and fine-tuning and probes begin with."""
        return self.results / "pretraining" / f"{run.name}.pt"

    def is_kept(self, run: Run) -> bool:
        return self.checkpoint(run).exists()

    async def train(self, recipe: str, folder: Path, settings: List[str], results: Path, name: str) -> None:
        """Train, and keep what there is when the training ends or is stopped."""
        settings = [*settings, f"checkpoint.save_dir={folder / 'checkpoints'}"]
        try:
            await self.jobs.train(trainer(recipe, settings, self.args.device, self.args.precision), folder)
        except UserError as error:
            show_text(f"error: {error}")  # now, for the others go on
            with contextlib.suppress(UserError):  # it may have failed before its first log line
                self.keep(folder, results, name)
            raise
        except asyncio.CancelledError:
            self.keep(folder, results, name)
            raise
        self.keep(folder, results, name)

    def keep(self, folder: Path, results: Path, name: str) -> None:
        with quiet_fairseq():
            from records import keep  # torch and fairseq, which take a while

            keep(folder, results, name, self.args.device, self.args.jobs)


def is_newer(path: Path, other: Path) -> bool:
    """Return whether a file is there and was written after the other one."""
    return path.exists() and path.stat().st_mtime > other.stat().st_mtime
