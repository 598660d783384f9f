"""Check the options of ``manifest folder`` before a file is read."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UserError
from .audio import SAMPLE_RATE
from .manifest import unwritable
from .report import printable
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
        raise UserError(f"{source} is not a folder" if source.exists() else f"{source} does not exist")
    root = str(out / "audio" if resample else source)
    if unwritable(root):
        raise UserError(f"{printable(root)} cannot stand in a manifest: {unwritable(root)}")
    real_source, real_out = source.resolve(), out.resolve()
    if real_source == real_out or real_source in real_out.parents:
        raise UserError(
            f"OUT must not lie in SRC, or the next run would take its files for recordings; choose another than {out}"
        )
    copies = real_out / "audio"
    if resample and (real_source == copies or copies in real_source.parents):
        raise UserError(f"the copies in {copies} would be written over SRC; choose another OUT")


def refuse_leftovers(out: Path, wanted: list[str], labelled: bool) -> None:
    """Raise a UserError when OUT holds, for example, a test.tsv or train.ltr that would not fit the new files."""
    endings = ("tsv", "wrd", "ltr")
    ours = {f"{split}.{ending}" for split in SPLITS for ending in endings} | {"dict.ltr.txt"}
    new = {f"{split}.{ending}" for split in wanted for ending in (endings if labelled else ("tsv",))}
    stale = sorted(name for name in ours - new if (out / name).exists() and not (labelled and name == "dict.ltr.txt"))
    if stale:
        raise UserError(
            f"{out} holds {', '.join(stale)} that this run would not renew; remove them or choose another OUT"
        )
