"""The verb ``transcribe``: its options and the functions that they call."""

import argparse

from ..errors import counted
from .input_options import DESCRIPTION as INPUTS
from .input_options import Failures, add_audio
from .language_model_options import add_language_model, language_model_settings
from .long_form_options import add_batch_seconds, add_dtype, add_long_form

DESCRIPTION = (
    "Write what a fairseq wav2vec_ctc checkpoint, stock or ours, recognises: text on the screen, or files. " + INPUTS
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("checkpoint", metavar="CKPT")
    add_audio(parser)
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        help="folder for OUT/NAME.FORMAT of each recording; or, with the format's ending (all.ctm), one file of all",
    )
    parser.add_argument(
        "--format",
        choices=["txt", "json", "srt", "vtt", "ctm"],
        default="txt",
        help="text (of several recordings NAME<TAB>text), JSON (an object a line, with the words' times), "
        "subtitles, or NIST's CTM, the words' times",
    )
    parser.add_argument("--data", metavar="DIR", help="folder with the dictionary of a checkpoint that holds none")
    add_language_model(parser)
    add_batch_seconds(parser)
    add_long_form(parser)
    add_dtype(parser)


def run(args: argparse.Namespace) -> None:
    from .beam_search import BeamSearch
    from .emissions import Batching
    from .transcribe import transcribe

    settings = language_model_settings(args)
    batching = Batching(args.batch_seconds, args.chunk_seconds, args.window_seconds, args.device, args.dtype)
    beam_search = None if settings is None else BeamSearch(**settings)
    failures = Failures(args.parser)
    outcome = transcribe(args.checkpoint, args.audio, args.out, args.format, batching, beam_search, args.data, failures)
    if args.out is not None:
        print(f"{counted(outcome.transcribed, 'recording')}: {args.out}")
    failures.raise_if_any("transcribed")
