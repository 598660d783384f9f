"""The verb ``import``: its options and the functions that they call."""

import argparse

from ..compat import quiet_fairseq


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    hf = kinds.add_parser(
        "hf",
        help="from a directory of Hugging Face",
        description="Write the fairseq checkpoint CKPT of DIR: of 'export hf', further trained or not, or a public "
        "wav2vec 2.0. Public models become stock wav2vec2 checkpoints; with a CTC head, fine-tuned checkpoints.",
    )
    hf.add_argument("folder", metavar="DIR")
    hf.add_argument("checkpoint", metavar="CKPT")


def run(args: argparse.Namespace) -> None:
    with quiet_fairseq():  # which converters import
        from .import_hf import import_hf

    print(import_hf(args.folder, args.checkpoint))
