"""``fairseq-summarymixing <verb>``: parses the command line and calls; the work is done elsewhere."""

import argparse
import sys
from typing import List, Optional

from . import __version__
from .errors import UserError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fairseq-summarymixing",
        description="Corpora, decoding and comparisons around SummaryMixing wav2vec 2.0.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run one verb. Returns 0, 1 after a user's mistake (one line on stderr), 130 after Ctrl-C."""
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; finished files are kept, run the same command to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
