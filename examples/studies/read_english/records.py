"""Keep what a training leaves behind as small files: its curves as text, and its parameters in half precision."""

import os
import re
from pathlib import Path
from typing import Any, Dict

import torch
from runs import HERE

from fairseq_summarymixing.bench.machine import processor_name
from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.compare.curves import write_curves
from fairseq_summarymixing.compare.run import PRETRAINING
from fairseq_summarymixing.compare.runs import read_run
from fairseq_summarymixing.downstream.devices import device_name
from fairseq_summarymixing.downstream.versions import versions
from fairseq_summarymixing.files import atomic_write

LAST = Path("checkpoints") / "checkpoint_last.pt"


def keep(run: Path, results: Path, name: str, device: str, jobs: int) -> None:
    """Write RESULTS/NAME.jsonl of a run folder, as far as it has trained, and of a pre-training RESULTS/NAME.pt."""
    curves, parameters = results / f"{name}.jsonl", results / f"{name}.pt"
    if not (run / LAST).exists() or (curves.exists() and curves.stat().st_mtime > (run / LAST).stat().st_mtime):
        return
    log = read_run(run, name)
    trained = Checkpoint.read(run / LAST).num_updates
    for series in (log.train, log.valid):  # what was done after the checkpoint is done again
        for update in [update for update in series if update > trained]:
            del series[update]
    about = {
        "description": f"{name} of examples/studies/read_english, {run.parent.name}: {trained:,} updates",
        "command": without_places((run / "command.txt").read_text(encoding="utf-8"), run.parent.parent),
        **machine(device),
        "trainings_at_once": jobs,
    }
    if log.kind == PRETRAINING:
        keep_parameters(run / LAST, parameters)
    write_curves(log, curves, about)


def keep_parameters(checkpoint: Path, target: Path) -> None:
    """Write a checkpoint without the optimizer's state, in fp16: a sixth of the bytes, values rounded by 0.05 %.

    Statistics of normalisation, which may be large or small, stay in fp32.
    """
    state = dict(Checkpoint.read(checkpoint).state)
    state.pop("last_optimizer_state", None)
    state["model"] = {
        name: value.half() if value.dtype == torch.float32 and "running_" not in name else value
        for name, value in state["model"].items()
    }
    with atomic_write(target, "wb") as file:
        torch.save(state, file)


def without_places(command: str, out: Path) -> str:
    """Return a training's command as it is given in the project's folder, with OUT for the study's."""
    command = command.replace(str(out), "OUT").replace(str(HERE), "examples/studies/read_english")
    command = re.sub(r"common\.user_dir=\S+", "common.user_dir=fairseq_summarymixing", command)
    return command.replace("-m fairseq_cli.hydra_train", "fairseq-hydra-train")


def machine(device: str) -> Dict[str, Any]:
    """Return what a figure's reader must know of the machine."""
    return {
        "device": device_name(torch.device(device)),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "versions": versions(),
    }
