"""The verb ``bench``: its options and the functions that they call."""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    measure = kinds.add_parser(
        "run",
        help="measure, and append JSON lines",
        description="Measure forward, backward and AdamW of models with random weights on random input, in training "
        "mode; the candidates take turns. Our own need only torch; the others are skipped, with the reason, if they "
        "are not installed.",
    )
    measure.add_argument("--work", choices=["mixer", "encoder", "step"], default="step", help="default: %(default)s")
    measure.add_argument("--shape", choices=["base", "155m"], default="base", help="default: %(default)s")
    measure.add_argument(
        "--seconds", default="10,30", metavar="S,S,...", help="length of an utterance, default %(default)s"
    )
    measure.add_argument("--batch", type=int, default=1, metavar="B", help="utterances (default %(default)s)")
    measure.add_argument("--candidates", dest="names", metavar="A,B,...", help="default: all of this work")
    measure.add_argument("--repeat", type=int, default=5, metavar="N", help="turns (default %(default)s)")
    measure.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    measure.add_argument("--dtype", choices=["fp32", "bf16", "fp16"], default="fp32")
    measure.add_argument("--compile", dest="compiled", action="store_true", help="torch.compile each layer")
    measure.add_argument("-o", "--out", default="bench.jsonl", metavar="FILE", help="default: %(default)s")
    check = kinds.add_parser(
        "check",
        help="count what a step costs, and compare with the counts in the repository",
        description="Count a step's operations, stored bytes and calls of torch's operators: the same on any machine.",
    )
    check.add_argument("--write", action="store_true", help="write the present counts to the repository's file")
    report = kinds.add_parser("report", help="tables and plots of what was measured")
    report.add_argument("records", nargs="+", metavar="FILE", help="JSON lines of bench run")
    report.add_argument(
        "--baseline",
        dest="baselines",
        metavar="A,B,...",
        help="candidates to give ratios to (default: fairseq, where it was measured)",
    )
    report.add_argument("--out", metavar="DIR", help="also write bench.md and plots there")


def run(args: argparse.Namespace) -> None:
    print({"run": _measure, "check": _check, "report": _report}[args.kind](args))


def _measure(args: argparse.Namespace) -> str:
    from .measure import parse_seconds, run

    names = args.names.split(",") if args.names else None
    return run(
        args.out,
        work=args.work,
        shape=args.shape,
        seconds=parse_seconds(args.seconds),
        names=names,
        batch=args.batch,
        repeat=args.repeat,
        device=args.device,
        dtype=args.dtype,
        compiled=args.compiled,
    )


def _check(args: argparse.Namespace) -> str:
    from .counts import check

    return check(write=args.write)


def _report(args: argparse.Namespace) -> str:
    from .report import report

    return report(args.records, args.baselines.split(",") if args.baselines else None, args.out)
