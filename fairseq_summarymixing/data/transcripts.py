"""Read transcripts, and make fairseq's letters and dictionary of them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..errors import UserError, counted
from ..text_files import read_lines

WORD_END = "|"
Value = TypeVar("Value")


def clean(text: str) -> str:
    """Return words with single spaces between them, accents in one spelling (NFC); case and punctuation stay."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def letters(text: str) -> str:
    """Return fairseq's .ltr line: "HE LL" -> "H E | L L |". Raises ValueError on a text that contains "|"."""
    if WORD_END in text:
        raise ValueError(f"the transcript contains {WORD_END!r}, which marks the end of a word")
    return " ".join(" ".join(word) + f" {WORD_END}" for word in text.split())


def symbol(label: str) -> str:
    """Return a label as one symbol of a dictionary: "caffe latte" -> "caffe_latte"."""
    return "_".join(label.split())


def dictionary(lines: Iterable[str]) -> list[str]:
    """Return fairseq's dict.ltr.txt: "symbol count" lines, most frequent first, then by symbol."""
    return count_lines(Counter(one for line in lines for one in line.split()))


def count_lines(counts: Mapping[str, int]) -> list[str]:
    """Return the lines of a dictionary, of counts by symbol."""
    return [f"{symbol} {count}" for symbol, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def read_table(path: str | Path) -> dict[str, str]:
    """Read a table of transcripts, one "key<TAB>text" per line, as {key: clean text}.

    Raises:
        UserError: not readable, a line that is not "key<TAB>text", a key twice, no line at all.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        key, tab, text = line.partition("\t")
        key = key.strip()
        if not tab or not key:
            raise UserError(f"{path}:{number}: expected 'recording<TAB>text'; found {line.strip()[:60]!r}")
        if "\t" in text.strip():
            count = len(line.split("\t"))
            raise UserError(
                f"{path}:{number}: expected 'recording<TAB>text'; found {counted(count, 'column')}, "
                f"{line.strip()[:60]!r}: of a table with a header, name the columns in `columns`"
            )
        if key in table:
            raise UserError(f"{path}:{number}: {key!r} has a transcript in an earlier line already: remove one")
        table[key] = clean(text)
    if not table:
        raise UserError(f"{path} holds no transcripts; expected 'recording<TAB>text' per line")
    return table


class RecordingIndex:
    """An index that finds the recording which a table or list means.

    A key is a relative path, a path without its extension, a file name, or a file name without its extension;
    the first of these that fits counts. A path may also be absolute, or begin with the last folders of ``root``.

    Args:
        paths: relative to ``root``.
    """

    def __init__(self, paths: Sequence[str], root: str | Path = "") -> None:
        self.first = paths[0]
        self._root = PurePosixPath(root).parts
        self._spellings: list[dict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
        for path in paths:
            normal = unicodedata.normalize("NFC", path)
            bare = os.path.splitext(normal)[0]
            keys = (normal, bare, normal.rpartition("/")[2], bare.rpartition("/")[2])
            for index, key in zip(self._spellings, keys):
                index[key].append(path)

    def find(self, key: str, where: str) -> str | None:
        """Return the path of a recording, None where no recording fits.

        Raises:
            UserError: several fit; ``where``, the file that holds the key, stands in the message.
        """
        parts = PurePosixPath(unicodedata.normalize("NFC", key)).parts
        # SRC being /data/cy/clips: a.mp3, clips/a.mp3, cy/clips/a.mp3 and /data/cy/clips/a.mp3 are one recording
        lengths = [0, *(n for n in range(1, len(parts)) if parts[:n] == self._root[len(self._root) - n :])]
        names = [str(PurePosixPath(*parts[n:])) for n in lengths]
        fitting = next((index[name] for name in names for index in self._spellings if name in index), [])
        if len(fitting) > 1:
            raise UserError(
                f"{where}: {key!r} fits {len(fitting)} recordings, such as {fitting[0]} and {fitting[1]}; "
                "name recordings by their relative paths"
            )
        return fitting[0] if fitting else None


def match_table(table: Mapping[str, Value], index: RecordingIndex, where: str) -> tuple[dict[str, Value], list[str]]:
    """Pair a table's keys with recordings; returns ({path: value}, [keys that fit no recording]).

    Raises:
        UserError: a key fits several recordings, or two keys fit one; ``where``, the file, stands in the message.
    """
    values: dict[str, Value] = {}
    key_of: dict[str, str] = {}
    unused = []
    for key, value in table.items():
        path = index.find(key, where)
        if path is None:
            unused.append(key)
            continue
        if path in key_of:
            raise UserError(f"{where}: two lines fit {path}, those of {key_of[path]!r} and {key!r}: remove one")
        key_of[path], values[path] = key, value
    return values, unused
