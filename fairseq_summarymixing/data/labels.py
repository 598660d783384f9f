"""Read what goes with a manifest: labels of any kind and trials of speaker verification, line by line, and
dictionaries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from ..errors import UserError, counted
from ..text_files import read_lines
from .manifest import Trial

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # symbols that fairseq adds to every dictionary
ENTRY = re.compile(r"(?P<symbol>.+) (?P<count>-?\d{1,18})(?P<again> #fairseq:overwrite)?", re.ASCII)


def read_labels(manifest: str | Path, kind: str, expected: int) -> list[str]:
    """Read SPLIT.KIND beside SPLIT.tsv: a line for each row, as it stands there but for spaces around it.

    Args:
        kind: "ltr" or "wrd" for transcripts, "cls" for one label of each utterance.
        expected: rows of the manifest.

    Raises:
        UserError: there is no such file, or it has another number of lines.
    """
    path = Path(manifest).with_suffix(f".{kind}")
    if not path.is_file():
        raise UserError(f"there are no labels {path}: expected one line for each line of {manifest}")
    lines = [line.strip() for line in read_lines(path)]
    if len(lines) != expected:
        raise UserError(
            f"{path} has {counted(len(lines), 'line')} but {manifest} has {counted(expected, 'row')}; "
            "line i of one belongs to row i of the other: make both again together"
        )
    return lines


def read_trials(manifest: str | Path, paths: Collection[str]) -> list[Trial]:
    """Read SPLIT.trials beside SPLIT.tsv: "1<TAB>path<TAB>path" for one speaker, "0<TAB>path<TAB>path" for two.

    Args:
        paths: of the manifest, which the trials name as it does.

    Raises:
        UserError: there is no such file, a line is malformed or names a path that is not in the manifest.
    """
    path, paths = Path(manifest).with_suffix(".trials"), frozenset(paths)
    trials = []
    for number, line in enumerate(read_lines(path), start=1):
        same, *pair = line.rstrip().split("\t")
        if same not in ("0", "1") or len(pair) != 2:
            raise UserError(f"{path}:{number}: expected '0 or 1<TAB>path<TAB>path'; found {line[:80]!r}")
        unknown = [one for one in pair if one not in paths]
        if unknown:
            raise UserError(f"{path}:{number}: {unknown[0]} is not in {manifest}")
        trials.append(Trial(same == "1", *pair))
    if not trials:
        raise UserError(f"{path} holds no trials; expected '0 or 1<TAB>path<TAB>path' per line")
    return trials


def read_counts(path: str | Path) -> Counter:
    """Read the counts by symbol of a fairseq dictionary, "symbol count" per line.

    Raises:
        UserError: there is no such file, a line is malformed, a symbol has two lines or is one of fairseq's own.
    """
    counts: Counter = Counter()
    for number, line in enumerate(read_lines(path), start=1):
        entry = ENTRY.fullmatch(line.rstrip())
        if entry is None:
            raise UserError(f"{path}:{number}: expected 'symbol count', such as 'A 9'; found {line[:60]!r}")
        if not entry["again"] and entry["symbol"] in SPECIAL:
            raise UserError(f"{path}:{number}: fairseq adds {entry['symbol']} to every dictionary: remove this line")
        if not entry["again"] and entry["symbol"] in counts:
            raise UserError(f"{path}:{number}: {entry['symbol'][:60]!r} has an earlier line already: remove one")
        counts[entry["symbol"]] = int(entry["count"])
    if not counts:
        raise UserError(f"{path} is empty: expected 'symbol count' per line")
    return counts
