"""Write manifests of a corpus with lists of its own, and check the corpus against its published counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..errors import UserError, counted, duration, printable
from ..tables import aligned
from .audio import SAMPLE_RATE
from .copies import Copies
from .folder_options import refuse_leftovers
from .manifest import Trial, check_root, file_names, write_splits
from .parallel import map_in_threads
from .recordings import Recording, examine
from .report import Report

NAMED = 5  # missing files that a check names
KINDS = ("text", "label")


@dataclass(frozen=True)
class Utterance:
    """What a corpus's list gives for a recording: its path below the corpus, "" where text or label is missing."""

    path: str
    text: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class PublishedCorpus:
    """A corpus as its own lists describe it, and what was published of it.

    Attributes:
        root: the folder that the utterances' paths are relative to.
        splits: utterances by split. Either all have a text or none has, and so of labels.
        published: utterances by split, where a number is known.
        counts: other counts: what, how many are there, how many were published.
        trials: by split, with paths as in the utterances.
        longest: seconds by split; longer recordings are left out.
        resample: whether recordings are of other rates, so that copies are needed.
    """

    name: str
    root: Path
    splits: Mapping[str, Sequence[Utterance]]
    published: Mapping[str, int] = field(default_factory=dict)
    counts: Sequence[tuple[str, int, int]] = ()
    trials: Mapping[str, Sequence[Trial]] = field(default_factory=dict)
    longest: Mapping[str, float] = field(default_factory=dict)
    resample: bool = False


def write_corpus(corpus: PublishedCorpus, out: Path, workers: int | None = None) -> str:
    """Write the manifests of all splits, with texts, labels and trials, and OUT/report.tsv; returns the summary.

    Recordings that are missing or damaged are left out and reported, with the trials that name them. Copies, where they
    are needed, are made once for all splits, under OUT/audio.

    Raises:
        UserError: no manifest can name the folder of the recordings, none of a split can be used, OUT holds other
            manifests or cannot be written.
    """
    root = out / "audio" if corpus.resample else corpus.root
    check_root(root)
    utterances = {one.path: one for split in corpus.splits.values() for one in split}
    has_text, has_label = (any(getattr(one, what) is not None for one in utterances.values()) for what in KINDS)
    refuse_leftovers(out, file_names(corpus.splits, has_text, has_label, corpus.trials))
    copies, report = Copies(out / "audio") if corpus.resample else None, Report()
    recordings = _examine(corpus, utterances, copies, workers, report)
    rows = {}
    for name, split in corpus.splits.items():
        longest = corpus.longest.get(name, float("inf"))
        fitting = [one.path for one in split if one.path in recordings and recordings[one.path].seconds <= longest]
        rows[name] = sorted((recordings[path].row for path in fitting), key=lambda row: row.path)
        for one in split:
            if one.path in recordings and recordings[one.path].seconds > longest:
                report.add(one.path, f"{recordings[one.path].seconds:.4g} s, longer than {longest:g}")
    report_path = report.write(out)
    for name, split in rows.items():
        if not split:
            why = report.such_as({one.path for one in corpus.splits[name]})
            raise UserError(f"no recording of {name} in {corpus.root} can be used{why}; see {report_path}")
    trials = {name: _usable(some, recordings) for name, some in corpus.trials.items()}
    write_splits(out, root, rows, trials)
    lines = [
        f"{name}: {duration(sum(row.frames for row in split) / SAMPLE_RATE)}, {counted(len(split), 'recording')}"
        for name, split in rows.items()
    ]
    lines += [f"{name}: {len(some)} of {len(corpus.trials[name])} trials" for name, some in trials.items()]
    return "\n".join([*lines, report.summary(report_path)])


def _examine(
    corpus: PublishedCorpus,
    utterances: Mapping[str, Utterance],
    copies: Copies | None,
    workers: int | None,
    report: Report,
) -> dict[str, Recording]:
    """Return the recordings that can be used, by path; the others go to the report."""

    def finder(kind: str) -> Callable[[str], str] | None:
        has_some = any(getattr(one, kind) is not None for one in utterances.values())
        return (lambda path: getattr(utterances[path], kind) or "") if has_some else None

    finders = {f"{kind}_of": finder(kind) for kind in KINDS}
    look = partial(examine, source=corpus.root, copies=copies, **finders)
    recordings = {}
    for path, result in zip(utterances, map_in_threads(look, list(utterances), workers, corpus.name)):
        if isinstance(result, Recording):
            recordings[path] = result
        else:
            report.add(path, str(result))
    if copies is not None:
        copies.finish()
    return recordings


def _usable(trials: Sequence[Trial], recordings: Mapping[str, Recording]) -> list[Trial]:
    """Return the trials of which both recordings can be used, with their paths in the manifest."""
    return [
        Trial(trial.same, recordings[trial.first].row.path, recordings[trial.second].row.path)
        for trial in trials
        if trial.first in recordings and trial.second in recordings
    ]


def check_corpus(corpus: PublishedCorpus) -> None:
    """Print what is there beside what was published, split by split, without opening a recording.

    Raises:
        UserError: something differs or a file is missing; the first ones are named.
    """
    rows, wrong, missing = [], [], []
    for name, split in corpus.splits.items():
        gone = [one.path for one in split if not (corpus.root / one.path).is_file()]
        missing += gone
        expected = corpus.published.get(name)
        rows.append([name, str(len(split)), "unknown" if expected is None else str(expected), str(len(gone))])
        wrong += [f"{name} {len(split)} instead of {expected}"] * (expected not in (None, len(split)))
    for what, found, expected in corpus.counts:
        rows.append([what, str(found), str(expected), ""])
        wrong += [f"{what} {found} instead of {expected}"] * (found != expected)
    print(aligned([corpus.name, "found", "published", "files missing"], rows))
    for path in missing[:NAMED]:
        print(f"missing: {printable(path)}")
    if len(missing) > NAMED:
        print(f"missing: {len(missing) - NAMED} more")
    reasons = [", ".join(wrong)] * bool(wrong)
    are = "is" if len(missing) == 1 else "are"
    reasons += [f"{counted(len(missing), 'file')} {are} missing, such as {printable(missing[0])}"] if missing else []
    if reasons:
        raise UserError(f"{corpus.root} is not the whole corpus: {'; '.join(reasons)}")
    known = corpus.published or corpus.counts
    print(f"{corpus.root} is complete" if known else "every listed file is there; published counts are not known here")
