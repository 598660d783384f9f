"""Make 16 kHz mono copies of recordings, each once."""

from __future__ import annotations

from pathlib import Path

from .audio import SAMPLE_RATE, AudioInfo, is_whole, read_mono, resample, write_flac
from .sources import Sources, identity


class Copies:
    """A folder of FLAC copies, which notes the size, time and length of each copy's source (see ``Sources``).

    Raises:
        UserError: the notes of an earlier run cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._sources = folder, Sources(folder)

    def make(self, source: Path, frames: int, name: str) -> AudioInfo:
        """Write ``source`` to FOLDER/NAME, unless a whole copy of this very version of it is there.

        Args:
            frames: of the source, by its header.

        Raises:
            BadAudio: ``source`` cannot be decoded.
            UserError: the copy cannot be written, or scipy is needed and not installed.
        """
        version = (*identity(source), frames)  # before it is read: a change meanwhile shows next time
        noted = self._sources.get(name)
        if noted is not None and noted[:-1] == version and is_whole(self.folder / name, noted[-1]):
            return AudioInfo(noted[-1], SAMPLE_RATE, 1)
        samples, rate = read_mono(source)
        samples = resample(samples, rate)
        if noted is not None:
            self._sources.note(name, ())
        write_flac(self.folder / name, samples)
        self._sources.note(name, (*version, len(samples)))
        return AudioInfo(len(samples), SAMPLE_RATE, 1)

    def finish(self) -> None:
        """Put the notes in order, after the last copy."""
        self._sources.tidy()
