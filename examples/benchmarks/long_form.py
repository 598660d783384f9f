"""Measure what an hour costs: seconds per second of audio, and memory, of the base model on ever longer recordings.

    python examples/benchmarks/long_form.py --seconds 60,600,3600

Random weights and noise, chunk by chunk as ``fairseq-summarymixing features`` does it. Each length is measured in a
process of its own, so that its peak of resident memory is its own; the process with audio of 1 s measures what torch
and the weights take.
"""

import argparse
import json
import resource
import sys
import time

import torch
from own_process import in_own_process

from fairseq_summarymixing.bench.candidates import SHAPES
from fairseq_summarymixing.bench.machine import describe_machine
from fairseq_summarymixing.bench.measure import check_counts, parse_seconds
from fairseq_summarymixing.downstream.encoder import RecordingEncoder
from fairseq_summarymixing.downstream.long_form_options import CHUNK_SECONDS
from fairseq_summarymixing.errors import exit_status
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.wav2vec2 import Wav2Vec2


def measure(shape: str, seconds: float, chunk_seconds: float) -> dict:
    """Return the seconds that one recording takes and the peak of this process's memory in 10^9 bytes."""
    model = make_lean(Wav2Vec2(*SHAPES[shape]))
    model.remove_pretraining_modules()
    encoder = RecordingEncoder(model.eval(), normalize=False, chunk_seconds=chunk_seconds, window_seconds=None)
    encoder.encode(torch.randn(16000))
    wave = torch.randn(round(seconds * 16000))
    begun = time.perf_counter()
    encoder.encode(wave)
    taken = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": seconds, "taken": taken, "taken_per_second": taken / seconds, "peak_gb": peak}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", default="60,600,3600")
    parser.add_argument("--shape", choices=SHAPES, default="base")
    parser.add_argument("--chunk-seconds", type=float, default=CHUNK_SECONDS)
    args = parser.parse_args()
    return exit_status(lambda: measure_all(args), parser)


def measure_all(args: argparse.Namespace) -> None:
    lengths = [1.0, *parse_seconds(args.seconds)]
    check_counts(lengths)
    about = {"shape": args.shape, **describe_machine()}
    for length in lengths:
        taken = in_own_process(measure, args.shape, length, args.chunk_seconds)
        print(json.dumps({**about, **taken}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
