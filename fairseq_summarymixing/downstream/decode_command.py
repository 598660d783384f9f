"""The verb ``decode``: its options and the functions that they call."""

import argparse

from ..errors import UserError
from .long_form_options import add_long_form

DESCRIPTION = (
    "CTC decoding of DIR/SPLIT.tsv with a fairseq wav2vec_ctc checkpoint, stock or ours: greedy, or a "
    "beam search with a language model. Writes hypotheses.wrd, references.wrd, hypotheses.ltr and "
    "result.json, with WER, CER and a bootstrap confidence interval over utterances."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with SPLIT.tsv and SPLIT.ltr")
    parser.add_argument("--split", required=True, metavar="SPLIT", help="such as test")
    parser.add_argument("--out", metavar="DIR", help="default: decode/CHECKPOINT-SPLIT beside the checkpoint")
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=120.0,
        help="padded audio per batch (default %(default)g); 0: one utterance at a time, which stock models of "
        "extractor_mode default (group norm over padding) need for an answer that no batch influences",
    )
    parser.add_argument("--timestamps", action="store_true", help="also write hypotheses.ctm, the words' times")
    parser.add_argument("--lm", metavar="FILE", help="n-gram language model (ARPA or KenLM's binary); needs --lexicon")
    parser.add_argument("--lexicon", metavar="FILE", help="lines of 'WORD<TAB>W O R D |': words that can be found")
    parser.add_argument("--lm-weight", type=float, metavar="X", help="default 2, or what --tune chooses")
    parser.add_argument("--word-score", type=float, metavar="X", help="for each word; default -1, or --tune's choice")
    parser.add_argument("--beam", type=int, metavar="N", help="hypotheses kept (default 100)")
    parser.add_argument("--nbest", type=int, metavar="N", help="above 1: also write nbest.tsv")
    parser.add_argument("--tune", metavar="SPLIT", help="choose --lm-weight and --word-score on it, such as valid")
    add_long_form(parser)


def run(args: argparse.Namespace) -> None:
    from .beam_search import BeamSearch
    from .decode import Batching, decode, summary

    names = ("lm_weight", "word_score", "beam", "nbest", "tune")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.lm is not None and args.lexicon is None:
        raise UserError("--lm needs --lexicon")
    unused = [f"--{name.replace('_', '-')}" for name in ("lexicon", *given) if getattr(args, name) is not None]
    if args.lm is None and unused:
        raise UserError(f"{unused[0]} needs --lm")
    if args.tune and {"lm_weight", "word_score"} & given.keys():
        raise UserError("--tune chooses --lm-weight and --word-score: give one or the other")
    beam_search = None if args.lm is None else BeamSearch(args.lm, args.lexicon, **given)
    batching = Batching(args.batch_seconds, args.block_seconds, args.window_seconds, args.device)
    print(summary(decode(args.checkpoint, args.data, args.split, args.out, batching, beam_search, args.timestamps)))
