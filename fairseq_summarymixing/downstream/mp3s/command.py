"""The verb ``mp3s``: its options and the functions that they call."""

import argparse
import sys


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    run = kinds.add_parser(
        "run",
        help="train and test the probes",
        description="Run SpeechBrain's own recipes, each in a process of its own, over the exported checkpoints. What "
        "has a score is not run again; an interrupted run goes on at its last epoch; several of these commands with "
        "one OUT share the work. Needs an environment with SpeechBrain: see examples/mp3s.",
    )
    run.add_argument("--benchmarks", required=True, metavar="CHECKOUT", help="of github.com/speechbrain/benchmarks")
    _add_corpora(run)
    run.add_argument(
        "--checkpoints", required=True, nargs="+", metavar="CKPT", help="of fairseq, or Hugging Face directories"
    )
    run.add_argument("--names", metavar="A,B,...", help="one per checkpoint (default: their runs' folders)")
    run.add_argument("-o", "--out", required=True, metavar="OUT")
    _add_tasks(run)
    run.add_argument("--seeds", nargs="+", type=int, metavar="N", help="default: that of the recipes, 1986")
    run.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default %(default)s)")
    run.add_argument(
        "--python", default=sys.executable, help="Python of the environment with SpeechBrain (default: this one)"
    )
    run.add_argument("--epochs", type=int, metavar="N", help="number of epochs in place of each recipe's, for a trial")
    report = kinds.add_parser("report", help="table, differences from what was published, weights of the layers")
    report.add_argument("out", metavar="OUT", help="of mp3s run")
    check = kinds.add_parser("check", help="which corpora are there, and whether they are complete")
    _add_corpora(check)
    _add_tasks(check)


def _add_corpora(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpora",
        required=True,
        metavar="corpora.yaml",
        help="a line 'name: folder' for each of librispeech, commonvoice_cy, commonvoice_eu, slurp, voxceleb1, "
        "iemocap, buckeye",
    )


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tasks",
        nargs="+",
        metavar="TASK",
        help="such as LibriSpeech, SLURP/linear, CommonVoice/LSTM/cy (default: all)",
    )


def run(args: argparse.Namespace) -> None:
    print({"run": _run, "report": _report, "check": _check}[args.kind](args))


def _run(args: argparse.Namespace) -> str:
    from .run import DEFAULT_SEEDS, run

    names = args.names.split(",") if args.names else None
    seeds = args.seeds or DEFAULT_SEEDS
    return run(
        args.benchmarks,
        args.corpora,
        args.checkpoints,
        args.out,
        tasks=args.tasks,
        seeds=seeds,
        device=args.device,
        python=args.python,
        epochs=args.epochs,
        names=names,
    )


def _report(args: argparse.Namespace) -> str:
    from .report import report

    return report(args.out)


def _check(args: argparse.Namespace) -> str:
    from .corpora import check
    from .recipes import choose

    names = list(dict.fromkeys(recipe.corpus for recipe in choose(args.tasks).values())) if args.tasks else None
    return check(args.corpora, names)
