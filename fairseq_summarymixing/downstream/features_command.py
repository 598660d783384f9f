"""The verb ``features``: its options and the functions that they call."""

import argparse
from typing import List, Optional, Union

from ..errors import UserError
from .input_options import DESCRIPTION as INPUTS
from .input_options import Failures, add_audio
from .long_form_options import add_dtype, add_long_form

DESCRIPTION = (
    "Write OUT/NAME.layer-K.npy, one row per frame, for each recording and layer, and "
    "OUT/NAME.times.npy, the middle of each frame in seconds. CKPT: pre-trained or fine-tuned, ours or stock "
    "wav2vec2. Run again to go on after an interruption. "
) + INPUTS


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("checkpoint", metavar="CKPT")
    add_audio(parser)
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT",
        help="folder; or, with --format npz or safetensors and that ending (train.npz), one file of all recordings, "
        "with NAME/layer-K and NAME/times",
    )
    parser.add_argument(
        "--layers",
        metavar="K,K,...",
        help="0 is the first layer's input, K the output of layer K, before the encoder's final norm; all "
        "(default: the last)",
    )
    parser.add_argument(
        "--format",
        choices=["npy", "npz", "safetensors"],
        default="npy",
        help="npz, safetensors: one file for each recording, OUT/NAME.npz, that holds layer-K and times",
    )
    parser.add_argument(
        "--codes",
        action="store_true",
        help="write OUT/codes.tsv instead: NAME<TAB>for each frame the codebook indices that a pre-trained "
        "checkpoint's quantiser chooses, such as 12-301 for two groups",
    )
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=0,
        metavar="S",
        help="compute recordings of similar lengths together, padded, up to S seconds, such as 40: faster for "
        "recordings of a second or two; values differ by rounding (default %(default)g: one at a time)",
    )
    add_long_form(parser)
    add_dtype(parser)


def run(args: argparse.Namespace) -> None:
    from .codes import extract_codes
    from .features import extract

    failures = Failures(args.parser)
    if args.codes:
        defaults = {"layers": None, "format": "npy", "window_seconds": None, "dtype": "fp32", "batch_seconds": 0}
        if any(getattr(args, name) != value for name, value in defaults.items()):
            raise UserError(
                "--codes writes one table of codes: leave out --layers, --format, --window, --dtype and --batch-seconds"
            )
        print(extract_codes(args.checkpoint, args.audio, args.out, args.chunk_seconds, args.device, failures))
    else:
        lengths = (args.chunk_seconds, args.window_seconds)
        layers = _layers(args.layers)
        options = (args.device, args.format, failures, args.dtype, args.batch_seconds)
        print(extract(args.checkpoint, args.audio, args.out, layers, *lengths, *options))
    failures.raise_if_any("computed")


def _layers(text: Optional[str]) -> Union[List[int], str, None]:
    if text in (None, "all"):
        return text
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise UserError(f"--layers must be numbers with commas between, or all; got {text!r}") from error
