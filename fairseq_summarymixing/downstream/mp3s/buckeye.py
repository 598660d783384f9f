"""Prepare Buckeye for its recipes: segments by our preparation, and the tables that the benchmark's scripts read."""

from __future__ import annotations

import csv
from pathlib import Path

from ...data.audio import SAMPLE_RATE
from ...data.buckeye import write_segments
from ...data.labels import read_labels
from ...data.manifest import read_manifest
from ...data.text_rules import text_rules
from ...errors import UserError
from ...files import atomic_write
from ...text_files import read_text

SPLITS = ("train", "valid", "test")
COLUMNS = ("ID", "duration", "wav", "spk_id", "start_seg", "end_seg", "wrd")
CHARACTERS = "A-Z'"  # with the space, blank and unknown no more than the recipes' 30 outputs


def prepare(corpus: Path, out: Path) -> Path:
    """Cut Buckeye into OUT, once, and write train.csv, valid.csv and test.csv there; returns OUT.

    Each segment is a file of its own, so that the recipe that reads whole files and the one that reads from
    ``start_seg`` to ``end_seg`` train on the same.

    Raises:
        UserError: OUT was prepared from another folder, or as :func:`.write_segments`.
    """
    note = out / "source.txt"
    if note.is_file() and read_text(note).strip() != str(corpus):
        raise UserError(f"{out} was prepared from {read_text(note).strip()}, not from {corpus}: remove it")
    with atomic_write(note) as file:
        file.write(f"{corpus}\n")
    if not all((out / f"{split}.csv").is_file() for split in SPLITS):
        print(write_segments(corpus, out, text_rules("upper", CHARACTERS)))
        for split in SPLITS:
            _write_table(out, split)
    return out


def _write_table(out: Path, split: str) -> None:
    root, rows = read_manifest(out / f"{split}.tsv")
    texts = read_labels(out / f"{split}.tsv", "wrd", len(rows))
    with atomic_write(out / f"{split}.csv") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for (path, frames), text in zip(rows, texts):
            seconds = frames / SAMPLE_RATE
            table.writerow([Path(path).stem, seconds, f"{root}/{path}", path[:3], 0.0, seconds, text])
