"""Read a fairseq run folder: the training's logs, its checkpoint, its decode results."""

from __future__ import annotations

import contextlib
import json
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..checkpoints import Checkpoint
from ..checkpoints.names import FINETUNED_PREFIX, STOCK_MODEL
from ..errors import UserError
from ..input_files import check_file
from ..text_files import read_text
from .probe_results import is_probe

PRETRAINING, FINETUNING = "pre-training", "fine-tuning"
NOT_WAV2VEC2 = ("conformer", "log_mel")  # layers and front end to be named beside the mixer

# The first key of every JSON line that fairseq logs; hydra's log has time and name before it, log_file not.
RECORD = re.compile(r'\{"epoch": .*')
PARAMETERS = re.compile(r"num\. shared model params: (\d[\d,]{0,20})(?![\d,])")
TOTAL_MEMORY = re.compile(r"total memory = (\d{1,9}(?:\.\d{1,9})?) GB")
# fairseq logs its whole configuration as a Python dict that holds enums, which nothing reads back.
LOGGED_MODEL = re.compile(r"'model': \{'_name': '(\w+)'")
LOGGED_FIELDS = {
    "mixer": re.compile(r"'mixer': '?(\w+)'?"),
    "encoder_layer": re.compile(r"'encoder_layer': '(\w+)'"),
    "frontend": re.compile(r"'frontend': '(\w+)'"),
    "num_negatives": re.compile(r"'num_negatives': (\d{1,9})\b"),
}

# Beyond, a value is no loss, rate or size, and no axis can show it
LARGEST = 1e30
MOST_UPDATES = 10**12
# Keys in logs of earlier versions, and their names now
FORMER_KEYS = {"saved_mb_per_second": "activation_mb_per_audio_second"}

Series = dict[int, dict[str, float]]


@dataclass
class Run:
    """One training run, as its folder describes it.

    Attributes:
        name: for tables and legends.
        train: fairseq's running averages, by update: loss, accuracy, ups...
        valid: the same keys on the validation set, by update.
        valid_subset: which validation set that is.
        model: fields of the model's configuration as far as known; ``_name`` is fairseq's name.
        inner_model: of a fine-tuned model, the fields of the pre-trained model inside; else empty.
        parameters: trainable or not, quantizer and projections included; None if unknown.
        total_memory_gb: of the GPU, in units of 2^30 bytes as fairseq logs it; None on CPU.
        decodes: ``result.json`` of every decode below the folder.
        notes: what a reader of the numbers should know.
        about: of curves that were kept as text, the line that describes them.
    """

    name: str
    folder: Path
    train: Series = field(default_factory=dict)
    valid: Series = field(default_factory=dict)
    valid_subset: str = "valid"
    model: dict[str, Any] = field(default_factory=dict)
    inner_model: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    total_memory_gb: float | None = None
    decodes: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def is_reference(self) -> bool:
        """Whether the run is there to be compared with alone."""
        return bool(self.about)

    @property
    def kind(self) -> str:
        """The kind of training by the model's name, and where that is unknown by what was logged."""
        if self.kind_by_name is not None:
            return self.kind_by_name
        keys = {key for series in (self.train, self.valid) for record in series.values() for key in record}
        return PRETRAINING if keys & {"code_perplexity", "accuracy", "prob_perplexity"} else FINETUNING

    @property
    def kind_by_name(self) -> str | None:
        name = str(self.model.get("_name") or "")
        if name.startswith(STOCK_MODEL):
            return PRETRAINING
        return FINETUNING if name.startswith(FINETUNED_PREFIX) else None

    @property
    def architecture(self) -> str:
        """The model and mixer, as in ``wav2vec2_summarymixing / summary_mixing``; conformer and log_mel where it is
        so."""
        fields = self.inner_model or self.model
        parts = [str(fields.get("_name") or "unknown")]
        if fields.get("mixer"):
            parts.append(str(fields["mixer"]))
        elif parts[0] == STOCK_MODEL:
            parts.append("self_attention")
        parts += [value for value in (fields.get("encoder_layer"), fields.get("frontend")) if value in NOT_WAV2VEC2]
        return " / ".join(parts)

    @property
    def updates(self) -> int:
        return max([*self.train, *self.valid], default=0)

    @property
    def chance_accuracy(self) -> float | None:
        """The accuracy of picking the target among the negatives at random; None if their number is unknown."""
        negatives = str(self.model.get("num_negatives"))
        return 1 / (1 + int(negatives)) if negatives.isdecimal() and self.kind == PRETRAINING else None

    def values(self, key: str, valid: bool = False) -> tuple[list[int], list[float]]:
        """Return (updates, values) of what was logged as ``key``, in order of updates; NaN values stay."""
        series = self.valid if valid else self.train
        points = [(update, series[update][key]) for update in sorted(series) if key in series[update]]
        return [update for update, _ in points], [value for _, value in points]

    def last(self, key: str, valid: bool = False) -> float | None:
        values = self.values(key, valid)[1]
        return values[-1] if values else None

    def updates_per_second(self) -> tuple[list[int], list[float]]:
        """Return (updates, updates per second), the latter averaged between two log lines."""
        updates, rates = [], []
        for update in sorted(self.train):
            record = self.train[update]
            rate = record.get("ups", math.nan)
            # fairseq prints ups with two decimals; words per second over words per batch has more.
            if rate < 1 and record.get("wps", 0) > 0 and record.get("wpb", 0) > 0:
                rate = record["wps"] / record["wpb"]
            if rate > 0 and math.isfinite(rate):
                updates.append(update)
                rates.append(rate)
        return updates, rates

    @property
    def seconds_per_update(self) -> float | None:
        """The median over the log lines, without the first, which holds the start of the data loader."""
        rates = self.updates_per_second()[1]
        return statistics.median(1 / rate for rate in rates[1:] or rates) if rates else None

    @property
    def activation_mb_per_audio_second(self) -> float | None:
        """The activation memory of a batch: 10^6 bytes stored for the backward pass, per second of audio
        (less is better); None if not logged."""
        return self.last("activation_mb_per_audio_second")

    @property
    def peak_memory_gb(self) -> float | None:
        """The most memory in any update (10^9 bytes): of one GPU; on CPU of the process, if logged."""
        logged = [value for value in self.values("peak_memory_gb")[1] if math.isfinite(value)]
        if logged:
            return max(logged)
        free = [value for value in self.values("gb_free")[1] if math.isfinite(value)]
        # fairseq's own numbers are in units of 2^30 bytes
        return (self.total_memory_gb - min(free)) * 2**30 / 1e9 if free and self.total_memory_gb else None


def read_runs(folders: Sequence[str | Path], names: Sequence[str] | None = None) -> list[Run]:
    """Read every run folder; see :func:`read_run`.

    Raises:
        UserError: the number of names is not the number of folders, a name or a folder is there twice.
    """
    paths = [Path(folder) for folder in folders]
    resolved = [path.resolve() for path in paths]
    twice = [str(path) for index, path in enumerate(paths) if resolved[index] in resolved[:index]]
    if twice:
        raise UserError(f"the run {twice[0]} is given twice")
    if names is None:
        names = unique_names(resolved)
    if len(names) != len(paths):
        raise UserError(f"`names`: expected {len(paths)} names, one per run, separated by commas; found {len(names)}")
    names = [name.strip() for name in names]
    for name in names:
        if not name or names.count(name) > 1:
            raise UserError(f"`names`: every run needs a name of its own; found {name!r} {names.count(name)} times")
    return [read_run(path, name) for path, name in zip(paths, names)]


def unique_names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' last names, with as many of their parents' as make them differ."""
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def read_run(folder: str | Path, name: str) -> Run:
    """Read ``folder/*.log``, the newest of its checkpoints and every decode's ``result.json`` below it.

    Raises:
        UserError: there is no such folder, no log in it, or no JSON line in the logs.
    """
    run = Run(name, Path(folder))
    if not run.folder.is_dir():
        raise UserError(f"there is no run folder {folder}")
    _read_logs(run)
    _read_checkpoint(run)
    _read_decodes(run)
    for key, series, label in (("loss", run.train, "training"), ("loss", run.valid, "validation")):
        bad = [update for update in sorted(series) if not math.isfinite(series[update].get(key, 0.0))]
        if bad:
            run.notes.append(f"the {label} loss is not a number at {len(bad)} log lines, first at update {bad[0]}")
    return run


def _read_logs(run: Run) -> None:
    found = [path for path in run.folder.glob("*.log") if path.is_file()]
    logs = sorted(found, key=lambda path: (path.stat().st_mtime, path.name))
    if not logs:
        below = sorted(str(path.relative_to(run.folder)) for path in run.folder.glob("*/**/*.log"))[:3]
        hint = f"; there are {', '.join(below)}: name that folder" if below else ""
        raise UserError(
            f"{run.folder} has no *.log file; write the training's log there, with 2>&1 | tee -a "
            f"{run.folder}/train.log or common.log_file={run.folder}/train.log{hint}"
        )
    inner: Series = {}
    epochs: Series = {}
    subsets: dict[str, Series] = {}
    for log in logs:
        found = _read_log(run, log)
        inner.update(found.pop("", {}))
        epochs.update(found.pop("train", {}))
        for subset, series in found.items():
            subsets.setdefault(subset, {}).update(series)
    run.train = inner or epochs
    if subsets:
        run.valid_subset = "valid" if "valid" in subsets else next(iter(subsets))
        run.valid = subsets[run.valid_subset]
        if len(subsets) > 1:
            run.notes.append(f"validation values are of {run.valid_subset}; logged too: {', '.join(sorted(subsets))}")
    if not run.train and not run.valid:
        listed = ", ".join(log.name for log in logs)
        raise UserError(f"{run.folder}: no JSON lines in {listed}; train with common.log_format=json")
    if not inner:
        run.notes.append("only end-of-epoch values were logged; set common.log_interval lower for more")


def _read_log(run: Run, log: Path) -> dict[str, Series]:
    """Return records by their kind: "" for the running averages, else "train" or the validation subset."""
    kinds: dict[str, Series] = {}
    broken = 0
    resumed = []
    with _opened(log) as file:
        for line in file:
            match = RECORD.search(line)
            if match is None:
                _read_heading(run, line)
                continue
            try:
                kind, update, record = _parse(json.loads(match[0]))
            except (ValueError, LookupError, RecursionError):
                broken += 1
                continue
            series = kinds.setdefault(kind, {})
            if series and update < next(reversed(series)):
                # The run went back to a checkpoint; what it had done after that is gone from the model.
                for later in [number for number in series if number >= update]:
                    del series[later]
                if kind == "":
                    resumed.append(update)
            series[update] = record
    if broken:
        run.notes.append(f"{log.name}: {broken} unreadable line{'s' * (broken > 1)} left out (a line cut short?)")
    if resumed:
        run.notes.append(f"{log.name}: went back to update {', '.join(map(str, resumed[:5]))} after a restart")
    return kinds


def _opened(log: Path) -> IO[str]:
    check_file(log)
    try:
        return open(log, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"cannot read {log}: {error.strerror}") from error


def _parse(raw: dict[str, Any]) -> tuple[str, int, dict[str, float]]:
    """Return (kind, update, values) of one JSON line; raises KeyError if the line does not name its update, and
    ValueError if that is no number of updates."""
    if "num_updates" in raw:
        kind, prefix = "", ""
    else:
        key = next((key for key in raw if key.endswith("_num_updates")), None)
        if key is None:
            raise KeyError("num_updates")
        kind = key[: -len("_num_updates")]
        prefix = f"{kind}_"
    values = {}
    for key, value in raw.items():
        if key.startswith(prefix):
            name = key[len(prefix) :]
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                number = float(value)
                values[FORMER_KEYS.get(name, name)] = number if abs(number) <= LARGEST else math.nan
    if not 0 <= values["num_updates"] <= MOST_UPDATES:
        raise ValueError(f"no number of updates: {values['num_updates']}")
    return kind, int(values["num_updates"]), values


def _read_heading(run: Run, line: str) -> None:
    """Take what fairseq logs before training: model, size, GPU."""
    if (found := PARAMETERS.search(line)) is not None:
        run.parameters = int(found[1].replace(",", ""))
    elif (found := TOTAL_MEMORY.search(line)) is not None:
        run.total_memory_gb = float(found[1])
    elif (found := LOGGED_MODEL.search(line)) is not None:
        fields = {"_name": found[1]}
        for name, pattern in LOGGED_FIELDS.items():
            if (value := pattern.search(line, found.end())) is not None:
                fields[name] = value[1]
        # Fine-tuning logs its own configuration and then that of the model it starts from.
        if run.kind_by_name == FINETUNING and not found[1].startswith(FINETUNED_PREFIX):
            run.inner_model = fields
        else:
            run.model = fields


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
