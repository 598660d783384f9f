"""The verb ``compare``: its options and the functions that they call."""

import argparse

from .references import shipped

DESCRIPTION = (
    "Read fairseq run folders (*.log files with JSON lines, as common.log_format=json writes them, checkpoints and "
    "decode results). Write compare.html (one file that needs no network), compare.md, compare.json, the plots, and "
    "each run's curves as a small text file, DIR/curves/NAME.jsonl."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("-o", "--out", default="comparison", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--probes", nargs="+", default=[], metavar="OUT", help="folders with results of probe")
    parser.add_argument("--names", metavar="A,B,...", help="one name per run (default: the folders' names)")
    parser.add_argument(
        "--reference",
        dest="references",
        action="append",
        default=[],
        metavar="FILE",
        help="curves of another run to draw in grey: a file, or a run of this package: " + ", ".join(shipped()),
    )


def run(args: argparse.Namespace) -> None:
    from .report import compare

    names = args.names.split(",") if args.names else None
    print(compare(args.runs, args.out, names, args.probes, args.references))
