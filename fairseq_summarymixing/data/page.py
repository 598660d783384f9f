"""Run the command line that the scripts in manifests/ share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import UserError, exit_status
from ..input_files import no_folder
from .published import PublishedCorpus, check_corpus, write_corpus
from .text_rules import text_rules


def run_page(
    description: str,
    read: Callable[[argparse.Namespace], PublishedCorpus],
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    """Run ``CORPUS OUT [--check]``: write manifests, or check the corpus against what was published.

    Args:
        read: gives the corpus for the parsed options, among them ``corpus``, and ``rules`` for transcripts.
        add_options: adds the script's own.

    Returns:
        The exit status; 1 as well where the check finds something missing.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    add_out(parser)
    parser.add_argument("--workers", type=int, help="threads (default: one per processor)")
    parser.add_argument("--resample", type=int, choices=[16000], help="refer to 16 kHz copies under OUT/audio")
    parser.add_argument("--case", choices=["upper", "lower"], help="of transcripts (default: as they are)")
    parser.add_argument("--keep-characters", metavar="SET", help='of transcripts, such as "A-Z\'" (default: all)')
    add_options(parser)
    args = parser.parse_intermixed_args()  # OUT may follow an option
    return exit_status(lambda: _run(args, read), parser)


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add OUT and --check, which every script has."""
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT")
    parser.add_argument("--check", action="store_true", help="compare CORPUS with its published counts, write nothing")


def check_out(args: argparse.Namespace) -> None:
    """Raise a UserError where there is no corpus, or nothing to write to."""
    if not args.corpus.is_dir():
        raise UserError(f"{no_folder(args.corpus)}; expected the corpus's folder")
    if args.out is None and not args.check:
        raise UserError("OUT is missing: name a folder to write to, or use --check, which writes nothing")


def _run(args: argparse.Namespace, read: Callable[[argparse.Namespace], PublishedCorpus]) -> None:
    check_out(args)
    args.rules = text_rules(args.case, args.keep_characters)
    corpus = read(args)
    if args.resample:
        corpus = replace(corpus, resample=True)
    if args.check:
        check_corpus(corpus)
        return
    print(write_corpus(corpus, args.out, args.workers))
