"""Measure what `features`, `transcribe` and `decode` cost on a CPU, as whole processes, beside Hugging Face's model.

    python examples/benchmarks/commands.py RECORDINGS --out commands --shapes base --seconds 10,60,600

Speech from a folder is joined and cut to recordings of each length, --minutes of audio or one recording. Untrained CTC
models: the time is that of trained ones. The rival is Hugging Face's `Wav2Vec2Model` with sdpa, one recording after
the other, which writes nothing; where it has no such front end, the self-attention twin. Each command also runs on one
second of audio: the difference is what audio costs, the rest is its start. Appends records to
commands.jsonl as they come, and writes commands.md of this run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from recordings import read_recordings
from untrained import write_untrained

from fairseq_summarymixing.bench import candidates
from fairseq_summarymixing.bench.machine import describe_machine
from fairseq_summarymixing.bench.measure import check_counts, parse_seconds
from fairseq_summarymixing.compat import quiet_fairseq
from fairseq_summarymixing.data.audio import SAMPLE_RATE
from fairseq_summarymixing.downstream.encoder import MAX_ATTENTION_SECONDS
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import make_folder
from fairseq_summarymixing.tables import markdown

RECIPES = Path(__file__).resolve().parents[1] / "pretraining"
SHAPES = {"base": "summarymixing_base_librispeech", "155m": "summarymixing_155m_librilight"}
VERB = (sys.executable, "-m", "fairseq_summarymixing")
OURS = ("features", "transcribe", "decode")
NAMES = (*OURS, "transcribe-twin", "huggingface")
CLOCKS = ("wall", "processor")
START = 1
"""Seconds of the recording with which a start is measured."""
RIVALS = {"base": "huggingface", "155m": "transcribe-twin"}


def read_speech(source: Path, seconds: float) -> np.ndarray:
    """Return the first so many seconds of the recordings of a folder, joined: (samples,), 16 kHz.

    Raises:
        UserError: there is not so much, it is of another rate, or a recording cannot be read.
    """
    pieces, missing = [], round(seconds * SAMPLE_RATE)
    for samples, rate in read_recordings(source):
        if rate != SAMPLE_RATE:
            raise UserError(f"{source} must hold audio of {SAMPLE_RATE} Hz; found {rate}")
        pieces.append(samples[:missing])
        missing -= len(pieces[-1])
        if missing == 0:
            return np.concatenate(pieces)
    raise UserError(f"{source} must hold {seconds:g} s of .wav, .flac or .ogg; {missing / SAMPLE_RATE:.0f} s lack")


def write_recordings(speech: np.ndarray, folder: Path, seconds: float, number: int) -> None:
    """Write recordings of ``seconds`` each, and a manifest ``test.tsv``."""
    length = round(seconds * SAMPLE_RATE)
    folder.mkdir()
    for row in range(number):
        soundfile.write(folder / f"{row}.wav", speech[row * length : (row + 1) * length], SAMPLE_RATE, "PCM_16")
    rows = [f"{row}.wav\t{length}\n" for row in range(number)]
    (folder / "test.tsv").write_text(f"{folder}\n" + "".join(rows))


def commands(shape: str, work: Path, recordings: Path, out: Path) -> Dict[str, List[str]]:
    """Return the commands that are measured, each of which reads all recordings and writes into ``out``."""
    ours, twin = str(work / "summary_mixing.pt"), str(work / "self_attention.pt")
    manifest, into = str(recordings / "test.tsv"), ["-o", str(out)]
    found = {
        "features": [*VERB, "features", ours, manifest, *into],
        "transcribe": [*VERB, "transcribe", ours, manifest, *into],
        "decode": [*VERB, "decode", ours, "--data", str(recordings), "--split", "test", *into],
        "transcribe-twin": [*VERB, "transcribe", twin, manifest, *into],
    }
    if shape == "base":
        found["huggingface"] = [sys.executable, __file__, str(recordings), "--huggingface"]
    return found


@torch.no_grad()
def run_huggingface(recordings: Path) -> None:
    """Compute each recording of a folder with an untrained ``Wav2Vec2Model`` of base's size."""
    from inference import huggingface_model

    model = huggingface_model(candidates.SHAPES["base"])
    for path in sorted(recordings.glob("*.wav")):
        wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0]).unsqueeze(0)
        model(torch.nn.functional.layer_norm(wave, wave.shape[-1:]))


def timed(command: Sequence[str]) -> Dict[str, float]:
    """Run a command. Returns its seconds by the clock and of the processor, and its peak memory in 10^9 bytes."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        if status:
            output.seek(0)
            words = output.read().decode(errors="replace").strip()
            raise UserError(f"{' '.join(command)} failed: {words.splitlines()[-1] if words else status}")
    return {"wall": wall, "processor": usage.ru_utime + usage.ru_stime, "peak_gb": usage.ru_maxrss * 1024 / 1e9}


def measure(
    speech: np.ndarray, shape: str, numbers: Dict[float, int], names: Sequence[str], repeat: int
) -> Iterator[Dict[str, Any]]:
    """Yield a record for each length and command, which take turns: medians of ``repeat`` turns.

    Attention is left out of what it does not take in one pass.

    Args:
        numbers: of recordings of each length in seconds; the first, one recording of :data:`START` seconds, is nearly
            all start.
    """
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with quiet_fairseq():
            for mixer in ("summary_mixing", "self_attention"):
                recipe = RECIPES / f"{SHAPES[shape]}.yaml"
                write_untrained(recipe, work / f"{mixer}.pt", ctc=True, overrides=[f"model.mixer={mixer}"])
        for seconds, number in {START: 1, **numbers}.items():
            recordings = work / f"{seconds:g}"
            write_recordings(speech, recordings, seconds, number)
            known = [name for name in names if name in commands(shape, work, recordings, work)]
            taken = [name for name in known if seconds <= MAX_ATTENTION_SECONDS or name in OURS]
            turns: Dict[str, List[Dict[str, float]]] = {name: [] for name in taken}
            for turn in range(repeat):
                for name in taken:
                    out = work / f"{name}-{seconds:g}-{turn}"
                    turns[name].append(timed(commands(shape, work, recordings, out)[name]))
            for name in taken:
                medians = {key: statistics.median(turn[key] for turn in turns[name]) for key in turns[name][0]}
                about = {"shape": shape, "command": name, "seconds": seconds, "audio": number * seconds}
                yield {**about, "repeat": repeat, **medians, **machine}


def report(records: Sequence[Dict[str, Any]]) -> str:
    """Return a table for each shape, in Markdown: the start, and what a second of audio adds to it."""
    sections = []
    for shape in dict.fromkeys(record["shape"] for record in records):
        found = {(row["seconds"], row["command"]): row for row in records if row["shape"] == shape}
        about = "{machine}, {threads} threads; torch {torch}; commit {commit}; {date}".format(
            **next(iter(found.values()))
        )
        head = ["recordings of s", "command", "wall", "processor", f"wall / {RIVALS[shape]}", "peak GB"]
        text = "Seconds of a start; then seconds that a second of audio adds."
        rows = [cells(row, found) for row in found.values()]
        sections.append(f"## {shape}\n\n{about}\n\n{text}\n\n{markdown(head, rows, text_columns=[0, 1])}")
    return "\n".join(sections)


def cells(row: Dict[str, Any], found: Dict[Any, Dict[str, Any]]) -> List[str]:
    """Return a row of the table. found: each record by its seconds and command."""
    seconds, name, peak = row["seconds"], row["command"], f"{row['peak_gb']:.2f}"
    if seconds == START:
        return ["start", name, *(f"{row[clock]:.1f}" for clock in CLOCKS), "", peak]
    rival = RIVALS[row["shape"]]
    added = {clock: row[clock] - found[START, name][clock] for clock in CLOCKS}
    ratio = ""
    if (seconds, rival) in found:
        ratio = f"{added['wall'] / (found[seconds, rival]['wall'] - found[START, rival]['wall']):.2f}"
    return [f"{seconds:g}", name, *(f"{cost / (row['audio'] - START):.4f}" for cost in added.values()), ratio, peak]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, help="folder of speech, 16 kHz")
    parser.add_argument("--out", type=Path, default=Path("commands"), help="folder (default %(default)s)")
    parser.add_argument("--shapes", default="base,155m", help="default %(default)s")
    parser.add_argument("--seconds", default="10,60,600", help="of a recording (default %(default)s)")
    parser.add_argument("--commands", default=",".join(NAMES), help="default %(default)s")
    parser.add_argument("--minutes", type=float, default=5, help="audio of each length (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each command (default %(default)s)")
    parser.add_argument("--huggingface", action="store_true", help=argparse.SUPPRESS)  # a process of its own
    args = parser.parse_args()
    return exit_status(lambda: run_huggingface(args.recordings) if args.huggingface else measure_all(args), parser)


def measure_all(args: argparse.Namespace) -> None:
    shapes, names, lengths = args.shapes.split(","), args.commands.split(","), parse_seconds(args.seconds)
    for argument, given, known in (("--shapes", shapes, SHAPES), ("--commands", names, NAMES)):
        if not set(given) <= set(known):
            raise UserError(f"{argument} must be of {', '.join(known)}; got {', '.join(given)}")
    for shape in shapes:
        if not set(names) & set(commands(shape, Path(), Path(), Path())):
            raise UserError(f"--commands {args.commands}: {shape} has none of them; its rival is {RIVALS[shape]}")
    check_counts(lengths, repeat=args.repeat)
    if not 0 <= args.minutes < float("inf"):
        raise UserError(f"--minutes must be 0 or more; got {args.minutes:g}")
    if min(lengths) <= START:
        raise UserError(f"--seconds must be above {START}, with which the start is measured; got {min(lengths):g}")
    numbers = {seconds: max(1, round(60 * args.minutes / seconds)) for seconds in lengths}
    speech = read_speech(args.recordings, max(seconds * number for seconds, number in numbers.items()))
    make_folder(args.out)
    records = []
    with open(args.out / "commands.jsonl", "a", encoding="utf-8") as file:
        for shape in shapes:
            for record in measure(speech, shape, numbers, names, args.repeat):
                print(*(record[key] for key in ("shape", "command", "seconds", *CLOCKS)), flush=True)
                file.write(json.dumps(record) + "\n")
                file.flush()
                records.append(record)
    (args.out / "commands.md").write_text(report(records), encoding="utf-8")
    print(f"{args.out / 'commands.md'} holds the report")


if __name__ == "__main__":
    sys.exit(main())
