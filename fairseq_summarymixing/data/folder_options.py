"""Check the options of ``manifest folder`` before a file is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import UserError
from ..input_files import no_folder
from .audio import SAMPLE_RATE
from .described import FIELDS
from .manifest import check_root
from .splits import SPLITS


def check_options(split_by, resample, min_seconds, max_seconds, extensions) -> None:
    """Raise a UserError for a value that no corpus could be read with."""
    if split_by not in ("file", "speaker"):
        raise UserError(f"`split_by` must be file or speaker; got {split_by!r}")
    if resample not in (None, SAMPLE_RATE):
        raise UserError(f"`resample` must be {SAMPLE_RATE}, the rate that fairseq trains at; got {resample}")
    if not 0 <= min_seconds < max_seconds:
        raise UserError(
            f"`min_seconds` must be 0 or more and below `max_seconds`; got {min_seconds:g} and {max_seconds:g}"
        )
    if not extensions or "" in extensions or "raw" in extensions:
        raise UserError("`extensions` must name formats with a header, such as wav,flac")


def check_sources(
    transcripts: str | Path | None, columns: Mapping[str, str], split_lists: Mapping[str, str | Path]
) -> bool:
    """Return whether recordings get transcripts; raises UserError for columns and lists that do not go together."""
    unknown = sorted(set(columns) - set(FIELDS))
    if unknown or (columns and "path" not in columns):
        raise UserError(
            f"`columns` must name a column for path, and may for {', '.join(FIELDS[1:])}; got {', '.join(columns)}"
        )
    for split in split_lists:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", split) or split in ("report", "dict.ltr", "dict.cls"):
            raise UserError(f"`split_lists`: {split!r} is no name of a split; expected such as train, valid, test")
    if str(transcripts) == "sidecar":
        if "text" in columns:
            raise UserError("`transcripts` sidecar and a column for text: take text from one of them")
        return True
    if columns and transcripts is None and not split_lists:
        raise UserError("`columns` needs a table: name one in `transcripts` or in `split_lists`")
    return "text" in columns if columns else transcripts is not None


def check_rules(has_text: bool, case: str | None, keep_characters: str | None) -> None:
    """Raise a UserError for rules of transcripts where there are none."""
    if not has_text and (case, keep_characters) != (None, None):
        name = "case" if case is not None else "keep_characters"
        raise UserError(f"`{name}` needs transcripts: name a table in `transcripts`, or a column for text in `columns`")


def compile_speaker(expression: str) -> re.Pattern:
    """Return the pattern with its one group; raises UserError when it is not a pattern of one group."""
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise UserError(f"`speaker_regex` {expression!r} is no regular expression: {error}") from error
    if pattern.groups != 1:
        raise UserError(f"`speaker_regex` must have one group, the speaker; {expression!r} has {pattern.groups}")
    return pattern


def check_places(source: Path, out: Path, resample: int | None) -> None:
    """Raise a UserError when SRC is no folder, or when this or the next run would mix up SRC and OUT."""
    if not source.is_dir():
        raise UserError(f"{no_folder(source)}; expected a folder of recordings")
    check_root(out / "audio" if resample else source)
    real_source, real_out = source.resolve(), out.resolve()
    if real_source == real_out or real_source in real_out.parents:
        raise UserError(
            f"OUT must not lie in {source}, or the next run would take its files for recordings; choose another than "
            f"{out}"
        )
    copies = real_out / "audio"
    if resample and (real_source == copies or copies in real_source.parents):
        raise UserError(f"the copies in {copies} would be written over the recordings in {source}; choose another OUT")


def refuse_leftovers(out: Path, renewed: Collection[str]) -> None:
    """Raise a UserError when OUT holds a test.tsv, a train.ltr or the like that would not fit the ``renewed`` files."""
    splits = {*SPLITS, *(Path(name).stem for name in renewed)}
    ours = {f"{split}.{kind}" for split in splits for kind in ("tsv", "wrd", "ltr", "cls", "trials")}
    ours |= {f"dict.{kind}.txt" for kind in ("ltr", "cls")}
    stale = sorted(name for name in ours - set(renewed) if (out / name).exists())
    if stale:
        raise UserError(
            f"{out} holds {', '.join(stale)} that this run would not renew; remove them or choose another OUT"
        )
