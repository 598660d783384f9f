"""The stage that measures what an update costs: each model alone, in turns."""

import asyncio
from pathlib import Path

from records import machine
from runs import MODELS, trainer

from fairseq_summarymixing.compare.curves import write_curves
from fairseq_summarymixing.compare.runs import read_run
from fairseq_summarymixing.jobs import Jobs

TURNS, UPDATES, LOGGED = 2, 60, 10


def measure(out: Path, args) -> None:
    """Train each model for a few updates, alone on the machine, twice in turns; keep the logs in OUT/results/costs."""
    models = [name for name in MODELS if name in args.only and not MODELS[name].updates]
    for turn in range(1, TURNS + 1):
        for name in models:
            curves = out / "results" / "costs" / f"{name}-{turn}.jsonl"
            if curves.exists():
                continue
            folder, model = out / "costs" / f"{name}-{turn}", MODELS[name]
            settings = [
                *model.overrides,
                f"task.data={out / 'data' / 'pretraining'}",
                f"optimization.max_update={UPDATES}",
                f"common.log_interval={LOGGED}",
                "dataset.disable_validation=true",
                "checkpoint.no_save=true",
                f"checkpoint.save_dir={folder / 'checkpoints'}",
            ]
            asyncio.run(train_alone(trainer(model.recipe, settings, args.device, args.precision), folder))
            write_curves(read_run(folder, f"{name}-{turn}"), curves, {**machine(args.device), "trainings_at_once": 1})


async def train_alone(command, folder: Path) -> None:
    jobs = Jobs(1)
    async with jobs.turn():
        await jobs.train(command, folder)
