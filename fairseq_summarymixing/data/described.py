"""Read tables and lists about recordings: transcript, speaker, label, and the split that they are in."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError, counted
from ..text_files import read_lines
from .report import Report
from .transcripts import RecordingIndex, clean, match_table, read_table

FIELDS = ("path", "text", "speaker", "label")
DELIMITERS = ("\t", ",", ";")
LONGEST_CELL = 20  # lines


@dataclass(frozen=True)
class Entry:
    """What a line of a table gives for a recording; "" where a cell is empty, None without such a column."""

    text: str | None = None
    speaker: str | None = None
    label: str | None = None


Table = Sequence[tuple[str, Entry]]
"""Recordings as a table names them, each with what its line gives."""


@dataclass
class Described:
    """Entries by path, and the paths of each split that a list names, in the list's order, repeats included."""

    entries: dict[str, Entry] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)


def describe(
    found: Sequence[str],
    source: Path,
    transcripts: str | Path | None,
    columns: Mapping[str, str] | None,
    split_lists: Mapping[str, str | Path],
    report: Report,
) -> Described:
    """Read a table of transcripts and the lists of splits, and pair their lines with recordings.

    Args:
        found: paths of the recordings, relative to ``source``.
        transcripts: a table; with ``columns`` one with a header, else "recording<TAB>text" per line.
        columns: names of columns by field, see FIELDS.
        split_lists: files by split: a recording per line, or, where its header has the column of the path, a table.
        report: gets the lines that fit no recording.

    Raises:
        UserError: a file is malformed, fits no recording, or contradicts another.
    """
    if transcripts is None and not split_lists:
        return Described()
    index = RecordingIndex(found, source)
    tables, lists = _read_files(transcripts, columns or {}, split_lists)
    entries = _pair_entries(tables, index, str(transcripts), report)
    members = {split: _pair_members(split, split_lists[split], keys, index, report) for split, keys in lists.items()}
    return Described(entries, members)


def _read_files(
    transcripts: str | Path | None, columns: Mapping[str, str], split_lists: Mapping[str, str | Path]
) -> tuple[dict[str, Table], dict[str, list[str]]]:
    """Return the tables by the name of their file, and the recordings that each split's list names."""
    tables = {} if transcripts is None else {str(transcripts): _read_table(transcripts, columns)}
    lists = {}
    for split, path in split_lists.items():
        if columns and has_columns(path, columns):
            tables[str(path)] = read_entries(path, columns)
            lists[split] = [key for key, _ in tables[str(path)]]
        else:
            lists[split] = read_list(path)
    if columns and not tables:
        raise UserError(
            f"no file of `split_lists` has the column {columns['path']!r} in its first line: mend `columns`, or "
            "name the table in `transcripts`"
        )
    return tables, lists


def _pair_entries(
    tables: Mapping[str, Table], index: RecordingIndex, transcripts: str, report: Report
) -> dict[str, Entry]:
    """Return the entry of each recording by its path; transcripts without a recording go to the report."""
    found: dict[str, Entry] = {}
    table_of: dict[str, str] = {}
    for name, entries in tables.items():
        paired, unused = match_table(_unique(name, entries), index, name)
        _check_fit(name, paired, unused, index)
        for path, entry in paired.items():
            first = table_of.setdefault(path, name)
            if found.setdefault(path, entry) != entry:
                raise UserError(f"{first} and {name} differ about {path}: let one of them alone name it")
        if name == transcripts:
            for key in unused:
                report.add(key, "transcript without a recording")
    return found


def _pair_members(
    split: str, path: str | Path, keys: Sequence[str], index: RecordingIndex, report: Report
) -> list[str]:
    """Return the paths of the recordings that a split's list names, in its order; the others go to the report."""
    found = [(key, index.find(key, str(path))) for key in keys]
    members = [member for _, member in found if member is not None]
    missing = [key for key, member in found if member is None]
    _check_fit(str(path), members, missing, index)
    for key in missing:
        report.add(key, f"listed in {split}, without a recording")
    return members


def read_list(path: str | Path) -> list[str]:
    """Read a recording per line. Raises UserError where a line holds a tab, or there is none."""
    keys = []
    for number, line in enumerate(read_lines(path), start=1):
        if "\t" in line.strip():
            raise UserError(
                f"{path}:{number}: expected one recording per line; found several columns in {line[:60]!r}: "
                "name the columns of a table with a header in `columns`"
            )
        keys += [line.strip()] if line.strip() else []
    if not keys:
        raise UserError(f"{path} names no recordings; expected one per line")
    return keys


def read_entries(path: str | Path, columns: Mapping[str, str]) -> Table:
    """Read the named columns of a table with a header, as (recording, entry) line by line.

    Columns are separated by tabs, and then quotes are a part of the text, or by commas or semicolons, with quotes as
    spreadsheets write them.

    Raises:
        UserError: the table lacks a column, a line lacks cells or has too many, a cell of the path is empty.
    """
    lines = read_lines(path)
    delimiter, header = _header(path, lines, columns)
    places = {what: header.index(name) for what, name in columns.items()}
    entries = []
    for number, cells in _cells(path, lines, delimiter):
        if number == 1 or not any(cell.strip() for cell in cells):
            continue
        if not max(places.values()) < len(cells) <= len(header):
            raise UserError(f"{path}:{number}: expected {len(header)} columns, as in the header; found {len(cells)}")
        values = {what: clean(cells[place]) for what, place in places.items()}
        key = values.pop("path")
        if not key:
            raise UserError(f"{path}:{number}: expected a recording in the column {columns['path']!r}; found nothing")
        entries.append((key, Entry(**values)))
    if not entries:
        raise UserError(f"{path} holds a header only; expected a line for each recording")
    return entries


def has_columns(path: str | Path, columns: Mapping[str, str]) -> bool:
    """Return whether a file begins with a header that has the column of the path."""
    first = next(iter(read_lines(path)), "")
    return any(columns["path"] in _split(first, delimiter) for delimiter in DELIMITERS)


def _header(path: str | Path, lines: Sequence[str], columns: Mapping[str, str]) -> tuple[str, list[str]]:
    first = lines[0] if lines else ""
    delimiter = max(DELIMITERS, key=lambda one: (columns["path"] in _split(first, one), one in first))
    header = _split(first, delimiter)
    if not any(header):
        raise UserError(f"{path}:1: expected a header that names the columns; found an empty line")
    for name in columns.values():
        if name not in header:
            raise UserError(f"{path}:1: there is no column {name!r}; its columns are {', '.join(header)[:200]}")
        if header.count(name) > 1:
            raise UserError(f"{path}:1: {header.count(name)} columns are called {name!r}: rename all but one")
    return delimiter, header


def _split(line: str, delimiter: str) -> list[str]:
    try:
        cells = line.split("\t") if delimiter == "\t" else next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # no line of a table
        return []
    return [cell.strip() for cell in cells]


def _cells(path: str | Path, lines: Sequence[str], delimiter: str):
    """Yield (line number, cells) of every line; a quoted cell may go over several lines."""
    if delimiter == "\t":
        yield from ((number, line.split("\t")) for number, line in enumerate(lines, start=1))
        return
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            count = reader.line_num + 1 - number
            if count > LONGEST_CELL:
                raise UserError(f"{path}:{number}: a row over {counted(count, 'line')}; is a quote not closed?")
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        if "limit" in str(error):
            most = csv.field_size_limit()
            problem = f"{path}:{reader.line_num}: a cell of more than {most:,} characters; is a quote not closed?"
        else:
            problem = (
                f"{path}:{number}: a quoted cell that does not end with its closing quote: close it, and write a quote "
                "inside of it twice"
            )
        raise UserError(problem) from error


def _read_table(path: str | Path, columns: Mapping[str, str]) -> Table:
    if columns:
        return read_entries(path, columns)
    return [(key, Entry(text=text)) for key, text in read_table(path).items()]


def _unique(name: str, entries: Table) -> dict[str, Entry]:
    table: dict[str, Entry] = {}
    for key, entry in entries:
        if table.setdefault(key, entry) != entry:
            raise UserError(f"{name} has two different lines for {key!r}: remove one")
    return table


def _check_fit(name: str, paired: Mapping | Sequence, unused: Sequence[str], index: RecordingIndex) -> None:
    if not paired:
        raise UserError(f"no line of {name} fits a recording: it names {unused[0]!r}, SRC holds {index.first!r}")
