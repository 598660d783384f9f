"""Find the score of a recipe's run, which each kind of task writes to another place."""

from __future__ import annotations

import math
import re
from pathlib import Path

from ...errors import UserError
from ...files import atomic_write
from ...text_files import read_lines
from .recipes import ACCURACY, EER, WER, Recipe

NUMBER = r"(?P<value>nan|inf|[-+\d.e]+)"
# At the head of a test set's error file, before the same of each utterance; train_log.txt rounds it to three digits
WORD_ERRORS = re.compile(rf"^%WER {NUMBER} \[ \d+ / (?P<words>\d+),")
ERROR_RATE = re.compile(rf"\btest error_rate: {NUMBER}")  # a fraction, in train_log.txt
EQUAL_ERROR_RATE = re.compile(rf"\bEER\(%\)={NUMBER}")  # in log.txt alone
TRAIN_LOG, LOG = "train_log.txt", "log.txt"
TEST_LINE = re.compile(r"Epoch loaded: .*test ")


def read_scores(folder: Path, recipe: Recipe) -> dict[str, float]:
    """Return the score of each test set, in percent, from the files that the recipe wrote into its output folder.

    Raises:
        UserError: a score is missing or not a number, whatever the exit status was: such a run has failed.
    """
    if recipe.metric == WER:
        return {test: _find(folder / name, WORD_ERRORS) for test, name in recipe.score_files.items()}
    if recipe.metric == ACCURACY:
        return {"test": round(100 * (1 - _find(folder / TRAIN_LOG, ERROR_RATE)), 4)}
    assert recipe.metric == EER
    return {"test": _find(folder / LOG, EQUAL_ERROR_RATE)}


def _find(path: Path, pattern: re.Pattern) -> float:
    if not path.is_file():
        raise UserError(f"no score: there is no {path}")
    found = [match for match in map(pattern.search, read_lines(path)) if match]
    if not found:
        raise UserError(f"no score in {path}")
    value = float(found[-1]["value"])
    if not math.isfinite(value) or found[-1].groupdict().get("words") == "0":
        raise UserError(f"no score in {path}: {found[-1][0]}")
    return value


def forget_scores(folder: Path) -> None:
    """Remove the scores of an earlier run, which would be read as those of the next; the log of training stays."""
    for path in [*folder.glob("wer_*.txt"), folder / LOG]:
        path.unlink(missing_ok=True)
    if (folder / TRAIN_LOG).is_file():
        lines = [line for line in read_lines(folder / TRAIN_LOG) if not TEST_LINE.search(line)]
        with atomic_write(folder / TRAIN_LOG) as file:
            file.writelines(f"{line}\n" for line in lines)
