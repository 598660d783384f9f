"""Measure what inference costs on a CPU: seconds per second of audio, each candidate in turns, in one process.

    python examples/benchmarks/inference.py --out inference --shapes base,155m --seconds 10,60

Random weights of the recipes' sizes, --count recordings of noise of each length, one after the other; in one batch by
`summary_mixing_together`, as `features --batch-seconds` does. Hugging Face's wav2vec2 is the strongest rival: attention
by torch's fused kernel. Exports (`onnx`, `torch_export`, `export_hf`, `huggingface_onnx`) are measured where they are
named in --candidates. Appends records to inference.jsonl as they come, and writes inference.md of this run. Where
others use the machine, compare the processor's time, with one thread; that of several threads counts their waiting for
each other.
"""

import argparse
import dataclasses
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs from a checkout that is not installed

import torch
from torch import Tensor, nn

from fairseq_summarymixing.bench.candidates import SHAPES, Shape, Unavailable, check_huggingface
from fairseq_summarymixing.bench.machine import describe_machine
from fairseq_summarymixing.bench.measure import check_counts, parse_seconds
from fairseq_summarymixing.compat import quiet_fairseq
from fairseq_summarymixing.downstream.encoder import MAX_ATTENTION_SECONDS, RecordingEncoder
from fairseq_summarymixing.downstream.feature_batches import encode_together
from fairseq_summarymixing.downstream.long_form_options import CHUNK_SECONDS
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import make_folder
from fairseq_summarymixing.modules.lean.derived import weights_unchanged
from fairseq_summarymixing.modules.lean.precision import takes_bf16_products
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.wav2vec2 import Wav2Vec2
from fairseq_summarymixing.tables import markdown

Run = Callable[[Tensor], Any]
RunAll = Callable[[Sequence[Tensor]], Any]
BASELINES = {"base": "huggingface", "155m": "self_attention"}


def our_model(sizes: Shape, mixer: str) -> Wav2Vec2:
    model = make_lean(Wav2Vec2(*sizes._replace(encoder=dataclasses.replace(sizes.encoder, mixer=mixer))))
    model.remove_pretraining_modules()
    return model.eval()


def ours(mixer: str, dtype: str = "fp32") -> Callable[[Shape], Run]:
    """Return a candidate that is computed as ``fairseq-summarymixing features --dtype`` does."""

    def make(sizes: Shape) -> Run:
        if dtype == "bf16" and not takes_bf16_products():
            raise Unavailable("torch does not multiply in bf16 on this processor (without AMX), or is older than 2.9")
        return RecordingEncoder(our_model(sizes, mixer), False, CHUNK_SECONDS, None, dtype).encode

    return make


def together(sizes: Shape) -> RunAll:
    encoder = RecordingEncoder(our_model(sizes, "summary_mixing"), False, CHUNK_SECONDS, None)
    return functools.partial(encode_together, encoder)


def in_turn(run: Run) -> RunAll:
    return lambda waves: [run(wave) for wave in waves]


def huggingface_sizes(sizes: Shape) -> Dict[str, Any]:
    """Return a shape as fields of a ``Wav2Vec2Config``."""
    check_huggingface(sizes)
    encoder = sizes.encoder
    layers = [list(sizes) for sizes in zip(*sizes.frontend.conv_feature_layers)]
    return {
        **dict(zip(("conv_dim", "conv_kernel", "conv_stride"), layers)),
        "hidden_size": encoder.encoder_embed_dim,
        "num_hidden_layers": encoder.encoder_layers,
        "num_attention_heads": encoder.encoder_attention_heads,
        "intermediate_size": encoder.encoder_ffn_embed_dim,
        "num_conv_pos_embeddings": encoder.conv_pos,
        "num_conv_pos_embedding_groups": encoder.conv_pos_groups,
    }


def huggingface_model(sizes: Shape) -> nn.Module:
    fields = huggingface_sizes(sizes)
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(**fields)
    config._attn_implementation = "sdpa"
    return Wav2Vec2Model(config).eval()


def huggingface(dtype: torch.dtype) -> Callable[[Shape], Run]:
    def make(sizes: Shape) -> Run:
        model = huggingface_model(sizes).to(dtype)
        return lambda wave: model(wave.unsqueeze(0).to(dtype)).last_hidden_state

    return make


def exported(kind: str) -> Callable[[Shape], Run]:
    """Return a candidate that ``fairseq-summarymixing export`` makes: "onnx", run by onnxruntime, or "torch"."""

    def make(sizes: Shape) -> Run:
        try:
            from fairseq_summarymixing.converters import graph
        except ImportError as error:
            raise Unavailable(f"exports cannot be imported ({error})") from error
        model = graph.WaveformModel(our_model(sizes, "summary_mixing"), False, None).requires_grad_(False)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "exported"
            getattr(graph, f"write_{kind}")(model, file, {})
            run = getattr(graph, f"open_{kind}")(file)
        return lambda wave: run(wave.unsqueeze(0), torch.ones(1, len(wave), dtype=torch.int64))

    return make


def exported_hf(sizes: Shape) -> Run:
    """Return a candidate as ``export hf`` writes it, run by transformers."""
    fields = huggingface_sizes(sizes)
    from fairseq_summarymixing.hf import SummaryMixingConfig, SummaryMixingModel

    model = SummaryMixingModel(SummaryMixingConfig(**fields)).eval()
    return lambda wave: model(wave.unsqueeze(0)).last_hidden_state


def huggingface_onnx(sizes: Shape) -> Run:
    model = huggingface_model(sizes)
    from fairseq_summarymixing.converters.graph import onnx_session

    samples = {"input_values": {1: torch.export.Dim("samples", min=800)}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "exported.onnx"
        options = {"input_names": ["input_values"], "dynamo": True, "verbose": False, "external_data": False}
        torch.onnx.export(model, (torch.randn(1, 32000),), str(file), dynamic_shapes=samples, **options)
        session = onnx_session(file)
    return lambda wave: session.run(None, {session.get_inputs()[0].name: wave.unsqueeze(0).numpy()})[0]


ALONE: Dict[str, Callable[[Shape], Run]] = {
    "summary_mixing": ours("summary_mixing"),
    "summary_mixing_bf16": ours("summary_mixing", "bf16"),
    "self_attention": ours("self_attention"),
    "self_attention_bf16": ours("self_attention", "bf16"),
    "huggingface": huggingface(torch.float32),
    "huggingface_bf16": huggingface(torch.bfloat16),
    "onnx": exported("onnx"),
    "torch_export": exported("torch"),
    "export_hf": exported_hf,
    "huggingface_onnx": huggingface_onnx,
}
CANDIDATES: Dict[str, Callable[[Shape], RunAll]] = {
    **{name: lambda sizes, make=make: in_turn(make(sizes)) for name, make in ALONE.items()},
    "summary_mixing_together": together,
}
EXPORTS = ("onnx", "torch_export", "export_hf", "huggingface_onnx")
IN_CHUNKS = ("summary_mixing", "summary_mixing_bf16")
"""Of long recordings, too."""


@torch.no_grad()
def measure(
    shape: str, lengths: Sequence[float], count: int, names: Sequence[str], repeat: int
) -> Iterator[Dict[str, Any]]:
    """Yield a record for each length and candidate, of ``count`` recordings: medians and minima of ``repeat`` turns,
    after one that is not timed.

    What is not there, and attention above :data:`MAX_ATTENTION_SECONDS`, is skipped with the reason.
    """
    machine = describe_machine()
    runs: Dict[str, RunAll] = {}
    skipped: Dict[str, str] = {}
    for name in names:
        torch.manual_seed(1)
        try:
            with quiet_fairseq():  # exports import it, and then print thousands of lines
                runs[name] = CANDIDATES[name](SHAPES[shape])
        except Unavailable as error:
            skipped[name] = str(error)
    for seconds in lengths:
        waves = list(torch.randn(count, round(seconds * 16000)))
        reason = f"one pass of more than {MAX_ATTENTION_SECONDS} s"
        too_long = [name for name in runs if seconds > MAX_ATTENTION_SECONDS and name not in IN_CHUNKS]
        left_out = {**skipped, **dict.fromkeys(too_long, reason)}
        with weights_unchanged():  # as in the commands, of many recordings
            times = take_turns({name: run for name, run in runs.items() if name not in left_out}, waves, repeat)
        for name in names:
            about = {"shape": shape, "candidate": name, "seconds": seconds, "count": count}
            record = {**about, "repeat": repeat, **machine}
            yield {**record, "skipped": left_out[name]} if name in left_out else {**record, **summary(times[name])}


def take_turns(runs: Dict[str, RunAll], waves: Sequence[Tensor], repeat: int) -> Dict[str, List[Dict[str, float]]]:
    """Return seconds by the clock and of the processor, of each turn of each candidate."""
    times: Dict[str, List[Dict[str, float]]] = {name: [] for name in runs}
    for turn in range(repeat + 1):
        for name, run in runs.items():
            begun, used = time.perf_counter(), time.process_time()
            run(waves)
            taken = {"wall": time.perf_counter() - begun, "processor": time.process_time() - used}
            times[name] += [taken] if turn else []
    return times


def summary(times: Sequence[Dict[str, float]]) -> Dict[str, float]:
    found = {}
    for clock in ("wall", "processor"):
        taken = sorted(turn[clock] for turn in times)
        found.update({clock: statistics.median(taken), f"fastest_{clock}": taken[0]})
    return found


def report(records: Sequence[Dict[str, Any]]) -> str:
    """Return a table for each shape, in Markdown, with ratios to the strongest rival that was measured."""
    sections = []
    for shape in dict.fromkeys(record["shape"] for record in records):
        rows = [record for record in records if record["shape"] == shape]
        head = ["seconds", "candidate", "processor s / s of audio", "wall s / s of audio", f"/ {BASELINES[shape]}"]
        bases = {row["seconds"]: row for row in rows if row["candidate"] == BASELINES[shape] and "wall" in row}
        machine, threads, torch_version, commit, date = (
            rows[0][key] for key in ("machine", "threads", "torch", "commit", "date")
        )
        title = f"## {shape}\n\n{machine}, {threads} threads; torch {torch_version}; commit {commit}; {date}\n"
        sections += [title, markdown(head, [cells(row, bases.get(row["seconds"])) for row in rows], text_columns=[1])]
    return "\n".join(sections)


def cells(record: Dict[str, Any], base: Any) -> List[str]:
    seconds, name = record["seconds"], record["candidate"]
    if "skipped" in record:
        return [f"{seconds:g}", f"{name}: {record['skipped']}", "–", "–", "–"]
    costs = [f"{record[clock] / seconds / record['count']:.4f}" for clock in ("processor", "wall")]
    ratio = f"{record['processor'] / base['processor']:.2f}" if base else "–"
    return [f"{seconds:g}", name, *costs, ratio]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quick = ",".join(name for name in CANDIDATES if name not in EXPORTS)
    parser.add_argument("--out", type=Path, default=Path("inference"), help="folder (default %(default)s)")
    parser.add_argument("--shapes", default="base,155m", help="default %(default)s")
    parser.add_argument("--seconds", default="10,60", help="of audio (default %(default)s)")
    parser.add_argument("--count", type=int, default=1, help="recordings of each length (default %(default)s)")
    parser.add_argument("--candidates", default=quick, help=f"of {','.join(CANDIDATES)} (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="turns of each candidate (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default %(default)s")
    args = parser.parse_args()
    return exit_status(lambda: measure_all(args), parser)


def measure_all(args: argparse.Namespace) -> None:
    shapes, names = args.shapes.split(","), args.candidates.split(",")
    for argument, found, known in (("--shapes", shapes, SHAPES), ("--candidates", names, CANDIDATES)):
        if not set(found) <= set(known):
            raise UserError(f"{argument} must be of {', '.join(known)}; got {','.join(found)}")
    if args.threads < 1:
        raise UserError(f"--threads must be at least 1; got {args.threads}")
    cores = os.cpu_count() or 1
    if args.threads > cores:
        raise UserError(f"--threads must be at most {cores}, the cores of this machine; got {args.threads}")
    lengths = parse_seconds(args.seconds)
    check_counts(lengths, count=args.count, repeat=args.repeat)
    torch.set_num_threads(args.threads)
    run(args.out, shapes, lengths, args.count, names, args.repeat)


def run(
    out: Path, shapes: Sequence[str], lengths: Sequence[float], count: int, names: Sequence[str], repeat: int
) -> None:
    """Measure, append the records to those in ``out``, and write the report of this run."""
    make_folder(out)
    records = []
    with open(out / "inference.jsonl", "a", encoding="utf-8") as file:
        for shape in shapes:
            for record in measure(shape, lengths, count, names, repeat):
                print(*cells(record, None), flush=True)
                file.write(json.dumps(record) + "\n")
                file.flush()
                records.append(record)
    (out / "inference.md").write_text(report(records), encoding="utf-8")
    print(f"{out / 'inference.md'} holds the report")


if __name__ == "__main__":
    sys.exit(main())
