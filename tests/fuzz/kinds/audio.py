"""Recordings: damaged files, headers that lie, samples that are no sound."""

import struct

import numpy as np
import soundfile
from case import Case
from command_lines import CODES, COPIES, DECODE, FEATURES, FINETUNE, MANIFEST, PRETRAIN, TRANSCRIBE
from damage import damage_file, damaged_bytes

SAMPLES = (np.nan, np.inf, 0.0, 1e-30, 1e5, 1e20, -1e38)
RATES = (1, 7999, 8000, 44100, 192000, 2**31 - 1)
FORMATS = (("wav", "FLOAT"), ("wav", "DOUBLE"), ("wav", "PCM_U8"), ("flac", "PCM_16"), ("ogg", "VORBIS"), ("mp3", None))


def make(draw, folder):
    command = draw.choice([MANIFEST, COPIES, TRANSCRIBE, FEATURES, CODES, DECODE, PRETRAIN, FINETUNE])
    damage = []
    for path in draw.sample(sorted((folder / "data/audio").glob("*.wav")), draw.choice([1, 1, 2, 8])):
        how = draw.choice([_damaged, _damaged, _header, _samples, _other])
        damage.append(how(draw, path))
    return Case(list(command), "; ".join(damage), whole=command is DECODE)


def _damaged(draw, path):
    return damage_file(draw, path, damaged_bytes)


def _header(draw, path):
    """Write one field of the WAV header anew: format, channels, rate, bytes per second, block, bits, sizes."""
    place, kind = draw.choice(
        [(4, "I"), (16, "I"), (20, "H"), (22, "H"), (24, "I"), (28, "I"), (32, "H"), (34, "H"), (40, "I")]
    )
    value = draw.choice([0, 1, 2, 3, 0xFFFE, 0xFFFF]) if kind == "H" else draw.choice([0, 1, 2**31 - 1, 2**32 - 1])
    data = path.read_bytes()
    path.write_bytes(data[:place] + struct.pack(f"<{kind}", value) + data[place + struct.calcsize(kind) :])
    return f"{path.name}: byte {place} of the header = {value}"


def _samples(draw, path):
    samples, rate = soundfile.read(path)
    value, at = draw.choice(SAMPLES), draw.randrange(len(samples))
    samples[at : at + draw.choice([1, len(samples)])] = value
    soundfile.write(path, samples, rate, subtype="DOUBLE" if abs(value) > 1e30 else "FLOAT")
    return f"{path.name}: samples {value:g}"


def _other(draw, path):
    """Another rate, length, number of channels or format under the same name."""
    rate, frames, channels = draw.choice(RATES), draw.choice([0, 1, 10, 399, 400, 20000]), draw.choice([1, 2, 7])
    kind, subtype = draw.choice(FORMATS)
    try:
        soundfile.write(path, np.full((frames, channels), 0.1), rate, subtype=subtype, format=kind)
    except (soundfile.LibsndfileError, ValueError):  # this format does not have it
        path.write_bytes(b"")
    return f"{path.name}: {kind} {subtype}, {frames} x {channels} at {rate} Hz"
