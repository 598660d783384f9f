"""Check and measure one GPU in one command, under nine minutes: correct first, then what a step costs and why.

    python examples/benchmarks/gpu.py --out gpu

Needs torch alone; with transformers installed, Hugging Face's wav2vec2 is one more rival. Writes checks.jsonl,
bench.jsonl, profile.jsonl and report.md, line by line as they come; `fairseq-summarymixing bench report` makes tables
and plots of bench.jsonl. What does not fit into --minutes is left out from the end, and named.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs from a checkout that is not installed

import torch

from fairseq_summarymixing.bench.candidates import build
from fairseq_summarymixing.bench.checks import check
from fairseq_summarymixing.bench.machine import describe_machine
from fairseq_summarymixing.bench.measure import DTYPES, check_counts, measure
from fairseq_summarymixing.bench.profile import profile_step
from fairseq_summarymixing.bench.report import report
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import make_folder
from fairseq_summarymixing.tables import markdown

PAIR = ("summary_mixing", "self_attention")
MIXERS = (*PAIR, "hyper_mixing", "fastformer")
RIVALS = (*PAIR, "self_attention_unfused")
PUBLISHED = "published, on A100s in fp16: 18 % less time, 23 % less memory"


class Row(NamedTuple):
    """One call of ``bench.measure``; batches hold about 360 s of audio, as the paper's do."""

    work: str
    shape: str
    batch: int
    seconds: float
    names: Tuple[str, ...]
    dtype: str = "bf16"
    compiled: bool = False


ROWS = (
    Row("step", "155m", 12, 30, RIVALS),
    Row("step", "155m", 12, 30, PAIR, compiled=True),
    Row("step", "base", 12, 30, (*RIVALS, "huggingface")),
    Row("step", "155m", 4, 80, RIVALS),
    Row("step", "155m", 36, 10, RIVALS),
    Row("step", "155m", 4, 80, PAIR, compiled=True),
    Row("step", "155m", 12, 30, RIVALS, dtype="fp16"),
    Row("step", "155m", 1, 30, PAIR),
    Row("mixer", "155m", 36, 10, MIXERS),
    Row("mixer", "155m", 12, 30, MIXERS),
    Row("mixer", "155m", 4, 80, MIXERS),
    Row("encoder", "155m", 12, 30, MIXERS),
    Row("step", "base", 4, 80, (*RIVALS, "huggingface")),
    Row("step", "base", 36, 10, (*RIVALS, "huggingface")),
    Row("step", "155m", 24, 15, RIVALS),
    Row("step", "155m", 36, 10, PAIR, compiled=True),
)
PROFILED = (("155m", 12, 30, PAIR), ("base", 12, 30, PAIR), ("155m", 1, 30, PAIR))


class Writer:
    """A writer of records to files of a folder, with an end of its time."""

    def __init__(self, out: Path, minutes: float) -> None:
        self.out, self.end = out, time.monotonic() + 60 * minutes
        make_folder(out)

    def write(self, name: str, records: Iterable[Dict[str, Any]]) -> List[Dict[str, Any]]:
        written = []
        for record in records:
            with open(self.out / name, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            written.append(record)
        return written

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder (default %(default)s)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: to try the script itself")
    parser.add_argument("--minutes", type=float, default=8.0, help="start nothing more after (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=10, help="turns of each candidate (default %(default)s)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies all lengths of audio (default %(default)s)"
    )
    args = parser.parse_args()
    return exit_status(lambda: run(args.out, args.device, args.minutes, args.repeat, args.scale), parser)


def run(out: Path, device: str, minutes: float, repeat: int, scale: float) -> None:
    """Check, measure :data:`ROWS` as far as the minutes go, profile, and write the report into ``out``."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("this torch sees no GPU; `device` cpu tries the script itself")
    if not 0 < scale < float("inf"):
        raise UserError(f"`scale` must be above 0; got {scale:g}")
    if not minutes >= 0:
        raise UserError(f"`minutes` must be 0 or more; got {minutes:g}")
    check_counts([row.seconds * scale for row in ROWS], repeat=repeat)
    writer = Writer(out, minutes)
    lengths = {"seconds": 2 * scale, "long_seconds": (30 * scale, 1800 * scale)}
    checks = writer.write("checks.jsonl", show(check(device=device, **lengths)))
    left_out = []
    for row in ROWS:
        if writer.is_over:
            left_out.append(row)
            continue
        options = {"batch": row.batch, "repeat": repeat, "device": device, "dtype": row.dtype, "compiled": row.compiled}
        records = measure(row.work, row.shape, [row.seconds * scale], row.names, **options)
        writer.write("bench.jsonl", show(records))
        if row is ROWS[0]:
            writer.write("profile.jsonl", show(profiles(device, scale)))
    text = report_of(out, checks, left_out, describe_machine(device, DTYPES["bf16"]))
    (out / "report.md").write_text(text, encoding="utf-8")
    print(f"{out / 'report.md'} holds the report")


def show(records: Iterable[Dict[str, Any]]) -> Iterable[Dict[str, Any]]:
    """Print a short line for each record on its way."""
    for record in records:
        words = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.items() if k in SHOWN]
        print(f"{time.strftime('%X')}  {', '.join(words)}", flush=True)
        yield record


SHOWN = ("check", "error", "failure", "held", "work", "shape", "candidate", "batch", "seconds", "dtype", "compiled")
SHOWN += ("step", "optimizer", "activation_bytes", "peak_bytes", "skipped", "busy_seconds", "launches")


def profiles(device: str, scale: float) -> Iterable[Dict[str, Any]]:
    """Profile the steps of :data:`PROFILED`, in bf16."""
    for shape, batch, seconds, names in PROFILED:
        for name in names:
            candidate = build("step", shape, name, batch, seconds * scale, device, DTYPES["bf16"])
            found = profile_step(candidate, device)
            yield {"shape": shape, "candidate": name, "batch": batch, "length": seconds * scale, **found}


def report_of(out: Path, checks: List[Dict[str, Any]], left_out: List[Row], machine: Dict[str, Any]) -> str:
    """Return the report, in Markdown."""
    failed = [record for record in checks if not record["held"]]
    found = [
        f"# {machine['machine']}, torch {machine['torch']}, commit {machine['commit']}, {machine['date']}\n",
        f"A large bf16 product runs at {machine['matmul_flops_per_second'] / 1e12:.0f} TFLOP/s. {PUBLISHED}.\n",
        f"{len(checks) - len(failed)} of {len(checks)} checks held.\n",
        *(f"- not held: {record}" for record in failed),
        *(f"- left out for lack of time: {row}" for row in left_out),
        profile_tables(out / "profile.jsonl"),
    ]
    if (out / "bench.jsonl").exists():
        found.append(report([out / "bench.jsonl"], ["self_attention"]))
    return "\n".join(found)


def profile_tables(path: Path) -> str:
    """Return a table of kernels for each profile of a file, in Markdown; empty where there is none."""
    if not path.exists():
        return ""
    sections = []
    for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        name = f"{record['shape']} step, {record['candidate']}, {record['batch']} x {record['length']:g} s, bf16"
        line = (
            f"{1000 * record['seconds']:.1f} ms a step, of which kernels run {1000 * record['busy_seconds']:.1f} ms, "
            f"in {record['launches']} launches.\n"
        )
        rows = [[name[:90], f"{1000 * seconds:.2f}", f"{calls}"] for name, seconds, calls in record["top"]]
        sections += [f"## Profile: {name}\n\n{line}", markdown(["kernel", "ms", "calls"], rows, text_columns=[0])]
    return "\n".join(sections)


if __name__ == "__main__":
    sys.exit(main())
