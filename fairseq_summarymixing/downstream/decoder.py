"""Choose the decoder of a recogniser's emissions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .beam_search import BeamDecoder, BeamSearch
from .greedy import ctc_greedy
from .hypothesis import Hypothesis
from .recogniser import Recogniser

Decoder = Callable[[Tensor], "list[Hypothesis]"]


def make_decoder(recogniser: Recogniser, beam_search: BeamSearch | None) -> Decoder:
    """Return what turns emissions (T, V) into hypotheses, the best first: greedily, where there is no beam search.

    Raises:
        UserError: language model or lexicon cannot be used with the recogniser.
    """
    if beam_search is None:
        return lambda emissions: [ctc_greedy(emissions, recogniser.blank)]
    return BeamDecoder(beam_search, recogniser.symbols, recogniser.blank)
