"""The verb ``manifest``: its options and the functions that they call."""

import argparse
import os
from typing import Dict, List, Optional, Tuple

from ..errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    _add_folder(kinds)
    _add_merge(kinds)


def run(args: argparse.Namespace) -> None:
    args.run_kind(args)


def _add_folder(kinds: argparse._SubParsersAction) -> None:
    folder = kinds.add_parser(
        "folder",
        help="from any tree of audio files",
        description="Write OUT/{train,valid,test}.tsv for the audio files in SRC; OUT/report.tsv lists what was left "
        "out and why. With transcripts also .wrd, .ltr and dict.ltr.txt, with labels .cls and dict.cls.txt. The split "
        "of a file does not depend on the other files. Run again to go on after an interruption.",
    )
    folder.set_defaults(run_kind=_run_folder)
    folder.add_argument("source", metavar="SRC")
    folder.add_argument("out", metavar="OUT")
    folder.add_argument("--valid-percent", type=float, help="0 for no valid manifest, 100 for nothing else (default 1)")
    folder.add_argument("--test-percent", type=float, help="default 0: no test manifest")
    folder.add_argument("--split-by", choices=["file", "speaker"], default="file")
    folder.add_argument(
        "--speaker-regex",
        default=r"^([^/]+)/",
        metavar="R",
        help="pattern for the path relative to SRC, whose one group is the speaker (default: the first folder)",
    )
    folder.add_argument(
        "--split-list",
        dest="split_lists",
        type=_pair,
        nargs="+",
        metavar="SPLIT=FILE",
        help="published splits instead, such as train=train.txt valid=dev.txt test=test.txt: a recording per line, or "
        "a table with --columns; recordings in no list are passed over",
    )
    folder.add_argument(
        "--transcripts",
        metavar="TABLE",
        help="file of lines 'recording<TAB>text', the recording as relative path or file name, with or without its "
        "extension; or, with --columns, a table with a header; or the word sidecar, for a .txt beside each recording",
    )
    folder.add_argument(
        "--columns",
        type=_pair,
        nargs="+",
        metavar="FIELD=COLUMN",
        help="columns of the tables that --transcripts and --split-list name, which then have a header (separated by "
        "tabs, commas or semicolons): path=COLUMN, and of text, speaker and label those that are there",
    )
    folder.add_argument("--case", choices=["upper", "lower"], help="of transcripts (default: as they are)")
    folder.add_argument(
        "--keep-characters",
        metavar="SET",
        help="characters of transcripts to keep, after the change of case, as in the brackets of a regular expression: "
        '"A-Z\'"; every other becomes a space (default: all)',
    )
    folder.add_argument(
        "--resample",
        type=int,
        choices=[16000],
        help="write a 16 kHz mono FLAC of every recording under OUT/audio and refer to these",
    )
    folder.add_argument("--min-seconds", type=float, default=0.1, help="leave out shorter recordings (default 0.1)")
    folder.add_argument("--max-seconds", type=float, default=float("inf"), help="leave out longer recordings")
    folder.add_argument("--extensions", help="such as wav,flac, in either case (default: all that libsndfile reads)")
    folder.add_argument("--workers", type=int, help="threads (default: one per processor)")


def _by_name(option: str, pairs: Optional[List[Tuple[str, str]]]) -> Dict[str, str]:
    found = dict(pairs or ())
    if len(found) < len(pairs or ()):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{option} names {twice} twice; expected each once: join lists into one file")
    return found


def _run_folder(args: argparse.Namespace) -> None:
    from .folder import make_manifests
    from .formats import EXTENSIONS

    summary = make_manifests(
        args.source,
        args.out,
        valid_percent=args.valid_percent,
        test_percent=args.test_percent,
        split_by=args.split_by,
        speaker_regex=args.speaker_regex,
        split_lists=_by_name("--split-list", args.split_lists),
        transcripts=args.transcripts,
        columns=_by_name("--columns", args.columns),
        case=args.case,
        keep_characters=args.keep_characters,
        resample=args.resample,
        min_seconds=args.min_seconds,
        max_seconds=args.max_seconds,
        extensions=EXTENSIONS if args.extensions is None else args.extensions.split(","),
        workers=args.workers,
    )
    print(summary)


def _add_merge(kinds: argparse._SubParsersAction) -> None:
    merge = kinds.add_parser(
        "merge",
        help="several folders of manifests as one, each with a weight",
        description="Write OUT/SPLIT.tsv, and the labels and dictionaries that all have, of the manifests in several "
        "folders. train.tsv holds the rows of FOLDER=3 three times, so that it weighs three times as much; other "
        "splits hold every row once. No audio is copied.",
    )
    merge.set_defaults(run_kind=_run_merge)
    merge.add_argument("corpora", type=_weighted, nargs="+", metavar="FOLDER[=TIMES]")
    merge.add_argument("out", metavar="OUT")


def _run_merge(args: argparse.Namespace) -> None:
    from .merge import merge_manifests

    print(merge_manifests(args.corpora, args.out))


def _pair(text: str) -> Tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE; found {text!r}")
    return name, value


def _weighted(text: str) -> Tuple[str, int]:
    folder, equals, times = text.rpartition("=")
    if not equals or os.path.isdir(text):
        return text, 1
    if not times.isdecimal() or int(times) < 1:
        raise argparse.ArgumentTypeError(f"expected FOLDER=TIMES, a whole number from 1; found {text!r}")
    return folder, int(times)
