"""Run ``manifest folder``: make fairseq manifests from any tree of audio files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .audio import BadAudio
from .copies import Copies
from .described import Described, Entry, describe
from .folder_options import SIDECAR, FolderOptions, check_places, refuse_leftovers
from .folder_summary import empty_split, nothing_found, nothing_left, summary
from .formats import extension_of, is_audio, why_passed_over
from .manifest import file_names, unwritable, write_splits
from .parallel import map_in_threads
from .recordings import Recording, copy_name, examine, read_sidecar, speaker_in_path
from .report import Report
from .splits import assign_by_hash, assign_by_lists
from .walk import find_files


def make_manifests(source: str | Path, out: str | Path, **settings: Any) -> str:
    """Write OUT/{train,valid,test}.tsv and OUT/report.tsv; returns the summary to print.

    With transcripts also .wrd, .ltr and dict.ltr.txt, for the recordings that have one; with labels .cls and
    dict.cls.txt. A split of 0 percent is not written. The same tree gives the same bytes on every machine and in every
    run. All manifests are written at the end, or none.

    Args:
        settings: by name, those of :class:`.folder_options.FolderOptions`.

    Raises:
        UserError: see the messages; nothing that was there is changed, but for report.tsv and OUT/audio.
    """
    source, out = Path(os.path.abspath(source)), Path(os.path.abspath(out))
    options = FolderOptions(**settings)
    check_places(source, out, options.resample)
    refuse_leftovers(out, file_names(options.percents, options.has_text, options.has_label))

    report = Report()
    found, passed_over = _find(source, options.extensions, report)
    described = describe(found, source, options.table, options.columns, options.split_lists, report)
    wanted = _listed(found, described) if options.split_lists else found
    paths = _writable_names(wanted, options.resample, report)
    root = out / "audio" if options.resample else source
    recordings, problems = _examine(paths, source, root, options, described, report)
    report_path = report.write(out)
    if not recordings:
        raise nothing_left(source, len(wanted), problems, report, report_path)
    splits = _assign(recordings, options, described, report, report_path)
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


def _listed(found: Sequence[str], described: Described) -> list[str]:
    """Return the recordings that a list of a split names."""
    listed = {path for paths in described.members.values() for path in paths}
    return [path for path in found if path in listed]


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


def _examine(
    paths: Sequence[str], source: Path, root: Path, options: FolderOptions, described: Described, report: Report
) -> tuple[dict[str, Recording], dict[str, BadAudio]]:
    """Return the recordings that can be used, and why the others cannot, which the report gets, by path.

    With ``options.resample``, copies are made in ``root``.
    """
    copies = Copies(root) if options.resample else None
    examine_one = partial(
        examine,
        source=source,
        copies=copies,
        seconds=(options.min_seconds, options.max_seconds),
        **_finders(source, options, described),
    )
    label = "resampling" if options.resample else "reading headers"
    results = dict(zip(paths, list(map_in_threads(examine_one, paths, options.workers, label))))
    if copies is not None:
        copies.finish()
    recordings = {path: result for path, result in results.items() if isinstance(result, Recording)}
    problems = {path: result for path, result in results.items() if isinstance(result, BadAudio)}
    for path, problem in problems.items():
        report.add(path, str(problem))
    return recordings, problems


def _assign(
    recordings: Mapping[str, Recording], options: FolderOptions, described: Described, report: Report, report_path: Path
) -> dict[str, list[Recording]]:
    """Return the recordings of each split; raises UserError where a split has none."""
    if options.split_lists:
        splits = assign_by_lists(recordings, described.members)
    else:
        splits = assign_by_hash(recordings, options.percents, options.split_by)
    for split, content in splits.items():
        if not content:
            why = report.such_as(described.members.get(split, ()))
            raise empty_split(split, options.split_by, options.percents[split], recordings, why, report_path)
    return splits


def _finders(source: Path, options: FolderOptions, described: Described) -> dict[str, Callable]:
    """Return the functions by which ``examine`` finds a path's text, speaker and label."""

    def entry(path: str) -> Entry:
        return described.entries.get(path, Entry())

    def text_of(path: str) -> str:
        text = read_sidecar(source / path) if options.transcripts == SIDECAR else entry(path).text or ""
        written = options.rules(text)
        if text and not written:
            raise BadAudio("no transcript: none of its characters is one of `keep_characters`")
        return written

    finders: dict[str, Callable] = {"text_of": text_of} if options.has_text else {}
    if options.has_label:
        finders["label_of"] = lambda path: entry(path).label or ""
    if "speaker" in options.columns:
        finders["speaker_of"] = lambda path: entry(path).speaker or ""
    elif options.speaker_pattern is not None:
        finders["speaker_of"] = partial(speaker_in_path, pattern=options.speaker_pattern)
    return finders
