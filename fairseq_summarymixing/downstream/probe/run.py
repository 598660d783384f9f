"""Run ``fairseq-summarymixing probe``: train probes of frozen encoders, choose, test, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...unique_names import unique_names
from ..devices import pick_device
from ..model_on_disk import read_model
from .classify import Classify
from .ctc import Ctc
from .grid import Grid, listed
from .hidden_states import LongForm
from .plot import draw_layer_weights
from .report import compile_result, write_result
from .splits import read_split, refuse_shared
from .study import Study
from .train import Settings
from .verify import Verify

TASKS = {"ctc": Ctc, "classify": Classify, "verify": Verify}
LABELS = {"ctc": "ltr", "classify": "cls", "verify": "cls"}


def probe(
    task: str,
    checkpoints: Sequence[str | Path],
    data: str | Path,
    out: str | Path,
    splits: Sequence[str] = ("train", "valid", "test"),
    labels: str | None = None,
    head: str | None = None,
    names: Sequence[str] | None = None,
    states: str | Path | None = None,
    grid: Grid | None = None,
    long_form: LongForm | None = None,
) -> dict[str, Any]:
    """Probe frozen encoders: train a weighted sum of their hidden states and a small head over it.

    A folder in ``out``, named after task, head, labels and training split, gets ``result.json``, ``result.md``,
    ``layer-weights.png``, every probe and its answers, and ``bootstrap.tsv``, from which intervals of means over
    checkpoints can be computed: for each figure and checkpoint a line with both names and the percentages on the
    resampled test sets. Probes of the same checkpoints, splits and settings that are there are not trained again.

    Args:
        task: one of :data:`TASKS`.
        checkpoints: pre-trained or fine-tuned, ours or stock ``wav2vec2``'s; or directories of Hugging Face.
        data: folder with SPLIT.tsv and SPLIT.<labels>.
        splits: to train on, to choose epochs and learning rates on, to test on.
        labels: ending of the label files; default: by task, :data:`LABELS`.
        head: one of the task's ``heads``; default: its first.
        names: of the checkpoints; default: as much of their paths as makes them differ.
        states: folder for hidden states; default: ``out/states``.

    Returns:
        What ``result.json`` holds, and ``out``, the folder that holds it.

    Raises:
        UserError: a checkpoint, the splits, the device or an argument cannot be used.
    """
    if task not in TASKS:
        raise UserError(f"`task` must be one of {', '.join(TASKS)}; got {task}")
    grid, long_form, kind = grid or Grid(), long_form or LongForm(), labels or LABELS[task]
    if len(splits) != 3:
        raise UserError(f"`splits` must be three: to train, choose and test on; got {listed(splits)}")
    device = pick_device(long_form.device)
    names = unique_names("checkpoint", checkpoints, names)
    read = [read_split(data, name, kind) for name in splits]
    refuse_shared(read)
    learns = TASKS[task](read[0])
    head = head or next(iter(learns.heads))
    if head not in learns.heads:
        raise UserError(f"`head` of {task} must be one of {', '.join(learns.heads)}; got {head}")
    study = Study(
        learns,
        [read[0], *map(learns.check, read[1:])],
        Settings(head, grid.hidden_size, grid.epochs),
        replace(grid, rates=grid.rates or learns.heads[head]),
        long_form,
        device,
        Path(states or Path(out) / "states"),
        Path(out) / _folder_name(task, head, kind, splits[0]),
    )
    probed = [study.probe_checkpoint(name, read_model(path)) for name, path in zip(names, checkpoints)]
    result, draws = compile_result(learns, probed, study.describe(task, kind, data))
    result["notes"] += draw_layer_weights(study.folder / "layer-weights.png", result)
    write_result(study.folder, result, draws)
    return {**result, "out": str(study.folder)}


def _folder_name(task: str, head: str, kind: str, train: str) -> str:
    """Return the name of a result's folder, where what is usual goes without saying: ctc-linear."""
    return "-".join([task, head] + [kind] * (kind != LABELS[task]) + [train] * (train != "train"))
