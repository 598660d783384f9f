"""The verb ``decode``: its options and the functions that they call."""

import argparse

from ..errors import UserError
from .language_model_options import add_language_model, language_model_settings
from .long_form_options import add_batch_seconds, add_dtype, add_long_form

DESCRIPTION = (
    "Decode DIR/SPLIT.tsv with a fairseq wav2vec_ctc checkpoint, stock or ours: greedily, or by a beam search with a "
    "language model. Writes hypotheses.wrd, references.wrd, hypotheses.ltr and result.json, with WER, CER and a "
    "bootstrap confidence interval over utterances; for a split without SPLIT.ltr only hypotheses."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="folder with SPLIT.tsv and, for error rates, SPLIT.ltr"
    )
    parser.add_argument("--split", required=True, metavar="SPLIT", help="such as test")
    parser.add_argument("-o", "--out", metavar="DIR", help="default: decode/CHECKPOINT-SPLIT beside the checkpoint")
    add_batch_seconds(parser)
    parser.add_argument("--timestamps", action="store_true", help="also write hypotheses.ctm, the words' times")
    add_language_model(parser, weights="default %s, or what --tune chooses")
    parser.add_argument("--nbest", type=int, metavar="N", help="also write nbest.tsv, up to N hypotheses each")
    parser.add_argument("--tune", metavar="SPLIT", help="choose --lm-weight and --word-score on this split, e.g. valid")
    add_long_form(parser)
    add_dtype(parser)


def run(args: argparse.Namespace) -> None:
    from .beam_search import BeamSearch
    from .decode import decode, summary
    from .emissions import Batching

    settings = language_model_settings(args, more=("nbest", "tune"))
    if args.tune and not (args.lm_weight is None and args.word_score is None):
        raise UserError("--tune chooses --lm-weight and --word-score: give one or the other")
    beam_search = None if settings is None else BeamSearch(**settings)
    batching = Batching(args.batch_seconds, args.chunk_seconds, args.window_seconds, args.device, args.dtype)
    print(summary(decode(args.checkpoint, args.data, args.split, args.out, batching, beam_search, args.timestamps)))
