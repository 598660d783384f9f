"""Read a test split as fairseq writes it: SPLIT.tsv with the audio, SPLIT.ltr with the transcripts, if any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..data.labels import read_labels
from ..data.manifest import is_manifest, read_manifest
from ..errors import UserError


@dataclass(frozen=True)
class TestSet:
    """A test split in manifest order: audio paths, lengths in samples, transcripts in symbols joined by spaces; None
    where there is no file of these."""

    __test__ = False  # not a class of tests

    root: str
    paths: list[str]
    samples: list[int]
    labels: list[str] | None
    labels_path: Path


def read_test_set(folder: str | Path, split: str, labels: str) -> TestSet:
    """Read ``folder/split.tsv`` and, where it exists, ``folder/split.<labels>``.

    Raises:
        UserError: the manifest is missing, a file is malformed, an audio file is missing, or the files' lengths differ.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; `data` names the folder with {split}.tsv and {split}.{labels}")
    manifest, labels_path = folder / f"{split}.tsv", folder / f"{split}.{labels}"
    if not manifest.is_file():
        raise UserError(f"there is no {manifest}; {_splits(folder)}")
    root, rows = read_manifest(manifest, check_files=True)
    paths, samples = [path for path, _ in rows], [length for _, length in rows]
    lines = read_labels(manifest, labels, len(rows)) if labels_path.exists() else None
    return TestSet(root, paths, samples, lines, labels_path)


def check_symbols(test_set: TestSet, indices: Collection[str]) -> str | None:
    """Compare the symbols of the transcripts with the checkpoint's, ``indices``.

    Returns:
        A line on those that the checkpoint cannot write; None where there are none.

    Raises:
        UserError: it has most letters in the other case: the transcripts are not written as in training.
    """
    found: dict[str, int] = {}  # the first line with each unknown symbol
    counts: Counter = Counter()
    for number, line in enumerate(test_set.labels or (), start=1):
        symbols = line.split()
        counts.update(symbols)
        for symbol in sorted({symbol for symbol in symbols if symbol not in indices}):
            found.setdefault(symbol, number)
    if not found:
        return None
    place, listed = f"{test_set.labels_path}:{min(found.values())}", " ".join(list(found)[:20])
    letters = [symbol for symbol in counts if symbol.swapcase() != symbol]
    in_other_case = [symbol for symbol in letters if symbol in found and symbol.swapcase() in indices]
    if 2 * sum(counts[symbol] for symbol in in_other_case) > sum(counts[symbol] for symbol in letters):
        raise UserError(
            f"{place}: not in the checkpoint's dictionary: {' '.join(sorted(in_other_case)[:20])}; they are there in "
            "the other case: write the transcripts as in training"
        )
    return f"{place}: not in the checkpoint's dictionary, so that each counts as an error: {listed}"


def _splits(folder: Path) -> str:
    names = []
    for path in sorted(folder.glob("*.tsv")):
        with suppress(UserError):  # another file that is no table
            names += [path.stem] * is_manifest(path)
    return f"splits there: {', '.join(names)}" if names else "the folder has no split"
