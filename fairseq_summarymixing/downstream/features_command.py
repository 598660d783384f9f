"""The verb ``features``: its options and the functions that they call."""

import argparse

from ..errors import UserError
from .long_form_options import add_long_form

DESCRIPTION = (
    "Write OUT/NAME.layer-K.npy, one row per frame, for each recording and layer, and "
    "OUT/NAME.times.npy, the middle of each frame in seconds. CKPT: pre-trained or fine-tuned, ours or stock "
    "wav2vec2. Run again to go on after an interruption."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("checkpoint", metavar="CKPT")
    parser.add_argument("audio", nargs="+", metavar="AUDIO", help="file of any sample rate")
    parser.add_argument("-o", "--out", required=True, metavar="OUT")
    parser.add_argument(
        "--layers", metavar="K,K,...", help="0 is the first layer's input, K the output of layer K (default: the last)"
    )
    add_long_form(parser)


def run(args: argparse.Namespace) -> None:
    from .features import extract

    try:
        layers = None if args.layers is None else [int(text) for text in args.layers.split(",")]
    except ValueError as error:
        raise UserError(f"--layers must be numbers with commas between; got {args.layers}") from error
    print(extract(args.checkpoint, args.audio, args.out, layers, args.block_seconds, args.window_seconds, args.device))
