"""Read what the stages have left in OUT/results."""

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from intervals import Estimate, estimate_of_draws
from runs import MODELS, SUMMARYMIXING

from fairseq_summarymixing.compare.curves import read_curves
from fairseq_summarymixing.compare.run import Run
from fairseq_summarymixing.downstream.error_rate import ErrorRate, character_errors, word_errors
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines, read_text

COUNTS = {"WER": word_errors, "CER": character_errors}


class Results:
    """The results of a study.

    Attributes:
        pretraining: by model, its runs by seed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pretraining: Dict[str, Dict[int, Run]] = {
            model: {
                split_name(path.stem, path)[1]: read_curves(path) for path in curves_of(folder / "pretraining", model)
            }
            for model in MODELS
        }
        if not any(self.pretraining.values()):
            raise UserError(f"there are no curves in {folder / 'pretraining'}: run the stage pretrain first")

    def errors(self, labelled: str, model: str, kind: str) -> Dict[int, ErrorRate]:
        """Return, by seed, the errors of each test utterance; nothing for what was not decoded."""
        found = {}
        for seed in self.pretraining[model]:
            folder = self.folder / labelled / f"{model}-{seed}-test"
            if (folder / "result.json").exists():
                texts = (read_lines(folder / f"{name}.wrd") for name in ("references", "hypotheses"))
                found[seed] = COUNTS[kind](*texts)
        return found

    def cost(self, model: str) -> Optional[Dict[str, Any]]:
        """Return seconds per update, measured apart, and the machine; None where they were not."""
        runs = [read_curves(path) for path in curves_of(self.folder / "costs", model)]
        if not runs:
            return None
        return {"seconds": float(np.mean([run.seconds_per_update for run in runs])), **runs[0].about}

    def seconds_per_update(self, model: str) -> Optional[float]:
        """Return the seconds measured apart; where no model's were, those of the trainings side by side.

        The two kinds are never compared: where other models alone were measured apart, the result is None.
        """
        if any((self.folder / "costs").glob("*.jsonl")):
            cost = self.cost(model)
            return cost["seconds"] if cost else None
        logged = [run.seconds_per_update for run in self.pretraining[model].values()]
        return float(np.mean(logged)) if logged else None

    def probes(self) -> List["Probe"]:
        """Return each figure of what was probed."""
        found = []
        for path in sorted((self.folder / "probes").glob("*.json")):
            result, draws = json.loads(read_text(path)), {}
            for figure, name, *values in map(lambda line: line.split("\t"), read_lines(path.with_suffix(".tsv"))):
                draws[figure, name] = [float(value) for value in values]
            found += [Probe(result, figure, draws, path) for figure in result["figures"]]
        return found


class Probe:
    """One figure of a probe of several checkpoints, in percent.

    Attributes:
        values: by model, of each seed of the pre-training.
        draws: the same on resampled test sets and seeds of probes, the same for all models.
    """

    def __init__(self, result: dict, figure: str, draws: Dict[tuple, List[float]], path: Path) -> None:
        self.title = f"{result['task']} ({result['head']}): {result['figures'][figure]['title']}"
        self.values: Dict[str, Dict[int, float]] = {}
        self.draws: Dict[str, Dict[int, Sequence[float]]] = {}
        for checkpoint in result["checkpoints"]:
            model, seed = split_name(checkpoint["name"], path)
            value = checkpoint["figures"][figure]["value"]
            self.values.setdefault(model, {})[seed] = np.nan if value is None else value
            self.draws.setdefault(model, {})[seed] = draws[figure, checkpoint["name"]]

    def estimate(self, model: str) -> Optional[Estimate]:
        """Return a model's figure, with its interval; None where it was not probed."""
        if model not in self.values:
            return None
        return estimate_of_draws(list(self.values[model].values()), list(self.draws[model].values()))

    def difference(self, first: str, second: str) -> Optional[Tuple[int, Estimate]]:
        """Return how many seeds both models have, and the first one's figure minus the second's, seed by seed."""
        seeds = sorted(self.values.get(first, {}).keys() & self.values.get(second, {}).keys())
        if not seeds:
            return None
        values = [self.values[first][seed] - self.values[second][seed] for seed in seeds]
        draws = [np.subtract(self.draws[first][seed], self.draws[second][seed]) for seed in seeds]
        return len(seeds), estimate_of_draws(values, draws)


def curves_of(folder: Path, model: str) -> List[Path]:
    return sorted(folder.glob(f"{model}-*.jsonl"))


def split_name(name: str, path: Path) -> Tuple[str, int]:
    """Return the model and the seed of a name in ``path``, such as ``summarymixing-1``; raises UserError for others."""
    model, _, seed = name.rpartition("-")
    if not (model and seed.isdecimal()):
        raise UserError(f"{path}: expected the name of a model and its seed, such as {SUMMARYMIXING}-1; found {name!r}")
    return model, int(seed)


def accuracy_at(runs: Dict[int, Run], updates: float) -> List[float]:
    """Return each run's accuracy on the validation set after so many updates, on the line between two validations;
    nothing for runs that end before, and for updates before the first validation."""
    curves = [run.values("accuracy", valid=True) for run in runs.values()]
    known = [(marks, values) for marks, values in curves if marks and marks[0] <= updates <= marks[-1]]
    return [float(np.interp(updates, marks, values)) for marks, values in known]
