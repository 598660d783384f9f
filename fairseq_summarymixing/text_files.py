"""Read text files as any program writes them: manifests, labels, dictionaries, lexicons, tables."""

import codecs
import io
from pathlib import Path
from typing import IO, Any, List, Union

from .errors import UserError
from .input_files import check_file

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MARKS = (codecs.BOM_UTF8, *UTF_16)


def read_text(path: Union[str, Path]) -> str:
    """Read a text file: UTF-8 with or without a byte order mark, or UTF-16 with one; every line end becomes "\\n".

    Raises:
        UserError: it cannot be read, is no file, is in another encoding, or holds a NUL character.
    """
    check_file(path)
    try:
        return decode(Path(path).read_bytes(), path)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_lines(path: Union[str, Path]) -> List[str]:
    """Read the lines of a text file, without their ends. Nothing else ends a line: no form feed, no U+2028.

    Raises:
        UserError: as :func:`read_text`.
    """
    lines = read_text(path).split("\n")
    return lines if lines[-1] else lines[:-1]


def open_text(path: Union[str, Path], mode: str = "r", *args: Any, **kwargs: Any) -> IO:
    """Open a file as ``open`` does; text to read is decoded as by :func:`read_text`.

    Raises:
        OSError: as ``open``.
        UserError: text in another encoding, or no file.
    """
    if mode not in ("r", "rt"):
        return open(path, mode, *args, **kwargs)
    check_file(path)
    with open(path, "rb") as file:
        return io.StringIO(decode(file.read(), path))


def encoding_of(begin: bytes) -> str:
    """Return the encoding of a text of which these are the first bytes."""
    return "utf-16" if begin.startswith(UTF_16) else "utf-8-sig"


def decode(data: bytes, path: Union[str, Path]) -> str:
    """Decode the content of a text file as :func:`read_text` does; ``path`` is for its UserError."""
    encoding = encoding_of(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name, line = encoding[:6].upper().rstrip("-"), data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} is not {name} text (line {line}, byte {error.start}); save it as UTF-8") from error
    if "\0" in text:  # mostly UTF-16 without its mark, or UTF-32
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path} is no text: line {line} holds a NUL character; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
