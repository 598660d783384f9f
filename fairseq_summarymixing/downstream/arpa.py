"""Check a language model's file before KenLM reads it, which trusts the counts that it finds there."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError
from ..input_files import check_file

BINARY = b"mmap lm http://kheafield.com/code"
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")  # which KenLM reads, where it was built to
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
COUNT = re.compile(r"ngram\s+(\d{1,3})\s*=\s*(\d{1,18})")
SHORTEST = 4  # bytes of an n-gram: a number, a tab, a word, a line end
HEADER_LINES, LINE_LENGTH = 1000, 10000
BYTE = re.compile(r"(?: at byte \d+)?\s*Byte: (\d+)$")
# What KenLM says to the programmer, and what a reader of the file needs; the first that fits
IN_WORDS = (
    (r".*missing (\S+) .*", r"its single words lack \1"),
    (r".*Positive log probability (\S+).*", r"expected the logarithm of a probability, 0 or below; found \1"),
    (r'Could not parse "(.*)" into a float.*', r"expected a number; found '\1'"),
    (r".*the test values don't match.*", "it was built by another version of KenLM or for another kind of machine"),
    (r"Was expecting n-gram header (\S+) but got (.*) instead", r"expected the section \1 found \2"),
)


def check_language_model(path: str | Path) -> None:
    """Check the beginning of an ARPA file: its counts must be possible for a file of its size.

    KenLM's binary and compressed files are left to KenLM.

    Raises:
        UserError: it is no such file, or what its header declares cannot be in it.
    """
    check_file(path)
    head = _head(path)
    if head.startswith((BINARY, *COMPRESSED)):
        return
    if head.startswith(BYTE_ORDER_MARKS):
        raise UserError(
            f"`lm` {path} begins with a byte order mark, which KenLM does not read: save it as UTF-8 without"
        )
    lines = _header(path)
    if next(lines, (1, ""))[1] != "\\data\\":
        raise UserError(f"`lm` {path} cannot be read: expected ARPA, which begins with \\data\\, or KenLM's binary")
    most, order = os.path.getsize(path) // SHORTEST, 0
    for order, (number, line) in enumerate(lines, 1):
        if not _is_possible(line, order, most):
            raise UserError(
                f"`lm` {path}:{number}: expected 'ngram {order}=COUNT' with as many n-grams as the file can hold, "
                f"at most {most}; found {line[:60]!r}"
            )
    if order == 0:
        raise UserError(f"`lm` {path} declares no n-grams: expected lines 'ngram 1=COUNT' after \\data\\")
    if order == 1:
        raise UserError(f"`lm` {path} declares single words alone: KenLM needs 'ngram 2=COUNT' as well, pairs of words")


def reading_error(path: str | Path, message: str) -> str:
    """Return the error for a file that KenLM cannot read, given the last line of KenLM's message."""
    found = BYTE.search(message)
    place, reason = "", message
    if found is not None:
        place, reason = f" from {_place(path, int(found[1]))} on", message[: found.start()]
    for pattern, words in IN_WORDS:
        if re.fullmatch(pattern, reason):
            reason = re.sub(pattern, words, reason, count=1)
            break
    return f"`lm` {path} cannot be read{place}: {reason}; write the language model again, or copy it again"


def _place(path: str | Path, byte: int) -> str:
    """Return the line of a byte, reading the file in pieces; for compressed files the byte itself."""
    if _head(path).startswith(COMPRESSED):
        return f"byte {byte} of the uncompressed text"
    line = 1
    with open(path, "rb") as file:
        while byte > 0 and (part := file.read(min(byte, 1 << 20))):
            line, byte = line + part.count(b"\n"), byte - len(part)
    return f"line {line}"


def _is_possible(line: str, order: int, most: int) -> bool:
    """Return whether a line declares at most ``most`` n-grams of this order, and at least one if they are words."""
    found = COUNT.fullmatch(line)
    return found is not None and int(found[1]) == order and (order == 1) <= int(found[2]) <= most


def _head(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(64)


def _header(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of the lines before the first section that are not blank."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for number in range(1, HEADER_LINES + 1):
            line = file.readline(LINE_LENGTH)
            if not line:
                return
            line = line.strip()
            if line.startswith("\\") and line != "\\data\\":
                return
            if line:
                yield number, line


def arpa_words(path: str | Path) -> set[str]:
    """Return the unigrams of an ARPA file; none where it is no such file."""
    words: set[str] = set()
    inside = False
    if _head(path).startswith((BINARY, *COMPRESSED)):
        return words
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            if line.startswith("\\"):
                if inside:
                    break
                inside = line.strip() == "\\1-grams:"
            elif inside and len(line.split()) > 1:
                words.add(line.split()[1])
            elif not inside and number > HEADER_LINES:
                break
    return words
