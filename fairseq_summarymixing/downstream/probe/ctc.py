"""The task ``ctc``: recognise letters, and words made of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.transcripts import WORD_END
from ...errors import UserError
from ..error_rate import ErrorRate, character_errors, word_errors
from ..greedy import ctc_greedy
from .batches import Batch, Examples
from .model import BLSTM, Linear, Probe
from .scores import Ratio, Score
from .splits import Split
from .task import DEEP_RATES, LINEAR_RATES, Figure, Row

BLANK = 0


class Ctc:
    """Connectionist temporal classification (Graves et al. 2006) of the letters of the training split, decoded greedily
    without a language model. A letter that training does not have is an error wherever it stands in a reference."""

    figures = {"wer": Figure("WER %", True), "cer": Figure("CER %", True)}
    chosen_by = "cer"  # what an encoder of little training moves before whole words are right
    drawn = "utterances"
    heads = {"linear": LINEAR_RATES, "blstm": DEEP_RATES}

    def __init__(self, train: Split):
        self.symbols = sorted({symbol for line in train.labels for symbol in line.split()})
        if not self.symbols:
            raise UserError(f"{train.labels_path} holds no letters")

    def check(self, split: Split) -> Split:
        if not any(map(words, split.labels)):
            raise UserError(f"{split.labels_path} holds no words, so there is no word error rate")
        return split

    def targets(self, split: Split) -> list[Tensor]:
        numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=BLANK + 1)}
        return [torch.tensor([numbers[symbol] for symbol in line.split()], dtype=torch.long) for line in split.labels]

    def make_head(self, name: str, width: int, hidden_size: int) -> nn.Module:
        outputs = len(self.symbols) + 1
        return Linear(width, outputs) if name == "linear" else BLSTM(width, outputs, hidden_size)

    def loss(self, probe: Probe, batch: Batch) -> Tensor:
        log_probs = probe(batch.states, batch.padding_mask).log_softmax(dim=-1).transpose(0, 1)  # (T, B, V)
        frames = (~batch.padding_mask).sum(dim=1)
        letters = torch.tensor([len(target) for target in batch.targets], device=frames.device)
        # an utterance with more letters than frames has no path, and teaches nothing
        return F.ctc_loss(log_probs, torch.cat(batch.targets), frames, letters, BLANK, zero_infinity=True)

    def answer(self, probe: Probe, examples: Examples, split: Split) -> list[Row]:
        hypotheses = examples.answers(lambda batch: self._decode(probe, batch))
        return [
            (name, words(line), hypothesis) for name, line, hypothesis in zip(split.names, split.labels, hypotheses)
        ]

    def scores(self, rows: Sequence[Row], split: Split) -> dict[str, Score]:
        references, hypotheses = [row[1] for row in rows], [row[2] for row in rows]
        counted = {"wer": word_errors(references, hypotheses), "cer": character_errors(references, hypotheses)}
        return {name: _ratio(errors) for name, errors in counted.items()}

    def notes(self, test: Split) -> list[str]:
        return [f"{test.name} has {sum(len(words(line).split()) for line in test.labels)} words"]

    def _decode(self, probe: Probe, batch: Batch) -> list[str]:
        emissions = probe(batch.states, batch.padding_mask)
        lengths = (~batch.padding_mask).sum(dim=1).tolist()
        tokens = (ctc_greedy(row[:length], BLANK).tokens for row, length in zip(emissions, lengths))
        return [words(" ".join(self.symbols[token - 1] for token in found)) for found in tokens]


def words(line: str) -> str:
    """Return the words, joined by spaces, of a line of letters: "H E | L L |" -> "HE LL"."""
    return " ".join("".join(line.split()).replace(WORD_END, " ").split())


def _ratio(errors: ErrorRate) -> Ratio:
    return Ratio(errors.errors, errors.units)
