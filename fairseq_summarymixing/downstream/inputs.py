"""Find and read the recordings that a verb is given: files, folders, manifests, and lists of these."""

from __future__ import annotations

import io
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile
import torch
from torch import Tensor

from ..data.audio import SAMPLE_RATE, BadAudio, check_kind, not_audio, probe, read_mono, resample
from ..data.formats import EXTENSIONS
from ..data.manifest import ZIP_PART, read_manifest
from ..data.walk import find_audio
from ..errors import UserError
from ..text_files import MARKS, decode, read_lines
from .input_options import LIST_MARK, STDIN

ReportFailure = Callable[[str, str], None]
"""Called with path and reason of what cannot be used."""


class Recording(NamedTuple):
    """A recording that a verb was given."""

    path: str
    """The file, or ``FILE.zip:OFFSET:LENGTH``."""
    name: str
    """The path without ending, relative to the folder or manifest that holds it; of a file alone its name."""


def find_recordings(audio: Sequence[str | Path], report: ReportFailure) -> list[Recording]:
    """Find all recordings, in the order given; those of a folder are sorted, those that a manifest repeats come once.

    Args:
        audio: files, folders, manifests, ``@FILE`` or ``-``; paths in lists are relative to the current folder.
        report: is called with each folder that cannot be read.

    Raises:
        UserError: a list or manifest cannot be read, there is no recording, or two are the same file or have names
            that cannot be made different.
    """
    given = [path for entry in audio for path in _listed(os.fspath(entry))]
    if not given:
        raise UserError("`audio` holds no recordings: the list is empty")
    found = [recording for path in given for recording in _expand(path, report)]
    if not found:
        raise UserError(f"{given[0]} holds no recordings; expected files of {', '.join(EXTENSIONS)}")
    return _with_different_names(found)


def names_of(root: str, paths: Iterable[str]) -> dict[str, str]:
    """Return the name in the outputs of each path of a manifest, as :func:`find_recordings` names them.

    Raises:
        UserError: two paths are the same file.
    """
    rows = list(dict.fromkeys(paths))
    return {row: recording.name for row, recording in zip(rows, _with_different_names(_in_manifest(root, rows)))}


def file_of(path: str) -> str:
    """Return the file that holds a recording: its own, or a zip file."""
    in_zip = _zip_part(path)
    return in_zip["zip"] if in_zip else path


def read_length(path: str) -> int:
    """Return a recording's length in samples at 16 kHz, by its header, which of MP3 is an estimate.

    Raises:
        BadAudio: it cannot be used.
    """
    source = _source(path)
    if isinstance(source, Path):
        info = probe(source)
        frames, rate = info.frames, info.sample_rate
    else:
        try:
            info = soundfile.info(source)
        except soundfile.LibsndfileError as error:
            raise BadAudio(not_audio(error)) from error
        frames, rate = info.frames, info.samplerate
    return -(-frames * SAMPLE_RATE // rate)


def read_wave(path: str) -> Tensor:
    """Read a recording as (samples,) fp32 at 16 kHz, channels averaged; full scale is 1.

    Raises:
        BadAudio: it cannot be used.
        UserError: resampling needs scipy, which is not installed.
    """
    samples, rate = read_mono(_source(path))
    return torch.from_numpy(resample(samples, rate))


def _listed(entry: str) -> list[str]:
    """Return the lines of a list, or what else is given as it is."""
    if entry == STDIN:
        data = sys.stdin.buffer.read()  # without a mark: names of files, of any bytes
        lines = (decode(data, "standard input") if data.startswith(MARKS) else os.fsdecode(data)).split("\n")
    elif entry == LIST_MARK:
        raise UserError(f"{LIST_MARK} names no list; expected {LIST_MARK}FILE, or {STDIN} for standard input")
    elif entry.startswith(LIST_MARK):
        lines = read_lines(entry[len(LIST_MARK) :])
    else:
        return [entry]
    return [line.strip() for line in lines if line.strip()]


def _expand(path: str, report: ReportFailure) -> list[Recording]:
    if os.path.isdir(path):
        names = find_audio(Path(path), EXTENSIONS, lambda inner, reason: report(os.path.join(path, inner), reason))
        return [Recording(os.path.join(path, name), _without_ending(name)) for name in names]
    if path.lower().endswith(".tsv"):
        root, rows = read_manifest(path)
        return _in_manifest(root, dict.fromkeys(path for path, _ in rows))
    return [Recording(path, _without_ending(os.path.basename(path)))]


def _in_manifest(root: str, paths: Iterable[str]) -> list[Recording]:
    return [Recording(os.path.join(root, path), _inside(path)) for path in paths]


def _inside(name: str) -> str:
    """Return a manifest's path without ending; one that leads out of its root is left with the file's name."""
    name = os.path.normpath(name)
    return _without_ending(os.path.basename(name) if name.startswith(os.pardir) else name)


def _without_ending(name: str) -> str:
    in_zip = ZIP_PART.match(name)
    return f"{in_zip['zip'][:-4]}-{in_zip['offset']}" if in_zip else os.path.splitext(name)[0]


def _with_different_names(recordings: list[Recording]) -> list[Recording]:
    """Return the recordings with names that differ: by the folders in which they differ, or else by their endings."""
    if _twice(recordings) is None:
        return recordings
    paths = [os.path.abspath(recording.path) for recording in recordings]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    whole = [Recording(given.path, os.path.relpath(path, common)) for given, path in zip(recordings, paths)]
    shorter = [Recording(path, _without_ending(name)) for path, name in whole]
    for named in (shorter, whole):
        if _twice(named) is None:
            return named
    raise UserError(f"{_twice(whole)} is given twice: two recordings would be written to one name")


def _twice(recordings: list[Recording]) -> str | None:
    count = Counter(recording.name for recording in recordings)
    return next((recording.path for recording in recordings if count[recording.name] > 1), None)


def _source(path: str) -> Path | io.BytesIO:
    in_zip = _zip_part(path)
    if in_zip is None:
        return Path(path)
    check_kind(in_zip["zip"])
    try:
        with open(in_zip["zip"], "rb") as file:
            offset, length, size = int(in_zip["offset"]), int(in_zip["length"]), os.fstat(file.fileno()).st_size
            if offset + length > size:
                raise BadAudio(f"the zip file has {size} bytes, less than its part's offset and length")
            file.seek(offset)
            return io.BytesIO(file.read(length))
    except OSError as error:
        raise BadAudio(f"not readable: {error.strerror or error}") from error


def _zip_part(path: str) -> re.Match | None:
    return None if os.path.exists(path) else ZIP_PART.match(path)
