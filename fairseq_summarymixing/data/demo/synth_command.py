"""The verb ``synth``: its options and the functions that they call."""

import argparse

DESCRIPTION = (
    "Write OUT/audio/VOICE/*.flac and OUT/transcripts.tsv: short sentences of a small vocabulary, 42 "
    "voices. The same seed gives the same audio. Then: fairseq-summarymixing manifest folder OUT/audio MANIFESTS "
    "--transcripts OUT/transcripts.tsv --split-by speaker --valid-percent 10 --test-percent 10"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--minutes", type=float, default=30, help="default 30")
    parser.add_argument("--seed", type=int, default=1, help="default 1")
    parser.add_argument("--languages", default="en-us,cy,eu", help="some of %(default)s, which is the default")


def run(args: argparse.Namespace) -> None:
    from .synth import make_corpus

    print(make_corpus(args.out, args.minutes, args.seed, args.languages.split(",")))
