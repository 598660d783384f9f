"""Transcribe recordings of any length with a fine-tuned CTC model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..checkpoints import Checkpoint
from ..data.audio import SAMPLE_RATE, BadAudio
from ..errors import UserError, printable
from ..files import atomic_write, make_folder
from ..input_files import kind_of
from ..modules.lean.derived import weights_unchanged
from .beam_search import BeamSearch
from .decoder import Decoder, make_decoder
from .devices import pick_device
from .emissions import Batching, EmissionModel, check_finite, plan_batches
from .encoder import UnfitLength, normalised
from .inputs import Recording, ReportFailure, find_recordings, read_length, read_wave
from .progress import AudioProgress, warn, warn_of
from .recogniser import check_checkpoint, load_recogniser
from .transcript import FORMATS, FORMATS_OF_MANY, Transcript

# Transcripts are given in order as soon as so much audio is computed, within which batches are of like lengths
GROUP_SECONDS = 3600.0


class Outcome(NamedTuple):
    """What became of the recordings that were to be transcribed."""

    transcribed: int
    failed: int


def transcribe(
    checkpoint: str | Path,
    audio: Sequence[str | Path],
    out: str | Path | None = None,
    format: str = "txt",
    batching: Batching | None = None,
    beam_search: BeamSearch | None = None,
    data: str | Path | None = None,
    report: ReportFailure = warn_of,
) -> Outcome:
    """Transcribe recordings and write what was recognised.

    Args:
        checkpoint: a fairseq ``wav2vec_ctc`` checkpoint, ours or stock.
        audio: as :func:`.inputs.find_recordings` takes it.
        out: a folder for a file for each recording, OUT/NAME.FORMAT; or with the format's ending, such as ``all.ctm``,
            one file of all; None = print them. Each file is written whole or not at all.
        format: one of :data:`.transcript.FORMATS`. One file of many recordings holds, of "txt", NAME<TAB>text, a line
            for each; of "json", an object on each line.
        batching: None = its defaults.
        beam_search: with a language model; None = greedy.
        data: folder with the dictionary of a checkpoint that holds none.
        report: called with path and reason of each recording that cannot be used.

    Raises:
        UserError: an argument or the checkpoint cannot be used.
    """
    failures: list[str] = []

    def note(path: str, reason: str) -> None:
        failures.append(path)
        report(path, reason)

    recordings = find_recordings(audio, note)
    is_alone = len(audio) == 1 and recordings[0].path == os.fspath(audio[0])
    write = _writer(recordings, out, format, is_alone)
    transcriber = Transcriber(checkpoint, batching, beam_search, data)
    written = write(transcriber(recordings, note))
    return Outcome(written, len(failures))


def transcripts(
    checkpoint: str | Path,
    audio: Sequence[str | Path],
    batching: Batching | None = None,
    beam_search: BeamSearch | None = None,
    data: str | Path | None = None,
    report: ReportFailure = warn_of,
) -> Iterator[Transcript]:
    """Yield the transcript of each recording that can be used, in order. Arguments and errors are those of
    :func:`transcribe`."""
    recordings = find_recordings(audio, report)
    return Transcriber(checkpoint, batching, beam_search, data)(recordings, report)


class Transcriber:
    """A model that turns recordings into transcripts. Arguments and errors are those of :func:`transcribe`."""

    def __init__(
        self,
        checkpoint: str | Path,
        batching: Batching | None = None,
        beam_search: BeamSearch | None = None,
        data: str | Path | None = None,
    ):
        read, batching = Checkpoint.read(checkpoint), batching or Batching()
        check_checkpoint(read)
        self.recogniser = load_recogniser(read, data, pick_device(batching.device))
        self.decoder: Decoder = make_decoder(self.recogniser, beam_search)
        self.model = EmissionModel(self.recogniser, read, batching)
        self._normalize = read.normalize

    def __call__(self, recordings: Sequence[Recording], report: ReportFailure) -> Iterator[Transcript]:
        """Yield the transcript of each recording that can be used, in order.

        Raises:
            UserError: emissions are not finite, or there is not enough memory.
        """
        lengths = {}
        for recording in recordings:
            try:
                lengths[recording] = read_length(recording.path)
                self.model.check_length(lengths[recording], "it")
            except (BadAudio, UnfitLength) as error:
                lengths.pop(recording, None)
                report(recording.path, str(error))
        with AudioProgress.of_recordings(lengths.values(), "transcribing") as progress:
            for group in _groups(lengths):
                with weights_unchanged():  # not while others have their turn
                    found = self._transcribe_group(group, lengths, report, progress)
                yield from (found[recording] for recording in group if recording in found)

    def _transcribe_group(
        self,
        group: Sequence[Recording],
        lengths: dict[Recording, int],
        report: ReportFailure,
        progress: AudioProgress,
    ) -> dict[Recording, Transcript]:
        found = {}
        budget = self.model.batching.batch_seconds * SAMPLE_RATE
        for batch in plan_batches([lengths[recording] for recording in group], budget):
            waves = self._read([group[index] for index in batch], report)
            emissions = self.model.compute(list(waves.values()), [recording.path for recording in waves], progress)
            check_finite(emissions, [recording.path for recording in waves], self.model.checkpoint)
            for (recording, wave), scores in zip(waves.items(), emissions):
                if not len(scores):
                    warn(f"warning: {printable(recording.path)}: too short for one frame, so its transcript is empty")
                found[recording] = self._decode(recording, len(wave) / SAMPLE_RATE, scores)
        return found

    def _read(self, recordings: Sequence[Recording], report: ReportFailure) -> dict[Recording, Tensor]:
        waves = {}
        for recording in recordings:
            try:
                wave = read_wave(recording.path)
                self.model.check_length(len(wave), "it")  # the header may only have estimated it
                waves[recording] = normalised(wave) if self._normalize else wave
            except (BadAudio, UnfitLength) as error:
                report(recording.path, str(error))
        return waves

    def _decode(self, recording: Recording, seconds: float, emissions: Tensor) -> Transcript:
        best = self.decoder(emissions)[0]
        text, words = self.recogniser.words_of(best), self.recogniser.timed_words(best)
        return Transcript(recording.name, recording.path, seconds, text, words)


def _groups(lengths: dict[Recording, int]) -> Iterator[list[Recording]]:
    group, seconds = [], 0.0
    for recording, length in lengths.items():
        group.append(recording)
        seconds += length / SAMPLE_RATE
        if seconds >= GROUP_SECONDS:
            yield group
            group, seconds = [], 0.0
    if group:
        yield group


def _writer(
    recordings: Sequence[Recording], out: str | Path | None, format: str, is_alone: bool
) -> Callable[[Iterable[Transcript]], int]:
    """Return what writes transcripts where ``out`` says, and returns how many; checks before anything is computed."""
    if format not in FORMATS:
        raise UserError(f"`format` must be one of {', '.join(FORMATS)}; got {format}")
    ending = "" if out is None or os.path.isdir(out) else Path(out).suffix[1:]
    if ending in FORMATS and ending != format:
        raise UserError(f"`out` {out} has the ending of another format than `format` {format}")
    is_file = ending == format or (format, ending) == ("json", "jsonl")
    if out is not None and not is_file:
        return _folder_writer(recordings, Path(out), format)
    if format not in FORMATS_OF_MANY and not is_alone:
        raise UserError(f"`format` {format} of several recordings needs a folder as `out`")
    as_line = FORMATS[format] if format not in FORMATS_OF_MANY or is_alone else FORMATS_OF_MANY[format]

    def write_lines(transcripts: Iterable[Transcript], emit: Callable[[str], Any]) -> int:
        count = 0
        for transcript in transcripts:
            emit(as_line(transcript))
            count += 1
        return count

    def write(transcripts: Iterable[Transcript]) -> int:
        if out is None:
            return write_lines(transcripts, _print)
        with atomic_write(out) as file:
            return write_lines(transcripts, file.write)

    return write


def _print(text: str) -> None:
    """Write to standard output; raises a UserError where it cannot take the text."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except UnicodeEncodeError as error:
        missing = error.object[error.start : error.end]
        raise UserError(
            f"standard output is {error.encoding}, which lacks {missing!r}: name `out`, or set PYTHONIOENCODING=utf-8"
        ) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"cannot write to standard output: {error.strerror}") from error


def _folder_writer(recordings: Sequence[Recording], out: Path, format: str) -> Callable[[Iterable[Transcript]], int]:
    """Return what writes a file for each transcript.

    Raises:
        UserError: ``out`` is a file, or a file that stands beside its recording, such as a reference transcript, would
            be replaced.
    """
    if os.path.lexists(out) and not out.is_dir():
        kind = kind_of(out) or "a file"
        raise UserError(f"`out` {out} is {kind}: name a folder, or a file with the ending .{format}")
    for recording in recordings:
        path = _file_of(out, recording.name, format)
        if os.path.exists(path) and os.path.dirname(os.path.realpath(recording.path)) == os.path.realpath(path.parent):
            raise UserError(
                f"{path} stands beside its recording already, and may be its reference: name another folder as `out`"
            )

    def write(transcripts: Iterable[Transcript]) -> int:
        make_folder(out)
        count = 0
        for transcript in transcripts:
            with atomic_write(_file_of(out, transcript.name, format)) as file:
                file.write(FORMATS[format](transcript))
            count += 1
        return count

    return write


def _file_of(out: Path, name: str, format: str) -> Path:
    return out / f"{name}.{format}"
