"""Keep finished probes and their answers on disk, so that an interrupted study goes on where it was."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ...checkpoints.torch_files import read_torch_file
from ...errors import UserError
from ...files import atomic_write
from .task import Row
from .train import Trained


class Cells:
    """The probes of one checkpoint: files in a folder of their own, whose name depends on all that they are made of.

    Args:
        folder: of the probes of all checkpoints.
        made_of: what they depend on, beside seed and learning rate; written into made_of.json.
    """

    def __init__(self, folder: Path, made_of: dict[str, Any]):
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:16]
        if not (self.folder / "made_of.json").is_file():
            with atomic_write(self.folder / "made_of.json") as file:
                json.dump(made_of, file, indent=2)

    def trained(self, rate: float, seed: int, train: Callable[[], Trained]) -> Trained:
        """Return the probe of a learning rate and seed, which is trained where it is not there."""
        path = self.folder / f"lr{rate:g}-seed{seed}.pt"
        if path.is_file():
            try:
                return Trained(**read_torch_file(path))
            except (UserError, TypeError):
                pass  # damaged: trained again
        found = train()
        with atomic_write(path, "wb") as file:
            torch.save(found._asdict(), file)
        return found

    def answers(self, rate: float, seed: int, split: str, answer: Callable[[], Sequence[Row]]) -> list[Row]:
        """Return the table of answers of that probe to a split, which is written where it is not there.

        Args:
            split: its name and digest.
        """
        path = self.folder / f"lr{rate:g}-seed{seed}.{split}.tsv"
        if path.is_file():
            try:
                with open(path, encoding="utf-8", newline="") as file:
                    return list(csv.reader(file, **TABLE))
            except (UnicodeDecodeError, csv.Error):
                pass  # damaged: computed again
        rows = answer()
        with atomic_write(path) as file:
            csv.writer(file, **TABLE).writerows(rows)
        return list(rows)


TABLE = {"delimiter": "\t", "lineterminator": "\n", "quoting": csv.QUOTE_NONE, "escapechar": "\\"}
