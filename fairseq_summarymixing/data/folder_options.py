"""Hold the options of ``manifest folder``, which are checked before a file is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from ..input_files import no_folder
from .audio import SAMPLE_RATE
from .described import FIELDS
from .formats import EXTENSIONS
from .manifest import check_root
from .splits import SPLITS, split_percents
from .text_rules import text_rules

FIRST_FOLDER = r"^([^/]+)/"
SIDECAR = "sidecar"


@dataclass
class FolderOptions:
    """What manifests :func:`.folder.make_manifests` makes.

    Attributes:
        valid_percent, test_percent: of the recordings or speakers, None for 1 and 0; what is left is for training.
        split_by: "file" or "speaker"; a stable hash of the relative path or of the speaker chooses the split.
        speaker_regex: searched in the relative path; its one group is the speaker. Default: the first folder. A
            speaker of ``columns`` counts instead.
        split_lists: published splits instead, as files by split: a recording per line, or a table with ``columns``.
            Recordings in no list are passed over; a recording that a list names twice is written twice.
        transcripts: a table "recording<TAB>text", or with ``columns`` a table with a header, or "sidecar" for a .txt
            file beside each recording.
        columns: which columns of the tables are "path", "text", "speaker" and "label", as far as they are there.
        case, keep_characters: see ``text_rules``; None takes text as it is.
        resample: 16000 writes every recording as 16 kHz mono FLAC under OUT/audio, which becomes the root,
            since a manifest has one root; copies of an earlier run are kept where the recording has the same
            size, time and length as then (OUT/audio/sources.tsv). None refers to the files where they are and
            leaves out those of another rate; several channels are fine, fairseq averages them.
        min_seconds, max_seconds: recordings outside are left out, by the length in their header.
        extensions: of the files that are read, in either case.
        workers: threads; None is one per processor.
        has_text: whether recordings get transcripts.
        percents: by the name of each split to make; None of those of lists.
        rules: write a transcript by ``case`` and ``keep_characters``.
        speaker_pattern: finds the speaker in a relative path; None where no speaker is wanted, or a column gives it.

    Raises:
        UserError: a value that no corpus could be read with, or values that do not go together.
    """

    valid_percent: float | None = None
    test_percent: float | None = None
    split_by: str = "file"
    speaker_regex: str = FIRST_FOLDER
    split_lists: Mapping[str, str | Path] | None = None
    transcripts: str | Path | None = None
    columns: Mapping[str, str] | None = None
    case: str | None = None
    keep_characters: str | None = None
    resample: int | None = None
    min_seconds: float = 0.1
    max_seconds: float = float("inf")
    extensions: Sequence[str] = EXTENSIONS
    workers: int | None = None
    has_text: bool = field(init=False)
    percents: dict[str, float | None] = field(init=False)
    rules: Callable[[str], str] = field(init=False)
    speaker_pattern: re.Pattern | None = field(init=False)

    def __post_init__(self) -> None:
        self.extensions = [extension.strip().lstrip(".").lower() for extension in self.extensions]
        self.split_lists, self.columns = dict(self.split_lists or {}), dict(self.columns or {})
        check_options(self.split_by, self.resample, self.min_seconds, self.max_seconds, self.extensions)
        self.has_text = check_sources(self.transcripts, self.columns, self.split_lists)
        self.percents = split_percents(self.valid_percent, self.test_percent, self.split_lists)
        self.rules = text_rules(self.case, self.keep_characters)
        check_rules(self.has_text, self.case, self.keep_characters)
        needs_pattern = self.split_by == "speaker" and "speaker" not in self.columns
        self.speaker_pattern = compile_speaker(self.speaker_regex) if needs_pattern else None

    @property
    def table(self) -> str | Path | None:
        """The table of transcripts, if there is one."""
        return None if self.transcripts == SIDECAR else self.transcripts

    @property
    def has_label(self) -> bool:
        """Whether recordings get labels."""
        return "label" in self.columns


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
    if str(transcripts) == SIDECAR:
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
