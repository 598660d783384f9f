"""The verb ``manifest``: its options and the functions that they call."""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    folder = kinds.add_parser(
        "folder",
        help="from any tree of audio files",
        description="Write OUT/{train,valid,test}.tsv for the audio files in SRC; OUT/report.tsv lists what was left "
        "out and why. With --transcripts also .wrd, .ltr and dict.ltr.txt. The split of a file never depends on "
        "the others. Run again to go on after an interruption.",
    )
    folder.add_argument("source", metavar="SRC")
    folder.add_argument("out", metavar="OUT")
    folder.add_argument("--valid-percent", type=float, default=1, help="0 for no valid manifest (default 1)")
    folder.add_argument("--test-percent", type=float, default=0, help="default 0: no test manifest")
    folder.add_argument("--split-by", choices=["file", "speaker"], default="file")
    folder.add_argument(
        "--speaker-regex",
        default=r"^([^/]+)/",
        metavar="R",
        help="searched in the path relative to SRC; its one group is the speaker (default: the first folder)",
    )
    folder.add_argument(
        "--transcripts",
        metavar="TABLE",
        help="'recording<TAB>text' per line, the recording as relative path or file name, with or without its "
        "extension; or the word sidecar, for a .txt file beside each recording. Text is taken as it is",
    )
    folder.add_argument(
        "--resample",
        type=int,
        choices=[16000],
        help="write a 16 kHz mono FLAC of every recording under OUT/audio and refer to these",
    )
    folder.add_argument("--min-seconds", type=float, default=0.1, help="leave out shorter recordings (default 0.1)")
    folder.add_argument("--max-seconds", type=float, default=float("inf"), help="leave out longer recordings")
    folder.add_argument("--extensions", default="wav,flac,ogg,mp3", help="default %(default)s, in either case")
    folder.add_argument("--workers", type=int, help="threads (default: one per processor)")


def run(args: argparse.Namespace) -> None:
    from .folder import make_manifests

    summary = make_manifests(
        args.source,
        args.out,
        valid_percent=args.valid_percent,
        test_percent=args.test_percent,
        split_by=args.split_by,
        speaker_regex=args.speaker_regex,
        transcripts=args.transcripts,
        resample=args.resample,
        min_seconds=args.min_seconds,
        max_seconds=args.max_seconds,
        extensions=args.extensions.split(","),
        workers=args.workers,
    )
    print(summary)
