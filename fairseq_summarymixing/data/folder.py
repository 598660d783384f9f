"""Run ``manifest folder``: make fairseq manifests from any tree of audio files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..errors import UserError
from .audio import EXTENSIONS, SAMPLE_RATE, BadAudio
from .copies import Copies
from .folder_options import check_options, check_places, compile_speaker, refuse_leftovers
from .manifest import unwritable, write_splits
from .parallel import map_in_threads
from .recordings import Recording, WrongRate, copy_name, examine, read_sidecar
from .report import Report, printable
from .splits import SPLITS, check_percents, choose_split
from .transcripts import match_table, read_table
from .walk import find_audio

FIRST_FOLDER = r"^([^/]+)/"
SIDECAR = "sidecar"


def make_manifests(
    source: str | Path,
    out: str | Path,
    *,
    valid_percent: float = 1,
    test_percent: float = 0,
    split_by: str = "file",
    speaker_regex: str = FIRST_FOLDER,
    transcripts: str | Path | None = None,
    resample: int | None = None,
    min_seconds: float = 0.1,
    max_seconds: float = float("inf"),
    extensions: Sequence[str] = EXTENSIONS,
    workers: int | None = None,
) -> str:
    """Write OUT/{train,valid,test}.tsv and OUT/report.tsv; returns the summary to print.

    With transcripts also .wrd, .ltr and dict.ltr.txt, for the recordings that have one. A split of 0 percent
    is not written. The same tree gives the same bytes on every machine and in every run. All manifests are
    written at the end, or none.

    Args:
        split_by: "file" or "speaker"; a stable hash of the relative path or of the speaker chooses the split.
        speaker_regex: searched in the relative path; its one group is the speaker. Default: the first folder.
        transcripts: a table "recording<TAB>text", or "sidecar" for a .txt file beside each recording.
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
    check_percents(valid_percent, test_percent)
    speaker_pattern = compile_speaker(speaker_regex) if split_by == "speaker" else None
    check_options(split_by, resample, min_seconds, max_seconds, extensions)
    check_places(source, out, resample)
    percents = {"train": 100, "valid": valid_percent, "test": test_percent}
    wanted = [split for split in SPLITS if percents[split] > 0]
    refuse_leftovers(out, wanted, labelled=transcripts is not None)

    report = Report()
    found = find_audio(source, extensions, report.add)
    if not found:
        raise UserError(f"{source} holds no audio files ({', '.join(extensions)})")
    paths = _writable_names(found, resample, report)
    text_of = _text_finder(source, transcripts, found, report)
    copies = Copies(out / "audio") if resample else None
    examine_one = partial(
        examine,
        source=source,
        copies=copies,
        seconds=(min_seconds, max_seconds),
        speaker_pattern=speaker_pattern,
        text_of=text_of,
    )
    label = "resampling" if resample else "reading headers"
    results = list(map_in_threads(examine_one, paths, workers, label))
    if copies is not None:
        copies.finish()
    recordings = [result for result in results if isinstance(result, Recording)]
    problems = {path: result for path, result in zip(paths, results) if isinstance(result, BadAudio)}
    for path, problem in problems.items():
        report.add(path, str(problem))
    report_path = report.write(out)
    if not recordings:
        raise _nothing_left(source, len(found), problems, report, report_path)

    splits: dict[str, list[Recording]] = {split: [] for split in wanted}
    for recording in sorted(recordings, key=lambda recording: recording.row.path):
        splits[choose_split(recording.split_key, valid_percent, test_percent)].append(recording)
    for split, content in splits.items():
        if not content:
            raise _empty_split(split, split_by, percents[split], len({recording.split_key for recording in recordings}))
    root = out / "audio" if resample else source
    write_splits(out, root, {split: [recording.row for recording in content] for split, content in splits.items()})
    return _summary(splits, split_by, len(found), len(found) - len(recordings), len(report.entries), report_path)


def _writable_names(found: list[str], resample: int | None, report: Report) -> list[str]:
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


def _text_finder(source: Path, transcripts, found: list[str], report: Report) -> Callable[[str], str] | None:
    """Return a function from path to transcript, "" where there is none; None when no transcripts were asked for."""
    if transcripts is None:
        return None
    if str(transcripts) == SIDECAR:
        return lambda path: read_sidecar(source / path)
    texts, unused = match_table(read_table(transcripts), found)
    if not texts:
        raise UserError(f"no line of {transcripts} fits a recording: it names {unused[0]!r}, SRC holds {found[0]!r}")
    for key in unused:
        report.add(key, "transcript without a recording")
    return lambda path: texts.get(path, "")


def _nothing_left(source: Path, count: int, problems: dict, report: Report, report_path: Path) -> UserError:
    if len(problems) == count and all(isinstance(problem, WrongRate) for problem in problems.values()):
        path, problem = next(iter(problems.items()))
        return UserError(f"none of the {count} recordings is at {SAMPLE_RATE} Hz ({path}: {problem})")
    path, reason = report.entries[-1]
    return UserError(
        f"none of the {count} audio files in {source} can be used ({printable(path)}: {reason}); see {report_path}"
    )


def _empty_split(split: str, split_by: str, percent: float, count: int) -> UserError:
    what = f"none of the {count} {split_by}s fell into {split}"
    if split == "train":
        return UserError(f"{what}; nothing to train on: lower `valid_percent` and `test_percent`")
    return UserError(f"{what} at `{split}_percent` {percent:g}; raise it, or pass 0 for no {split} manifest")


def _summary(splits, split_by, count, left_out, reported, report_path) -> str:
    lines = []
    for split, recordings in splits.items():
        hours = sum(recording.seconds for recording in recordings) / 3600
        line = f"{split}: {hours:.2f} hours, {len(recordings)} recordings"
        if split_by == "speaker":
            line += f", {len({recording.split_key for recording in recordings})} speakers"
        lines.append(line)
    lines.append(f"left out: {left_out} of {count} recordings" + (f", see {report_path}" if reported else ""))
    if reported > left_out:
        lines[-1] += f" (and {reported - left_out} other lines there: transcripts or folders without a recording)"
    return "\n".join(lines)
