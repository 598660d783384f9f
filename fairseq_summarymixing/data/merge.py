"""Merge several folders of manifests into one, each corpus with a weight: ``manifest merge``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError, counted, duration
from .audio import SAMPLE_RATE
from .folder_options import refuse_leftovers
from .labels import read_counts, read_labels, read_trials
from .manifest import Trial, is_manifest, read_manifest, trial_lines, unwritable, write_together
from .transcripts import count_lines

REPEATED = "train"  # the split whose rows are repeated


@dataclass(frozen=True)
class Split:
    """A manifest and what goes with it: its rows, its lines of labels by kind, and its trials."""

    root: str
    rows: list[tuple[str, int]]
    labels: dict[str, list[str]]
    trials: list[Trial]


@dataclass(frozen=True)
class Corpus:
    """A folder of manifests, and how many times its rows are to count."""

    folder: Path
    times: int
    splits: dict[str, Split] = field(default_factory=dict)


def merge_manifests(corpora: Sequence[tuple[str | Path, int]], out: str | Path) -> str:
    """Write one folder of manifests from several; returns the summary to print.

    ``train`` holds each corpus's rows as many times as its number says; every other split holds them once. Paths become
    relative to the folder that the roots have in common. Trials are put together. Labels are kept where all corpora
    with the split have them, with a warning for those that are not; dictionaries where all that have such labels have
    one: their counts are added.

    Args:
        corpora: folder and number.

    Raises:
        UserError: a folder holds no manifest, a file is damaged, OUT is one of them or holds other manifests.
    """
    out = Path(os.path.abspath(out))
    _check_folders([folder for folder, _ in corpora], out)
    read = [_read(Path(folder), times) for folder, times in corpora]
    if any(corpus.folder.resolve() == out.resolve() for corpus in read):
        raise UserError(f"{out} is one of the folders to merge; choose another OUT")
    root = os.path.commonpath([split.root for corpus in read for split in corpus.splits.values()])
    contents: dict[str, list[str]] = {}
    lines = []
    for name in sorted({name for corpus in read for name in corpus.splits}):
        lines.append(_merge_split(name, [corpus for corpus in read if name in corpus.splits], root, contents))
    for kind in sorted({Path(name).suffix[1:] for name in contents} - {"tsv", "trials"}):
        _merge_dictionaries(kind, read, contents)
    refuse_leftovers(out, contents)
    write_together(out, contents)
    return "\n".join(lines)


def _check_folders(folders: Sequence[str | Path], out: Path) -> None:
    if len(folders) < 2:
        raise UserError(f"expected two folders or more to merge, then OUT; got {folders[0]} and {out}")
    places = [os.path.realpath(folder) for folder in folders]
    twice = next((folder for folder, place in zip(folders, places) if places.count(place) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named more than once: give it once, as {twice}=2")


def _merge_dictionaries(kind: str, corpora: Sequence[Corpus], contents: dict[str, list[str]]) -> None:
    """Put the dictionary of a kind of labels into ``contents``, with a warning where only some corpora have one."""
    labelled = [corpus for corpus in corpora if any(kind in split.labels for split in corpus.splits.values())]
    dictionaries = [corpus.folder / f"dict.{kind}.txt" for corpus in labelled]
    lacking = [path for path in dictionaries if not path.is_file()]
    if not lacking:
        contents[f"dict.{kind}.txt"] = count_lines(sum(map(read_counts, dictionaries), Counter()))
    elif len(lacking) < len(dictionaries):
        print(
            f"warning: dict.{kind}.txt is left out, without which fairseq does not train on {kind}: there is no "
            f"{lacking[0]}; to keep it, write that file, 'symbol count' per line",
            file=sys.stderr,
        )


def _merge_split(name: str, corpora: Sequence[Corpus], root: str, contents: dict[str, list[str]]) -> str:
    """Put the files of a split, of all corpora that have it, into ``contents``; returns what was done."""
    kinds = [set(corpus.splits[name].labels) for corpus in corpora]
    kept = sorted(set.intersection(*kinds))
    contents[f"{name}.tsv"] = [root]
    contents.update({f"{name}.{kind}": [] for kind in kept})
    parts, trials = [], []
    for corpus in corpora:
        split, times = corpus.splits[name], corpus.times if name == REPEATED else 1
        before = _prefix(root, split.root)
        contents[f"{name}.tsv"] += [f"{before}{path}\t{frames}" for path, frames in split.rows] * times
        trials += [Trial(one.same, before + one.first, before + one.second) for one in split.trials]
        for kind in kept:
            contents[f"{name}.{kind}"] += split.labels[kind] * times
        length = duration(times * sum(frames for _, frames in split.rows) / SAMPLE_RATE)
        parts.append(f"{times} x {len(split.rows)} of {corpus.folder} ({length})")
    if trials:
        contents[f"{name}.trials"] = trial_lines(trials)
    line = f"{name}: {counted(len(contents[f'{name}.tsv']) - 1, 'row')}: {', '.join(parts)}"
    for kind in sorted(set.union(*kinds) - set(kept)):
        lacking = next(corpus.folder for corpus, have in zip(corpora, kinds) if kind not in have)
        print(
            f"warning: {name}.{kind} is left out: {lacking} has {name}.tsv without it; to keep it, write "
            f"{lacking / name}.{kind}, a line for each row, empty where there is no label",
            file=sys.stderr,
        )
    return line


def _read(folder: Path, times: int) -> Corpus:
    if times < 1:
        raise UserError(f"{folder}={times}: expected a whole number of times, 1 or more")
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; expected one that holds train.tsv")
    corpus = Corpus(folder, times)
    for path in sorted(folder.glob("*.tsv")):
        if not is_manifest(path):
            continue
        root, rows = read_manifest(path)
        kinds = (beside.suffix[1:] for beside in folder.glob(f"{path.stem}.*") if beside.stem == path.stem)
        labels = {kind: read_labels(path, kind, len(rows)) for kind in kinds if kind not in ("tsv", "trials")}
        has_trials = path.with_suffix(".trials").is_file()
        trials = read_trials(path, [row[0] for row in rows]) if has_trials else []
        corpus.splits[path.stem] = Split(os.path.abspath(root), rows, labels, trials)
    if not corpus.splits:
        raise UserError(f"{folder} holds no manifest; expected train.tsv, as fairseq-summarymixing manifest writes it")
    return corpus


def _prefix(common: str, root: str) -> str:
    """Return what leads from a folder above a root to its paths: "" or "a/b/"."""
    prefix = os.path.relpath(root, common).replace(os.sep, "/")
    if unwritable(prefix):
        raise UserError(f"{prefix!r} cannot stand in a manifest: {unwritable(prefix)}")
    return "" if prefix == "." else f"{prefix}/"
