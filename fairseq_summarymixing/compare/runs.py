"""Read run folders: the training's logs, its checkpoint, its decode results."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..checkpoints import Checkpoint
from ..errors import UserError
from ..input_files import no_folder
from ..text_files import read_text
from ..unique_names import unique_names
from .logs import read_logs
from .probe_results import is_probe
from .run import LARGEST, Run


def read_runs(folders: Sequence[str | Path], names: Sequence[str] | None = None) -> list[Run]:
    """Read every run folder; see :func:`read_run`.

    Raises:
        UserError: a folder is given twice, or there is not one name of its own for each.
    """
    return [read_run(folder, name) for folder, name in zip(folders, unique_names("run", folders, names))]


def read_run(folder: str | Path, name: str) -> Run:
    """Read ``folder/*.log``, the newest of its checkpoints and every decode's ``result.json`` below it.

    Raises:
        UserError: there is no such folder, no log in it, or no JSON line in the logs.
    """
    run = Run(name, Path(folder))
    if not run.folder.is_dir():
        raise UserError(f"{no_folder(folder)}; expected a run's, with the training's *.log")
    read_logs(run)
    _read_checkpoint(run)
    _read_decodes(run)
    for key, series, label in (("loss", run.train, "training"), ("loss", run.valid, "validation")):
        bad = [update for update in sorted(series) if not math.isfinite(series[update].get(key, 0.0))]
        if bad:
            run.notes.append(f"the {label} loss is not a number at {len(bad)} log lines, first at update {bad[0]}")
    return run


def _read_checkpoint(run: Run) -> None:
    candidates = [
        folder / name
        for folder in (run.folder / "checkpoints", run.folder)
        for name in ("checkpoint_last.pt", "checkpoint_best.pt")
        if (folder / name).is_file()
    ]
    for path in candidates:
        try:
            checkpoint = Checkpoint.read(path)
        except UserError as error:
            run.notes.append(f"checkpoint left out: {error}")
            continue
        run.model = checkpoint.fields
        run.inner_model = checkpoint.pretrained_fields or {}
        if run.parameters is None:
            run.parameters = sum(value.numel() for value in checkpoint.weights.values() if hasattr(value, "numel"))
        return


def _read_decodes(run: Run) -> None:
    for path in sorted(run.folder.glob("**/result.json")):
        try:
            result = json.loads(read_text(path))
            if is_probe(result):  # of several checkpoints: `compare --probes`
                continue
            if "wer" in result and result["wer"] is None:  # of a split without references
                continue
            result = {**result, **_rates(result)}
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            run.notes.append(f"{path.relative_to(run.folder)} is no decode result; left out")
            continue
        result["folder"] = path.parent.name
        run.decodes.append(result)


def _rates(result: dict[str, Any]) -> dict[str, Any]:
    """Return the error rates of a decode as numbers; raises an error of some kind where they are none."""
    rates = {"wer": float(result["wer"]), "wer_ci": [float(result["wer_ci"][0]), float(result["wer_ci"][1])]}
    if "cer" in result:
        rates["cer"] = float(result["cer"])
    if not all(0 <= rate <= LARGEST for rate in (rates["wer"], *rates["wer_ci"], rates.get("cer", 0))):
        raise ValueError("a rate is no rate")
    return rates
