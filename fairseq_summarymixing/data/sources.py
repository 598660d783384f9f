"""Note in FOLDER/sources.tsv what the files of a folder were made of."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ..errors import UserError
from ..files import atomic_write
from .audio import BadAudio

NAME = "sources.tsv"


class Sources:
    """A table of whole numbers for each file of a folder, kept from run to run.

    A line, name and numbers between tabs, is appended as soon as a file is finished, so that a killed run has noted
    what it finished; a last line that was cut counts for nothing. May be used from several threads.

    Raises:
        UserError: the folder or its notes cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / NAME, threading.Lock()
        self._notes, text = {}, self._read()
        whole, newline, cut = text.rpartition("\n")
        for line in whole.split("\n"):
            self._take(line)
        if cut:
            self.tidy()  # or the next line would be appended to half a line

    def get(self, name: str) -> tuple[int, ...] | None:
        """Return what was noted last for a file, None for nothing."""
        return self._notes.get(name)

    def note(self, name: str, numbers: tuple[int, ...]) -> None:
        """Append a line. No numbers: from now on the file is not what was noted."""
        line = "\t".join([name, *map(str, numbers)])
        with self._lock:
            self._take(line)
            self._append(f"{line}\n")

    def tidy(self) -> None:
        """Leave one line for each file, in the order of their names, whatever the order of the threads was."""
        lines = ["\t".join([name, *map(str, numbers)]) + "\n" for name, numbers in sorted(self._notes.items())]
        if self._read() != "".join(lines):
            with atomic_write(self._path) as file:
                file.writelines(lines)

    def _take(self, line: str) -> None:
        name, *numbers = line.split("\t")
        self._notes.pop(name, None)
        if numbers and all(number.isdecimal() for number in numbers):
            self._notes[name] = tuple(map(int, numbers))

    def _read(self) -> str:
        try:
            return self._path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise UserError(f"cannot read {self._path}: {error.strerror}; remove it, or choose another OUT") from error

    def _append(self, text: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            with open(descriptor, "wb", buffering=0) as file:
                if file.write(text.encode("utf-8")) < len(text.encode("utf-8")):
                    raise OSError(0, "not the whole line was written")
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}; choose another OUT") from error


def identity(path: Path) -> tuple[int, int]:
    """Return bytes and time of the last change in ns: of two versions of a file at least one differs, as rsync has it.

    Raises:
        BadAudio: there is no such file any more.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise BadAudio(f"not readable: {error.strerror or error}") from error
    return found.st_size, found.st_mtime_ns
