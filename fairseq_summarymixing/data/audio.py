"""Read, resample and write audio files."""

from __future__ import annotations

import functools
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..compat import require
from ..files import atomic_write
from ..input_files import kind_of
from .formats import how_to_convert

SAMPLE_RATE = 16_000  # Hz; fairseq refuses any other rate while training
RATES = (1_000, 768_000)  # Hz; below, nothing is speech, above, there is no hardware: such a header is damaged
# Full scale is 1, and floats that were never scaled down reach 2^31. Of samples up to here an hour's sum of squares,
# below 1e28, and all that a model computes of them stay far from the end of fp32, 3e38
LARGEST_SAMPLE = 1e10
SYSTEM_ERROR = 2  # libsndfile's
OGG_PAGE, OGG_END = 65_307, 4  # most bytes of a page; flag of a stream's last page
DECODED = 65_536  # frames decoded at a time
STREAMED_SIZE = 0x7FFF0000  # writers into a pipe cannot know the length and declare this much or more


class BadAudio(ValueError):
    """An error: one recording cannot be used; the message holds the reason without the path."""


@dataclass(frozen=True)
class AudioInfo:
    """The contents of a header: frames (samples per channel), sample rate in Hz, channels."""

    frames: int
    sample_rate: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def probe(path: str | Path) -> AudioInfo:
    """Read the header and one last frame, without decoding the rest, except of formats that allow no seeking.

    It finds empty files, files of other kinds, and truncated WAV, FLAC and Ogg files. It does not find what only
    decoding shows: NaN samples, damage in the middle, and cut MP3 files (an MP3 header only estimates the length).

    Raises:
        BadAudio: not readable, no samples, shorter than its header has it, or of a sample rate outside RATES.
    """
    path = Path(path)
    check_kind(path)
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadAudio("its name is no UTF-8, which libsndfile and manifests need; rename it") from error
    if "\0" in str(path):
        raise BadAudio("its name holds a NUL character, which no file's does")
    try:
        if path.stat().st_size == 0:
            raise BadAudio("empty file")
        with soundfile.SoundFile(str(path)) as file:
            info = AudioInfo(file.frames, file.samplerate, file.channels)
            if info.frames <= 0:
                raise BadAudio("no samples")
            _check_rate(info.sample_rate)
            _check_wav_length(file.extra_info)
            if file.format == "OGG":
                _check_ogg_end(path)
            # A cut FLAC file keeps its header; its last frame is what is missing.
            if not (_has_last_frame(file) or _decodes_to(path, info.frames)):
                raise BadAudio(
                    f"truncated: its header gives {info.frames} frames, the last is not there; copy it again"
                )
    except soundfile.LibsndfileError as error:
        raise BadAudio(f"{not_audio(error)}. If it is a recording, {how_to_convert(str(path))}") from error
    except OSError as error:
        raise BadAudio(f"not readable: {error.strerror or error}") from error
    return info


def not_audio(error: soundfile.LibsndfileError, path: str | io.BytesIO | None = None) -> str:
    """Return why libsndfile cannot read a file; the reason of a system error, which it does not name, is looked up."""
    if error.code == SYSTEM_ERROR and isinstance(path, str):
        try:
            open(path, "rb").close()
        except OSError as reason:
            return f"not readable: {reason.strerror or reason}"
    return f"not readable as audio: {error.error_string.rstrip('.')}"


def is_whole(path: str | Path, frames: int) -> bool:
    """Return whether ``path`` is audio of this length and nothing of it is missing, as far as ``probe`` sees."""
    try:
        return probe(path).frames == frames
    except BadAudio:
        return False


def read_mono(source: str | Path | io.BytesIO, int16_at: int | None = None) -> tuple[np.ndarray, int]:
    """Decode a file and average its channels, as fairseq does.

    Returns ((frames,) float32, sample rate in Hz); full scale is 1. A file of one channel, 16 bits and the rate
    ``int16_at`` gives (frames,) int16; full scale is 2^15.

    Raises:
        BadAudio: not readable, no samples, samples that are NaN or beyond LARGEST_SAMPLE, a rate outside RATES, or an
            Ogg file that was cut.
    """
    if isinstance(source, (str, Path)):
        check_kind(source)
    try:
        source = str(source) if isinstance(source, Path) else source
        with soundfile.SoundFile(source) as file:
            rate = file.samplerate
            if file.format == "OGG" and isinstance(source, str):
                _check_ogg_end(Path(source))
            # WAV: several times as fast as libsndfile's floats, which are the same
            is_int16 = (file.channels, file.subtype) == (1, "PCM_16") and (rate == int16_at or file.format == "WAV")
            samples = file.read(dtype="int16" if is_int16 else "float32", always_2d=True)
    except MemoryError as error:
        raise BadAudio("its header gives more samples than memory holds") from error
    except soundfile.LibsndfileError as error:
        raise BadAudio(not_audio(error, source)) from error
    except OSError as error:
        raise BadAudio(f"not readable: {error.strerror or error}") from error
    if len(samples) == 0:
        raise BadAudio("no samples")
    _check_rate(rate)
    if is_int16:
        samples = samples[:, 0]
        return samples if rate == int16_at else np.multiply(samples, 2.0**-15, dtype=np.float32), rate
    largest = max(samples.max(), -samples.min())
    if not np.isfinite(largest):
        raise BadAudio("NaN or infinite samples")
    if largest > LARGEST_SAMPLE:
        raise BadAudio(f"samples up to {largest:.3g}, where full scale is 1 and {LARGEST_SAMPLE:g} the most allowed")
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1), rate  # a mean of one is slow


def resample(samples: np.ndarray, rate: int, new_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Resample by a polyphase filter. samples: (frames,). Returns (ceil(frames * new_rate / rate),) float32.

    Raises:
        UserError: scipy is not installed.
    """
    if rate == new_rate:
        return np.asarray(samples, dtype=np.float32)
    divisor = math.gcd(rate, new_rate)
    up, down = new_rate // divisor, rate // divisor
    resample_poly = _scipy_signal().resample_poly
    return resample_poly(samples, up, down, window=_low_pass(up, down)).astype(np.float32)


def write_flac(path: str | Path, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write (frames,) as mono 16-bit FLAC, whole or not at all: int16 as they are, floats clipped to [-1, 1].

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    # Encoded in memory: libsndfile would swallow a full disk's error when writing through Python.
    encoded = io.BytesIO()
    samples = samples if samples.dtype == np.int16 else np.clip(samples, -1.0, 1.0)
    soundfile.write(encoded, samples, sample_rate, format="FLAC", subtype="PCM_16")
    with atomic_write(path, "wb") as file:
        file.write(encoded.getbuffer())


def check_kind(path: str | Path) -> None:
    """Raise a BadAudio where a path is a pipe, a device or a folder."""
    kind = kind_of(path, once=False)
    if kind is not None:
        raise BadAudio(f"it is {kind}")


def _has_last_frame(file: soundfile.SoundFile) -> bool:
    try:
        file.seek(file.frames - 1)
        return len(file.read(1)) == 1
    except soundfile.LibsndfileError:
        return False


def _decodes_to(path: Path, frames: int) -> bool:
    """Decode a file to its end: libsndfile reads GSM 6.10, G.72x and some others, but does not seek in them, or not to
    the last frame. A FLAC file whose last frame is not found is cut."""
    if soundfile.info(str(path)).format == "FLAC":
        return False
    return sum(map(len, soundfile.blocks(str(path), DECODED, dtype="int16"))) == frames


def _check_rate(rate: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise BadAudio(f"a sample rate of {rate} Hz; expected {RATES[0]} to {RATES[1]} Hz, so its header is wrong")


def _check_wav_length(log: str) -> None:
    """Refuse a cut WAV, which libsndfile shortens to what is there with only a note in its log."""
    found = re.search(r"^data : (\d+) \(should be (\d+)\)", log, flags=re.MULTILINE)
    if found:
        declared, present = map(int, found.groups())
        if present < declared < STREAMED_SIZE:
            raise BadAudio(f"truncated: {present} of {declared} bytes of samples are there; copy it again")


def _check_ogg_end(path: Path) -> None:
    """Refuse a cut Ogg file, of which libsndfile reads what is there: its last page is not whole, or not flagged as a
    stream's end (RFC 3533, Section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - OGG_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS\0") :]
    header = 27 + page[26] if len(page) > 26 else 27
    is_whole = len(page) >= header + sum(page[27:header]) and len(page) >= header
    if not is_whole or not page[5] & OGG_END:
        raise BadAudio("truncated: its last Ogg page ends no stream; copy it again, or convert what is there")


@functools.lru_cache(maxsize=16)
def _low_pass(up: int, down: int) -> np.ndarray:
    """Return scipy's default filter for resample_poly, computed once for each pair of rates."""
    widest = max(up, down)
    return _scipy_signal().firwin(20 * widest + 1, 1.0 / widest, window=("kaiser", 5.0))


def _scipy_signal():
    require("demo", "scipy.signal", purpose="resampling")
    import scipy.signal

    return scipy.signal
