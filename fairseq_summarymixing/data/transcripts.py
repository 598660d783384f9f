"""Read transcripts, and make fairseq's letters and dictionary of them."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..errors import UserError

WORD_END = "|"


def clean(text: str) -> str:
    """Return words with single spaces between them, accents in one spelling (NFC); case and punctuation stay."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def letters(text: str) -> str:
    """Return fairseq's .ltr line: "HE LL" -> "H E | L L |". Raises ValueError on a text that contains "|"."""
    if WORD_END in text:
        raise ValueError(f"the transcript contains {WORD_END!r}, which marks the end of a word")
    return " ".join(" ".join(word) + f" {WORD_END}" for word in text.split())


def dictionary(letter_lines: Iterable[str]) -> list[str]:
    """Return fairseq's dict.ltr.txt: "symbol count" lines, most frequent first, then by symbol."""
    counts = Counter(symbol for line in letter_lines for symbol in line.split())
    return [f"{symbol} {count}" for symbol, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file, with or without a byte order mark; raises UserError when it is not UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); convert it first") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def read_table(path: str | Path) -> dict[str, str]:
    """Read a table of transcripts, one "key<TAB>text" per line, as {key: clean text}.

    Raises:
        UserError: not readable, not UTF-8, a line without a tab or a key, a key twice, no line at all.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        key, tab, text = line.partition("\t")
        key = key.strip()
        if not tab or not key:
            raise UserError(f"{path}:{number}: expected 'recording<TAB>text'; found {line.strip()[:60]!r}")
        if key in table:
            raise UserError(f"{path}:{number}: {key!r} has a transcript in an earlier line already")
        table[key] = clean(text)
    if not table:
        raise UserError(f"{path} holds no transcripts")
    return table


def match_table(table: Mapping[str, str], paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Pair a table's keys with recordings; returns ({path: text}, [keys that fit no recording]).

    A key is a relative path, a path without its extension, a file name, or a file name without its extension;
    the first of these that fits counts.

    Raises:
        UserError: a key fits several recordings, or two keys fit one.
    """
    spellings: list[dict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
    for path in paths:
        pure = PurePosixPath(unicodedata.normalize("NFC", path))
        for index, key in zip(spellings, (pure, pure.with_suffix(""), pure.name, pure.stem)):
            index[str(key)].append(path)
    texts: dict[str, str] = {}
    key_of: dict[str, str] = {}
    unused = []
    for key, text in table.items():
        normal = str(PurePosixPath(unicodedata.normalize("NFC", key)))
        fitting = next((index[normal] for index in spellings if normal in index), [])
        if not fitting:
            unused.append(key)
            continue
        if len(fitting) > 1:
            raise UserError(
                f"the transcript of {key!r} fits {len(fitting)} recordings, "
                f"such as {fitting[0]} and {fitting[1]}; name recordings in the table by their relative paths"
            )
        path = fitting[0]
        if path in key_of:
            raise UserError(f"two transcripts fit {path}: those of {key_of[path]!r} and {key!r}")
        key_of[path], texts[path] = key, text
    return texts, unused
