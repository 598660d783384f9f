"""A case of the campaign: a command in a folder of inputs, one of which is damaged; what it did, and whether that is
right."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

# A line for people has no words of Python's, torch's or omegaconf's
MACHINE_WORDS = re.compile(
    r"\b(?!UserError)\w+(Error|Exception)\b|Traceback|NoneType|<class |<function| object at 0x|\b__\w+__\b|"
    r"unexpected keyword|has no attribute|not subscriptable|not iterable|unhashable|list index|out of range of|"
    r"could not convert|invalid literal|object cannot be|unpack|ndarray|dtype\("
)
LONGEST_LINE = 1007  # with "error: "
# Where a recipe gives a field a value of another type, hydra ends before it loads anything of ours: four lines that
# name value and field
HYDRAS_OWN = re.compile(r"^\s+full_key: \w+\.\w+(\[\d+\])?$", re.MULTILINE)
OF_A_RECORDING = "error: cannot use "  # the command goes on with others
TEMPORARY = (".part", ".tmp")


@dataclass
class Case:
    """A command line, run in the folder of the case.

    Attributes:
        argv: the command and its arguments.
        damage: what was done to the inputs, for people.
        whole: whether a command that fails must leave no new file: it writes all or nothing.
    """

    argv: List[str]
    damage: str
    whole: bool = False


@dataclass
class Outcome:
    """What a command did: its exit status, negative for a signal, None for no end; and all it printed."""

    status: Optional[int]
    output: str


def files_in(folder: Path):
    """The files below a folder, with their contents' hashes; of what is no file, None."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            is_plain = path.is_file() and not path.is_symlink()
            content = hashlib.sha1(path.read_bytes()).hexdigest() if is_plain else None
            found[str(path.relative_to(folder))] = content
    return found


def what_is_wrong(case: Case, outcome: Outcome, before, after) -> Optional[str]:
    """Return why a case does not hold; None where it ended in success, or in one line with everything kept."""
    lines = [line for line in outcome.output.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if outcome.status is None:
        return "no end in time"
    if outcome.status < 0:
        return f"ended by signal {-outcome.status}"
    if "Traceback" in outcome.output:
        return f"a stack trace: {last}"
    left = sorted(name for name in after if name.endswith(TEMPORARY))
    if left:
        return f"left behind: {', '.join(left)}"
    lost = sorted(name for name in before if after.get(name, "gone") != before[name])
    if lost and outcome.status:
        return f"changed, with status {outcome.status}: {', '.join(lost)}"
    return _wrong_message(case, outcome, lines, last, sorted(after.keys() - before.keys())) if outcome.status else None


def _wrong_message(case, outcome, lines, last, new):
    if HYDRAS_OWN.search(outcome.output):
        return None
    errors = [line for line in lines if "error: " in line and not line.startswith(("warning: ", "["))]
    if errors[-1:] != [last] or not all(line.startswith(OF_A_RECORDING) for line in errors[:-1]):
        return f"status {outcome.status} without one line at the end that is the error: {last}"
    if len(last) > LONGEST_LINE:
        return f"a line of {len(last)} characters: {last[:200]}"
    if MACHINE_WORDS.search(last):
        return f"a machine's word, {MACHINE_WORDS.search(last)[0]!r}: {last}"
    if case.whole and new:
        return f"failed, and wrote {', '.join(new)}: {last}"
    return None
