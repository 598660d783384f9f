"""Measure what loading costs beside stock fairseq, in turns: hours of audio per second of one worker, and time and
memory of a long manifest.

    python examples/benchmarks/loading.py audio RECORDINGS --minutes 30
    python examples/benchmarks/loading.py rows 1000000

``audio`` copies recordings from a folder as WAV, FLAC and Ogg Vorbis of 16 kHz, and as WAV of 48 kHz, which stock
fairseq refuses. ``rows`` makes a manifest without recordings; each reading has a process of its own.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import soundfile
import torch
from fairseq.data.audio.raw_audio_dataset import FileAudioDataset
from own_process import in_own_process
from recordings import read_recordings

from fairseq_summarymixing.bench.machine import describe_machine
from fairseq_summarymixing.data.audio import resample
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.tasks._dataset import ResilientAudioDataset

FORMATS = {
    "wav": ("WAV", "PCM_16", 16000),
    "flac": ("FLAC", "PCM_16", 16000),
    "ogg": ("OGG", "VORBIS", 16000),
    "wav-48k": ("WAV", "PCM_16", 48000),
}
LOADERS = {"stock": FileAudioDataset, "ours": ResilientAudioDataset}
BATCH = 8


def copy_recordings(source: Path, folder: Path, minutes: float) -> float:
    """Write ``folder/FORMAT/train.tsv`` and its recordings. Returns the hours that they hold.

    Raises:
        UserError: there are none, or a recording cannot be read.
    """
    rows = {name: [] for name in FORMATS}
    seconds = 0.0
    for number, (samples, rate) in enumerate(read_recordings(source)):
        for name, (container, subtype, new_rate) in FORMATS.items():
            (folder / name).mkdir(exist_ok=True)
            copy = resample(samples, rate, new_rate).clip(-1, 1)
            soundfile.write(folder / name / str(number), copy, new_rate, subtype, format=container)
            rows[name].append(f"{number}\t{len(copy)}\n")
        seconds += len(samples) / rate
        if seconds > 60 * minutes:
            break
    if not any(rows.values()):
        raise UserError(f"{source} must be a folder with recordings, .wav, .flac or .ogg; found none")
    for name, lines in rows.items():
        (folder / name / "train.tsv").write_text(f"{folder / name}\n" + "".join(lines))
    return seconds / 3600


def load(data) -> float:
    """Return the processor's seconds that items and batches of one pass take."""
    begun = time.process_time()
    for first in range(0, len(data), BATCH):
        data.collater([data[index] for index in range(first, min(first + BATCH, len(data)))])
    return time.process_time() - begun


def data_sets(manifest: str, normalize: bool) -> dict:
    """Return the data sets that can load a manifest."""
    arguments = {"manifest_path": manifest, "sample_rate": 16000, "pad": True, "normalize": normalize}
    ours = {
        "ours": ResilientAudioDataset(**arguments),
        "ours, for log-mel": ResilientAudioDataset(**arguments, keep_precision=True),
    }
    return ours if "48k" in manifest else {"stock": FileAudioDataset(**arguments), **ours}


def measure_audio(source: Path, minutes: float, turns: int) -> None:
    torch.set_num_threads(1)  # as in a worker
    with tempfile.TemporaryDirectory() as folder:
        hours = copy_recordings(source, Path(folder), minutes)
        for name in FORMATS:
            for normalize in (False, True):
                data = data_sets(f"{folder}/{name}/train.tsv", normalize)
                taken = [{loader: load(each) for loader, each in data.items()} for _ in range(turns + 1)]
                # the first turn warms up
                median = {loader: statistics.median(turn[loader] for turn in taken[1:]) for loader in data}
                rates = {loader: round(hours / seconds, 3) for loader, seconds in median.items()}
                print(json.dumps({"format": name, "normalize": normalize, "hours_per_second": rates}), flush=True)


def read_rows(loader: str, path: str) -> dict:
    """Return the time and the memory, in 10^9 bytes, that a manifest takes in this process."""
    ResilientAudioDataset._refuse_hopeless = lambda self: None  # there are no recordings
    pages = Path("/proc/self/statm").read_text().split()[1]
    before = int(pages) * resource.getpagesize() / 1e9
    begun = time.perf_counter(), time.process_time()
    data = LOADERS[loader](path, 16000)
    wall, processor = time.perf_counter() - begun[0], time.process_time() - begun[1]
    held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    result = {"rows": len(data), "loader": loader, "seconds": wall, "processor_seconds": processor}
    return {**result, "held_gb": held - before, "peak_gb": peak - before}


def measure_rows(number: int, turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.tsv"
        with open(path, "w") as manifest:
            manifest.write(f"{folder}\n")
            for row in range(number):
                name = f"large/{row % 7000:05d}/a_book_of_{row % 311}/{row:08d}_{row % 97:04d}.flac"
                manifest.write(f"{name}\t{160000 + row}\n")
        for _ in range(turns):
            for loader in ("stock", "ours"):
                print(json.dumps(in_own_process(read_rows, loader, str(path))), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parts = parser.add_subparsers(dest="part", required=True)
    audio = parts.add_parser("audio")
    audio.add_argument("recordings", type=Path)
    audio.add_argument("--minutes", type=float, default=30)
    rows = parts.add_parser("rows")
    rows.add_argument("number", type=int)
    args = parser.parse_args()
    return exit_status(lambda: measure(args), parser)


def measure(args: argparse.Namespace) -> None:
    if args.turns < 1:
        raise UserError(f"--turns must be at least 1; got {args.turns}")
    if args.part == "rows" and args.number < 1:
        raise UserError(f"the number of rows must be at least 1; got {args.number}")
    if args.part == "audio" and not 0 < args.minutes < float("inf"):
        raise UserError(f"--minutes must be above 0; got {args.minutes:g}")
    print(json.dumps(describe_machine()), flush=True)
    if args.part == "audio":
        measure_audio(args.recordings, args.minutes, args.turns)
    else:
        measure_rows(args.number, args.turns)


if __name__ == "__main__":
    sys.exit(main())
