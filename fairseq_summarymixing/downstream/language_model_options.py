"""Options of the verbs that decode with a language model."""

import argparse
from typing import Any, Dict, Optional, Sequence

from ..errors import UserError


def add_language_model(parser: argparse.ArgumentParser, weights: str = "default %s") -> None:
    """Add the options.

    Args:
        weights: help text of the two weights, with %s for their default.
    """
    parser.add_argument("--lm", metavar="FILE", help="n-gram language model (ARPA or KenLM's binary); needs --lexicon")
    parser.add_argument("--lexicon", metavar="FILE", help="words that can be recognised: lines of 'WORD<TAB>W O R D |'")
    parser.add_argument("--lm-weight", type=float, metavar="X", help=weights % 2)
    parser.add_argument("--word-score", type=float, metavar="X", help=f"added for each word; {weights % -1}")
    parser.add_argument("--beam", type=int, metavar="N", help="hypotheses kept (default 100)")


def language_model_settings(args: argparse.Namespace, more: Sequence[str] = ()) -> Optional[Dict[str, Any]]:
    """Return the arguments of :class:`.beam_search.BeamSearch` that were given, None where there is no language model.

    Args:
        more: arguments beside those of :func:`add_language_model`.

    Raises:
        UserError: an option lacks those that it needs.
    """
    names = ("lexicon", "lm_weight", "word_score", "beam", *more)
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.lm is None and given:
        raise UserError(f"--{next(iter(given)).replace('_', '-')} needs --lm")
    if args.lm is not None and args.lexicon is None:
        raise UserError("--lm needs --lexicon")
    return None if args.lm is None else {"lm": args.lm, **given}
