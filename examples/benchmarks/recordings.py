"""Read the recordings of a folder."""

from pathlib import Path
from typing import Iterator, Tuple

import numpy as np

from fairseq_summarymixing.data.audio import BadAudio, read_mono
from fairseq_summarymixing.errors import UserError

SUFFIXES = (".wav", ".flac", ".ogg")


def read_recordings(source: Path) -> Iterator[Tuple[np.ndarray, int]]:
    """Yield samples (n,) and their rate in Hz of each recording below a folder, in the order of their paths.

    Raises:
        UserError: a recording cannot be read.
    """
    for path in sorted(path for path in source.rglob("*") if path.suffix in SUFFIXES):
        try:
            yield read_mono(path)
        except BadAudio as error:
            raise UserError(f"{path}: {error}") from error
