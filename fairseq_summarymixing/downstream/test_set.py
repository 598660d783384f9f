"""Read a test split as fairseq writes it: SPLIT.tsv with the audio, SPLIT.ltr with the transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.manifest import read_manifest
from ..errors import UserError


@dataclass(frozen=True)
class TestSet:
    """A test split in manifest order: audio paths, lengths in samples, transcripts in symbols joined by spaces."""

    __test__ = False  # not a class of tests

    root: str
    paths: list[str]
    samples: list[int]
    labels: list[str]
    labels_path: Path


def read_test_set(folder: str | Path, split: str, labels: str) -> TestSet:
    """Read ``folder/split.tsv`` and ``folder/split.<labels>``.

    Raises:
        UserError: a file is missing or malformed, an audio file is missing, or the files' lengths differ.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; `data` names the folder with {split}.tsv and {split}.{labels}")
    manifest, labels_path = folder / f"{split}.tsv", folder / f"{split}.{labels}"
    for path in (manifest, labels_path):
        if not path.is_file():
            raise UserError(f"there is no {path}; {_splits(folder, labels)}")
    root, rows = read_manifest(manifest, check_files=True)
    try:
        # Only line ends separate lines, as for fairseq: a form feed or U+2028 does not.
        with open(labels_path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise UserError(f"{labels_path} is not UTF-8 text (byte {error.start})") from error
    if len(lines) != len(rows):
        raise UserError(
            f"{labels_path} has {len(lines)} lines but {manifest} has {len(rows)} rows; "
            "line i of one belongs to row i of the other: make both again together"
        )
    return TestSet(root, [path for path, _ in rows], [samples for _, samples in rows], lines, labels_path)


def check_symbols(test_set: TestSet, indices: dict[str, Any]) -> None:
    """Raise a UserError if a transcript holds a symbol that is no key of ``indices``, the checkpoint's."""
    for number, line in enumerate(test_set.labels, start=1):
        unknown = sorted({symbol for symbol in line.split() if symbol not in indices})
        if unknown:
            other_case = all(symbol.swapcase() in indices for symbol in unknown)
            hint = "; they are there in the other case: write the transcripts as in training" if other_case else ""
            listed = " ".join(unknown[:20])
            where = f"{test_set.labels_path}:{number}"
            raise UserError(f"{where}: not in the checkpoint's dictionary: {listed}{hint}")


def _splits(folder: Path, labels: str) -> str:
    names = sorted(path.stem for path in folder.glob("*.tsv") if path.with_suffix(f".{labels}").is_file())
    return f"splits with both files there: {', '.join(names)}" if names else "the folder has no split with both files"
