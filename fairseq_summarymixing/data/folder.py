"""Run ``manifest folder``: make fairseq manifests from any tree of audio files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from .audio import BadAudio
from .copies import Copies
from .described import Described, Entry, describe
from .folder_options import check_options, check_places, check_rules, check_sources, compile_speaker, refuse_leftovers
from .folder_summary import empty_split, nothing_found, nothing_left, summary
from .formats import EXTENSIONS, extension_of, is_audio, why_passed_over
from .manifest import file_names, unwritable, write_splits
from .parallel import map_in_threads
from .recordings import Recording, copy_name, examine, read_sidecar, speaker_in_path
from .report import Report
from .splits import assign_by_hash, assign_by_lists, split_percents
from .text_rules import text_rules
from .walk import find_files

FIRST_FOLDER = r"^([^/]+)/"
SIDECAR = "sidecar"


def make_manifests(
    source: str | Path,
    out: str | Path,
    *,
    valid_percent: float | None = None,
    test_percent: float | None = None,
    split_by: str = "file",
    speaker_regex: str = FIRST_FOLDER,
    split_lists: Mapping[str, str | Path] | None = None,
    transcripts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    case: str | None = None,
    keep_characters: str | None = None,
    resample: int | None = None,
    min_seconds: float = 0.1,
    max_seconds: float = float("inf"),
    extensions: Sequence[str] = EXTENSIONS,
    workers: int | None = None,
) -> str:
    """Write OUT/{train,valid,test}.tsv and OUT/report.tsv; returns the summary to print.

    With transcripts also .wrd, .ltr and dict.ltr.txt, for the recordings that have one; with labels .cls and
    dict.cls.txt. A split of 0 percent is not written. The same tree gives the same bytes on every machine and in every
    run. All manifests are written at the end, or none.

    Args:
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
        workers: threads; None is one per processor.

    Raises:
        UserError: see the messages; nothing that was there is changed, but for report.tsv and OUT/audio.
    """
    source, out = Path(os.path.abspath(source)), Path(os.path.abspath(out))
    extensions = [extension.strip().lstrip(".").lower() for extension in extensions]
    split_lists, columns = dict(split_lists or {}), dict(columns or {})
    check_options(split_by, resample, min_seconds, max_seconds, extensions)
    has_text = check_sources(transcripts, columns, split_lists)
    percents = split_percents(valid_percent, test_percent, split_lists)
    rules = text_rules(case, keep_characters)
    check_rules(has_text, case, keep_characters)
    pattern = compile_speaker(speaker_regex) if split_by == "speaker" and "speaker" not in columns else None
    check_places(source, out, resample)
    refuse_leftovers(out, file_names(percents, has_text, "label" in columns))

    report = Report()
    found, passed_over = _find(source, extensions, report)
    table = None if transcripts in (None, SIDECAR) else transcripts
    described = describe(found, source, table, columns, split_lists, report)
    listed = {path for paths in described.members.values() for path in paths}
    wanted = [path for path in found if path in listed] if split_lists else found
    paths = _writable_names(wanted, resample, report)
    copies = Copies(out / "audio") if resample else None
    examine_one = partial(
        examine,
        source=source,
        copies=copies,
        seconds=(min_seconds, max_seconds),
        **_finders(source, transcripts, columns, described, rules, pattern, has_text),
    )
    label = "resampling" if resample else "reading headers"
    results = list(map_in_threads(examine_one, paths, workers, label))
    if copies is not None:
        copies.finish()
    recordings = {path: result for path, result in zip(paths, results) if isinstance(result, Recording)}
    problems = {path: result for path, result in zip(paths, results) if isinstance(result, BadAudio)}
    for path, problem in problems.items():
        report.add(path, str(problem))
    report_path = report.write(out)
    if not recordings:
        raise nothing_left(source, len(wanted), problems, report, report_path)

    if split_lists:
        splits = assign_by_lists(recordings, described.members)
    else:
        splits = assign_by_hash(recordings, percents, split_by)
    for split, content in splits.items():
        if not content:
            why = report.such_as(described.members.get(split, ()))
            raise empty_split(split, split_by, percents[split], recordings, why, report_path)
    root = out / "audio" if resample else source
    write_splits(out, root, {split: [one.row for one in content] for split, content in splits.items()})
    considered, unlisted = len(wanted) + len(passed_over), len(found) - len(wanted)
    left_out = considered - len(recordings)
    return summary(splits, considered, left_out, passed_over, unlisted, len(report.entries), report_path)


def _find(source: Path, extensions: Sequence[str], report: Report) -> tuple[list[str], list[str]]:
    """Return the recordings with one of the extensions, and those of other formats, which go to the report."""
    files = find_files(source, report.add)
    found = [path for path in files if extension_of(path) in extensions]
    passed_over = [path for path in files if extension_of(path) not in extensions and is_audio(path)]
    for path in passed_over:
        report.add(path, why_passed_over(path, extensions))
    if not found:
        raise nothing_found(source, extensions, passed_over, Counter(map(extension_of, files)))
    return found, passed_over


def _writable_names(found: Sequence[str], resample: int | None, report: Report) -> list[str]:
    """Return the paths that a manifest, and with ``resample`` a copy of its own, can be made for."""
    paths, copies = [], {}
    for path in found:
        reason = unwritable(copy_name(path) if resample else path)
        if reason is None and resample:
            first = copies.setdefault(copy_name(path), path)
            reason = None if first == path else f"its copy would have the same name as that of {first}"
        if reason is None:
            paths.append(path)
        else:
            report.add(path, reason)
    return paths


def _finders(source, transcripts, columns, described: Described, rules, pattern, has_text: bool) -> dict[str, Callable]:
    """Return the functions by which ``examine`` finds a path's text, speaker and label."""

    def entry(path: str) -> Entry:
        return described.entries.get(path, Entry())

    def text_of(path: str) -> str:
        text = read_sidecar(source / path) if transcripts == SIDECAR else entry(path).text or ""
        if text and not rules(text):
            raise BadAudio("no transcript: none of its characters is one of `keep_characters`")
        return rules(text)

    finders: dict[str, Callable] = {"text_of": text_of} if has_text else {}
    if "label" in columns:
        finders["label_of"] = lambda path: entry(path).label or ""
    if "speaker" in columns:
        finders["speaker_of"] = lambda path: entry(path).speaker or ""
    elif pattern is not None:
        finders["speaker_of"] = partial(speaker_in_path, pattern=pattern)
    return finders
