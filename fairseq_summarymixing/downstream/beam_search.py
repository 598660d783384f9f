"""Decode CTC emissions by beam search with a word language model and a lexicon, with flashlight-text."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..compat import require
from ..errors import UserError, counted
from ..input_files import kind_of
from ..tables import aligned
from ..text_files import read_lines
from .arpa import arpa_words, check_language_model, reading_error
from .hypothesis import Hypothesis

LARGEST_BEAM = 100_000
LARGEST_WEIGHT = 1_000_000
# What tuning tries
LM_WEIGHTS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
WORD_SCORES = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass
class BeamSearch:
    """The settings of a beam search, under the names that wav2vec 2.0 users know.

    Attributes:
        lm: n-gram model, ARPA or KenLM's binary.
        lexicon: lines of ``WORD<TAB>W O R D |``, in the model's symbols; the words that can be found.
        lm_weight: of the language model's logarithm, to base 10.
        word_score: added for each word.
        beam: hypotheses that are kept.
        nbest: hypotheses that are written.
        tune: split on which ``lm_weight`` and ``word_score`` are chosen; None = they are as given.

    Raises:
        UserError: a file is missing, or a number is out of range.
    """

    lm: str | Path
    lexicon: str | Path
    lm_weight: float = 2.0
    word_score: float = -1.0
    beam: int = 100
    nbest: int = 1
    tune: str | None = None

    def __post_init__(self) -> None:
        for name, path in (("lm", self.lm), ("lexicon", self.lexicon)):
            if not Path(path).is_file():
                kind = kind_of(path, once=False)
                raise UserError(f"`{name}`: {path} is {kind}" if kind else f"`{name}`: there is no file {path}")
        for name, count in (("beam", self.beam), ("nbest", self.nbest)):
            if not 1 <= count <= LARGEST_BEAM:
                raise UserError(f"`{name}` must lie between 1 and {LARGEST_BEAM}; got {count}")
        for name, value in (("lm_weight", self.lm_weight), ("word_score", self.word_score)):
            if not abs(value) <= LARGEST_WEIGHT:
                raise UserError(f"`{name}` must lie between {-LARGEST_WEIGHT} and {LARGEST_WEIGHT}; got {value}")
        if self.nbest > self.beam:
            raise UserError(f"`nbest` {self.nbest} is more than `beam` {self.beam} hypotheses")


class BeamDecoder:
    """A decoder from the emissions of an utterance to its best hypotheses.

    Args:
        symbols: of the model, by token.
        blank: token of CTC's blank.
        delimiter: symbol between words.

    Raises:
        UserError: flashlight-text is missing, or the lexicon spells words in symbols that the model does not have.
    """

    def __init__(self, settings: BeamSearch, symbols: list[str], blank: int, delimiter: str = "|"):
        require("lm", "flashlight.lib.text.decoder", purpose="`lm`")
        from flashlight.lib.text import decoder, dictionary

        self._library, self.settings = decoder, settings
        if delimiter not in symbols:
            raise UserError(f"`lm` needs a model that marks where words end: {delimiter!r} is not in its dictionary")
        self.blank, self.silence = blank, symbols.index(delimiter)
        lexicon = read_lexicon(settings.lexicon, symbols, delimiter)
        check_language_model(settings.lm)
        check_vocabulary(settings, lexicon)
        self.words = words = dictionary.create_word_dict({**lexicon, "<unk>": []})
        self.unknown = words.get_index("<unk>")
        try:
            self.lm = decoder.KenLM(str(settings.lm), words)
        except Exception as error:  # the binding raises what KenLM threw
            raise UserError(reading_error(settings.lm, str(error).splitlines()[-1])) from error
        self.trie = decoder.Trie(len(symbols), self.silence)
        start, index = self.lm.start(False), {symbol: token for token, symbol in enumerate(symbols)}
        for word, spellings in lexicon.items():
            _, score = self.lm.score(start, words.get_index(word))
            for spelling in spellings:
                self.trie.insert([index[symbol] for symbol in spelling], words.get_index(word), score)
        self.trie.smear(decoder.SmearingMode.MAX)
        self.use(settings.lm_weight, settings.word_score)

    def use(self, lm_weight: float, word_score: float) -> None:
        """Decode with these weights from here on."""
        self.lm_weight, self.word_score = lm_weight, word_score
        options = self._library.LexiconDecoderOptions(
            beam_size=self.settings.beam,
            beam_size_token=self.settings.beam,
            beam_threshold=25.0,
            lm_weight=lm_weight,
            word_score=word_score,
            unk_score=float("-inf"),
            sil_score=0.0,
            log_add=False,
            criterion_type=self._library.CriterionType.CTC,
        )
        self._decoder = self._library.LexiconDecoder(
            options, self.trie, self.lm, self.silence, self.blank, self.unknown, [], False
        )

    def __call__(self, emissions: Tensor) -> list[Hypothesis]:
        """Decode emissions (T, V) of any scale to ``nbest`` hypotheses, the best first."""
        emissions = emissions.float().log_softmax(-1).cpu().contiguous()
        if not len(emissions):
            return [Hypothesis([], [])]
        results = self._decoder.decode(emissions.data_ptr(), *emissions.shape)
        return [self._hypothesis(result) for result in results[: self.settings.nbest]] or [Hypothesis([], [])]

    def _hypothesis(self, result: Any) -> Hypothesis:
        # one token before the first frame and one after the last
        path = torch.tensor(result.tokens)[1:-1]
        kept = path != self.blank
        kept[1:] &= path[1:] != path[:-1]
        words = [self.words.get_entry(word) for word in result.words if word >= 0]
        return Hypothesis(path[kept].tolist(), torch.nonzero(kept).flatten().tolist(), result.score, words)


def read_lexicon(path: str | Path, symbols: list[str], delimiter: str = "|") -> dict[str, list[list[str]]]:
    """Read the spellings by word.

    Raises:
        UserError: a line is malformed, a symbol is not the model's, a spelling does not end with the delimiter (the
            error names the first such line), or there is no word.
    """
    known, lexicon = set(symbols), {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        word, *spelling = line.split()
        unknown = [symbol for symbol in spelling if symbol not in known]
        if not spelling or unknown or spelling[-1] != delimiter:
            problem = f"not in the model's dictionary: {' '.join(unknown)}" if unknown else "no spelling"
            problem = problem if unknown or not spelling else f"the spelling does not end with {delimiter}"
            raise UserError(
                f"{path}:{number}: {problem}; expected 'WORD<TAB>W O R D {delimiter}' in the model's symbols"
            )
        lexicon.setdefault(word, []).append(spelling)
    if not lexicon:
        raise UserError(f"`lexicon` {path} holds no words")
    return lexicon


def check_vocabulary(settings: BeamSearch, lexicon: Iterable[str]) -> None:
    """Warn of the number of words that an ARPA file lacks; a model in KenLM's binary form is not checked.

    Raises:
        UserError: it lacks all of them.
    """
    known = arpa_words(settings.lm)
    missing = [word for word in lexicon if known and word not in known]
    if missing and len(missing) == len(list(lexicon)):
        raise UserError(
            f"`lm` {settings.lm} knows none of the words of `lexicon` {settings.lexicon}, such as {missing[0]!r}: "
            "are they of one case?"
        )
    if missing:
        message = f"{settings.lm} does not know {counted(len(missing), 'word')} of the lexicon, such as {missing[0]!r}"
        print(f"warning: {message}", file=sys.stderr)


def tune(decoder: BeamDecoder, emissions: Sequence[Tensor], rate: Callable[[list[Hypothesis]], float]) -> str:
    """Try every pair of :data:`LM_WEIGHTS` and :data:`WORD_SCORES`; the decoder then uses the best pair.

    Args:
        rate: word error rate of the best hypotheses of all utterances.

    Returns:
        A table of the rates in percent, a row for each weight of the language model.
    """
    rates = {}
    for pair in tqdm(list(itertools.product(LM_WEIGHTS, WORD_SCORES)), desc="tuning", unit="pair", disable=None):
        decoder.use(*pair)
        rates[pair] = rate([decoder(utterance)[0] for utterance in emissions])
    best = min(rates, key=rates.get)
    decoder.use(*best)
    rows = []
    for weight in LM_WEIGHTS:
        rows.append([f"lm_weight {weight:g}", *(f"{100 * rates[weight, score]:.1f}" for score in WORD_SCORES)])
    table = aligned(["WER %, word_score:", *(f"{score:g}" for score in WORD_SCORES)], rows)
    best_pair = f"best: lm_weight {best[0]:g}, word_score {best[1]:g}"
    if best[0] == LM_WEIGHTS[-1] or best[1] in (WORD_SCORES[0], WORD_SCORES[-1]):
        best_pair += " (at the edge of what was tried: there may be better ones)"
    return f"{table}\n{best_pair}"
