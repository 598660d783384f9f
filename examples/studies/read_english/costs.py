"""The stage that measures what an update costs: each model alone, in turns."""

import asyncio
from pathlib import Path

from prepare import pretraining_data
from records import machine, without_places
from runs import MODELS, trainer

from fairseq_summarymixing.compare.curves import write_curves
from fairseq_summarymixing.compare.runs import read_run
from fairseq_summarymixing.jobs import Jobs, count_cores

TURNS = 2


def measure(out: Path, args) -> None:
    """Train each model for a few updates, alone on the machine, twice in turns; keep the logs in OUT/results/costs."""
    models = [name for name in MODELS if name in args.only and MODELS[name].is_trained]
    for name in [f"{model}-{turn}" for turn in range(1, TURNS + 1) for model in models]:
        if not (out / "results" / "costs" / f"{name}.jsonl").exists():
            asyncio.run(measure_one(name, out, args))


async def measure_one(name: str, out: Path, args) -> None:
    """Train in one thread, as where there is a training for each core."""
    folder, model = out / "costs" / name, MODELS[name.rsplit("-", 1)[0]]
    settings = [
        *model.overrides,
        f"task.data={pretraining_data(out)}",
        f"optimization.max_update={args.cost_updates}",
        f"common.log_interval={max(1, args.cost_updates // 6)}",
        "dataset.disable_validation=true",
        "checkpoint.no_save=true",
        f"checkpoint.save_dir={folder / 'checkpoints'}",
    ]
    await Jobs(count_cores()).train(trainer(model.recipe, settings, args.device, args.precision), folder)
    about = {
        "description": f"{name} of examples/studies/read_english, costs: the first {args.cost_updates} updates, alone",
        "command": without_places((folder / "command.txt").read_text(encoding="utf-8"), out),
        **machine(args.device),
        "trainings_at_once": 1,
    }
    write_curves(read_run(folder, name), out / "results" / "costs" / f"{name}.jsonl", about)
