"""The stage that probes what the frozen encoders know: letters, drinks, speakers."""

import json
import subprocess
from pathlib import Path
from typing import List

from runs import Run, verb

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.files import atomic_write
from fairseq_summarymixing.jobs import show, show_text
from fairseq_summarymixing.text_files import read_text

# Task, head, folder of manifests. Drinks: the mean over frames alone says little of a word in an order
PROBES = (("ctc", "linear", "one_hour"), ("classify", "statistics", "drinks"), ("verify", "xvector", "speakers"))


def probe(out: Path, runs: List[Run], device: str) -> None:
    """Probe those runs that are pre-trained, and those probed before, which a result holds with them: all are tested on
    the same resampled test sets. Hidden states and finished probes are kept in OUT/probes."""
    names = dict.fromkeys([*(run.name for run in runs), *probed_before(out / "results" / "probes")])
    checkpoints = {name: out / "results" / "pretraining" / f"{name}.pt" for name in names}
    checkpoints = {name: path for name, path in checkpoints.items() if path.exists()}
    if not checkpoints:
        raise UserError(f"there are no checkpoints in {out / 'results' / 'pretraining'}: run the stage pretrain first")
    for task, head, data in PROBES:
        if not (out / "data" / data / "test.tsv").exists():
            show_text(f"no {out / 'data' / data / 'test.tsv'}, so no probe {task}")
            continue
        command = verb("probe", task, *checkpoints.values(), "--names", ",".join(checkpoints), "--head", head)
        command += ["--data", str(out / "data" / data), "-o", str(out / "probes" / task)]
        command += ["--states", str(out / "probes" / "states"), "--device", device]
        show(command)
        if subprocess.run(command).returncode:
            raise UserError(f"the probe {task} failed; see above")
        for result in sorted((out / "probes" / task).glob("*/result.json")):
            for name, ending in (("bootstrap.tsv", ".tsv"), ("result.json", ".json")):
                with atomic_write((out / "results" / "probes" / result.parent.name).with_suffix(ending)) as file:
                    file.write(read_text(result.with_name(name)))


def probed_before(results: Path) -> List[str]:
    """Return the names of the runs in the results of probes."""
    found = [json.loads(read_text(path)) for path in sorted(results.glob("*.json"))]
    return [checkpoint["name"] for result in found for checkpoint in result["checkpoints"]]
