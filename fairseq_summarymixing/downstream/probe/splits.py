"""Read the splits of a probe: recordings with their labels, of which no two splits share one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.manifest import Trial
from ...errors import UserError, counted
from ..test_set import read_test_set
from .hidden_states import recordings_digest


@dataclass(frozen=True)
class Split:
    """A split in manifest order.

    Attributes:
        names: the recordings' paths as the manifest has them.
        paths: where they are.
        samples: their lengths.
        labels: a line for each.
        labels_path: the file of these.
        trials: of speaker verification, where they are read.
    """

    name: str
    manifest: Path
    names: Sequence[str]
    paths: Sequence[str]
    samples: Sequence[int]
    labels: Sequence[str]
    labels_path: Path
    trials: Sequence[Trial] = ()

    def recordings(self) -> dict[str, int]:
        """Return the length of each recording by its path; one that the manifest repeats comes once."""
        return dict(zip(self.paths, self.samples))

    def digest(self) -> str:
        """Return a digest of recordings, labels and trials."""
        content = repr((recordings_digest(self.paths), self.labels, self.trials))
        return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def read_split(data: str | Path, name: str, kind: str) -> Split:
    """Read ``data/NAME.tsv`` and ``data/NAME.KIND``.

    Raises:
        UserError: one of the two is missing or malformed, or a recording is.
    """
    found = read_test_set(data, name, kind)
    if found.labels is None:
        raise UserError(f"there are no labels {found.labels_path}: expected one line for each row of {name}.tsv")
    paths = [os.path.join(found.root, path) for path in found.paths]
    manifest = Path(data) / f"{name}.tsv"
    return Split(name, manifest, found.paths, paths, found.samples, found.labels, found.labels_path)


def refuse_shared(splits: Sequence[Split]) -> None:
    """Raise a UserError where two splits hold the same recording."""
    for number, split in enumerate(splits):
        here = {os.path.realpath(path) for path in split.paths}
        for other in splits[:number]:
            shared = here & {os.path.realpath(path) for path in other.paths}
            if shared:
                raise UserError(
                    f"`splits`: {other.name} and {split.name} share {counted(len(shared), 'recording')}, such as "
                    f"{min(shared)}: what a probe is trained and chosen on cannot test it"
                )
