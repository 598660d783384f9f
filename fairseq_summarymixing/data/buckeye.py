"""Read the Buckeye corpus of conversations, zipped or unpacked, and cut its recordings into segments of speech."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import soundfile

from ..errors import UserError, counted, duration
from .audio import SAMPLE_RATE, BadAudio, not_audio, write_flac
from .folder_options import check_places, refuse_leftovers
from .manifest import Row, file_names, write_splits
from .parallel import map_in_threads
from .report import Report

SPLIT_OF = {"s36": "valid", "s37": "valid", "s38": "test", "s39": "test", "s40": "test"}
SPEAKERS = 40
BAD_ZIP = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)  # RuntimeError: encrypted
NO_WORD = re.compile(r"[<{].*|uh")
# END, colour, word; the rest is how it was said
LINE = re.compile(r"\s*(?P<end>\d+\.\d+)\s+\d+\s+(?P<word>[^;]*?)\s*(;|$)")


@dataclass
class Recording:
    """The two files of a recording: a function for each, which reads it."""

    name: str
    files: dict[str, Callable[[], bytes]] = field(default_factory=dict)

    def read(self, kind: str) -> bytes:
        """Return the content of the .wav or the .words file; raises BadAudio when it is not there or damaged."""
        if kind not in self.files:
            raise BadAudio(f"no .{kind} file")
        try:
            return self.files[kind]()
        except BAD_ZIP as error:
            raise BadAudio(why_not(error)) from error


def split_of(recording: Recording) -> str:
    """Return the split that a recording's speaker, the first three characters of its name, belongs to."""
    return SPLIT_OF.get(recording.name[:3], "train")


def find_recordings(corpus: Path, report: Report) -> list[Recording]:
    """Return every recording, from .wav and .words files, zips, and zips inside of zips, sorted by name."""
    recordings = {}
    for path in sorted(corpus.rglob("s[0-9]*")):
        if path.suffix == ".zip":
            try:
                add_zip(partial(open, path, "rb"), recordings)
            except BAD_ZIP as error:
                report.add(str(path.relative_to(corpus)), why_not(error))
        elif path.is_file():
            add_file(path.name, path.read_bytes, recordings)
    if not recordings and report.entries:
        raise UserError(f"no recording in {corpus} can be read{report.such_as()}")
    if not recordings:
        raise UserError(
            f"{corpus} holds neither s01.zip and so on nor s0101a.wav and so on; expected the Buckeye corpus"
        )
    return [recordings[name] for name in sorted(recordings)]


def why_not(error: Exception) -> str:
    """Return why a file, or a zip or a part of one, cannot be read."""
    if isinstance(error, OSError):
        return f"not readable: {error.strerror or error}"
    known = isinstance(error, RuntimeError)  # encrypted, or packed in a way that Python does not know
    return f"not readable: {error if known else 'damaged or cut short; copy it again'}"


def add_file(name: str, read: Callable[[], bytes], recordings: dict[str, Recording]) -> None:
    stem, _, kind = name.rpartition("/")[2].rpartition(".")
    if re.fullmatch(r"s\d\d\d\d[a-z]", stem) and kind in ("wav", "words"):
        recordings.setdefault(stem, Recording(stem)).files.setdefault(kind, read)


def add_zip(open_zip: Callable, recordings: dict[str, Recording]) -> None:
    """Add what a zip holds, to be read when it is needed: all of it would not fit into memory."""
    with open_zip() as file, zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            member = partial(read_member, open_zip, name)
            if name.endswith(".zip"):
                add_zip(lambda member=member: io.BytesIO(member()), recordings)
            else:
                add_file(name, member, recordings)


def read_member(open_zip: Callable, name: str) -> bytes:
    with open_zip() as file, zipfile.ZipFile(file) as archive:
        return archive.read(name)


def find_segments(words: str, min_seconds: float, min_words: int) -> list[tuple[int, int, str]]:
    """Return [(first sample, sample after the last, text)] of the runs of words that are long enough.

    Raises:
        BadAudio: a time before the one above.
    """
    segments, run, begin, before = [], [], 0.0, 0.0

    def close() -> None:
        if len(run) >= min_words and before - begin >= min_seconds:
            segments.append((round(begin * SAMPLE_RATE), round(before * SAMPLE_RATE), " ".join(run)))
        run.clear()

    for line in words.partition("#\n")[2].splitlines():
        found = LINE.match(line)
        if not found:
            continue
        end, word = float(found["end"]), found["word"]
        if end < before:
            raise BadAudio(f".words out of order: {end:.2f} s after {before:.2f} s")
        if not word or NO_WORD.fullmatch(word):
            close()
        else:
            begin = begin if run else before
            run.append(word)
        before = end
    close()
    return segments


def cut(
    recording: Recording, out: Path, rules: Callable[[str], str], min_seconds: float, min_words: int
) -> list[Row] | BadAudio:
    """Return the rows of a recording's segments, which are written to OUT/audio; or why it cannot be used."""
    rows = []
    try:
        words = recording.read("words").decode("utf-8", errors="replace").replace("\r\n", "\n")
        segments = find_segments(words, min_seconds, min_words)
        samples, rate = soundfile.read(io.BytesIO(recording.read("wav")), dtype="int16", always_2d=True)
        if rate != SAMPLE_RATE or samples.shape[1] != 1:
            raise BadAudio(f"not 16 kHz mono: {rate} Hz, channels: {samples.shape[1]}")
        for first, last, text in segments:
            if last > len(samples):
                raise BadAudio(f".words up to {last / rate:.2f} s, the recording has {len(samples) / rate:.2f} s")
            text = rules(text)
            if text:
                path = f"{recording.name[:3]}/{recording.name}-{len(rows):03d}.flac"
                write_flac(out / "audio" / path, samples[first:last, 0])
                rows.append(Row(path, last - first, text))
    except BadAudio as problem:
        return problem
    except soundfile.LibsndfileError as error:
        return BadAudio(not_audio(error))
    return rows or BadAudio(f"no run of {min_words} words in {min_seconds:g} s")


def write_segments(
    corpus: Path,
    out: Path,
    rules: Callable[[str], str],
    min_seconds: float = 2,
    min_words: int = 3,
    workers: int | None = None,
) -> str:
    """Cut every recording into OUT/audio/SPEAKER/RECORDING-NNN.flac, and write the manifests and transcripts of train,
    valid and test, and OUT/report.tsv; returns the summary.

    Args:
        rules: how transcripts are written; see :func:`.text_rules`.
        min_seconds: shorter segments, or those of fewer words, are passed over.

    Raises:
        UserError: CORPUS is not Buckeye, no recording of a split can be used, OUT cannot be written.
    """
    report = Report()
    recordings = find_recordings(corpus, report)
    check_places(corpus, out.absolute(), SAMPLE_RATE)
    splits: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    refuse_leftovers(out, file_names(splits, has_text=True))
    work = partial(cut, out=out, rules=rules, min_seconds=min_seconds, min_words=min_words)
    for recording, result in zip(recordings, map_in_threads(work, recordings, workers, "cutting")):
        if isinstance(result, BadAudio):
            report.add(recording.name, str(result))
        else:
            splits[split_of(recording)] += result
    report_path = report.write(out)
    for split, rows in splits.items():
        if not rows:
            speakers = ", ".join(speaker for speaker, of in SPLIT_OF.items() if of == split) or "all others"
            names = {recording.name for recording in recordings if split_of(recording) == split}
            raise UserError(
                f"no recording of {split} (speakers: {speakers}) in {corpus} can be used"
                f"{report.such_as(names)}; see {report_path}"
            )
    write_splits(out, out / "audio", splits)
    lines = [f"{split}: {_size(rows)}" for split, rows in splits.items()]
    return "\n".join([*lines, report.summary(report_path)])


def _size(rows: Sequence[Row]) -> str:
    """Return the length, segments and speakers of a split, for people."""
    length = duration(sum(row.frames for row in rows) / SAMPLE_RATE)
    speakers = len({row.path[:3] for row in rows})
    return f"{length}, {counted(len(rows), 'segment')}, {counted(speakers, 'speaker')}"
