"""Load a fine-tuned CTC model of fairseq with its dictionary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..checkpoints import Checkpoint
from ..checkpoints.names import CTC_MODEL, STOCK_MODEL
from ..compat import quiet_fairseq
from ..data.audio import SAMPLE_RATE
from ..errors import UserError
from ..plugin.corpora import sound_dictionary
from .encoder import front_end_of
from .hypothesis import Hypothesis, TimedWord, word_times
from .restore import restore

# What lies between words, by the ``post_process`` of fairseq that joins symbols into words
DELIMITERS = {"letter": "|", "sentencepiece": "\u2581", "wordpiece": "_"}
# Fields of the task that would leave out, cut or double test audio.
WHOLE_AUDIO = {"min_sample_size": None, "max_sample_size": None, "subsample": 1.0, "num_batch_buckets": 0}


@dataclass
class Recogniser:
    """A fine-tuned model and what is needed to turn its tokens into text.

    Attributes:
        model: fairseq's ``wav2vec_ctc``, in evaluation mode, on its device.
        task: fairseq's task, with the dictionary that the model was trained with.
        words: from the dictionary's symbols, joined by spaces, to words, joined by spaces.
        delimiter: between words, as :func:`.hypothesis.word_times` takes it.
        fields: of the pre-trained model inside, by name.
    """

    model: torch.nn.Module
    task: Any
    words: Callable[[str], str]
    delimiter: str
    fields: dict[str, Any]

    @property
    def symbols(self) -> list[str]:
        return self.task.target_dictionary.symbols

    @property
    def blank(self) -> int:
        return self.task.target_dictionary.index(self.task.blank_symbol)

    def text(self, hypothesis: Hypothesis) -> str:
        """Return the hypothesis's symbols, joined by spaces."""
        return self.task.target_dictionary.string(hypothesis.tokens)

    def words_of(self, hypothesis: Hypothesis) -> str:
        """Return the hypothesis's words, joined by spaces: the lexicon's, where there was a lexicon."""
        return self.words(self.text(hypothesis)) if hypothesis.words is None else " ".join(hypothesis.words)

    def timed_words(self, hypothesis: Hypothesis) -> list[TimedWord]:
        """Return the words of :meth:`words_of` with their times."""
        seconds, first = self.timing()
        found = word_times(hypothesis, self.symbols, self.delimiter, seconds, first)
        if hypothesis.words and len(hypothesis.words) == len(found):  # as the lexicon writes them
            return [TimedWord(word, start, end) for word, (_, start, end) in zip(hypothesis.words, found)]
        return found

    def timing(self) -> tuple[float, float]:
        """Return the seconds from one frame to the next, and to the middle of the first."""
        frontend = self._front_end()
        return frontend.hop / SAMPLE_RATE, frontend.first_centre / SAMPLE_RATE

    def has_frame(self, samples: int) -> bool:
        """Return whether a waveform of so many samples, alone, is long enough for a frame."""
        return samples >= self._front_end().receptive_field

    def _front_end(self) -> torch.nn.Module:
        return front_end_of(self.model.w2v_encoder.w2v_model)


def check_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the ending of the checkpoint's label files, such as "ltr"; raises UserError unless it is of CTC."""
    path, name = checkpoint.path, checkpoint.name
    if not checkpoint.is_ctc:
        hint = f"; fine-tune it first (model {CTC_MODEL}, task audio_finetuning)" if STOCK_MODEL in str(name) else ""
        raise UserError(f"{path} is a checkpoint of the model {name!r}; expected one of {CTC_MODEL!r}{hint}")
    if not checkpoint.labels:
        raise UserError(f"{path} was trained without labels (task.labels is not set), so it has no dictionary")
    return checkpoint.labels


def load_recogniser(checkpoint: Checkpoint, data: str | Path | None, device: torch.device) -> Recogniser:
    """Build the model of a checkpoint that :func:`check_checkpoint` accepts.

    Args:
        data: folder with the dictionary, ``dict.<labels>.txt``, which old checkpoints lack; None = there is none.

    Raises:
        UserError: checkpoint and data have other dictionaries or none, the model inside is unknown or does not fit.
    """
    with quiet_fairseq():
        from fairseq.data.data_utils import post_process

        check_dictionary(checkpoint, data)
    model, _, task = restore(checkpoint, {} if data is None else {"data": str(data)})
    for name, value in WHOLE_AUDIO.items():
        if hasattr(task.cfg, name):  # fairseq 0.12.2 has no subsample
            setattr(task.cfg, name, value)
    symbol, model = checkpoint.post_process, model.to(device)
    fields = checkpoint.pretrained_fields or {}
    delimiter = DELIMITERS.get(symbol, "")
    return Recogniser(model, task, lambda line: " ".join(post_process(line, symbol).split()), delimiter, fields)


def check_dictionary(checkpoint: Checkpoint, data: str | Path | None) -> None:
    """Raise a UserError if the checkpoint's and the data's dictionary differ, if there is none, or if it is damaged."""
    from fairseq.data import Dictionary

    path, there = checkpoint.path, checkpoint.symbols
    if data is None:
        if there is None:
            name = f"dict.{checkpoint.labels}.txt"
            raise UserError(f"{path} holds no dictionary: name as `data` a folder that holds {name} of its fine-tuning")
        return
    file = Path(data) / f"dict.{checkpoint.labels}.txt"
    if not file.is_file():
        if there is None:
            raise UserError(f"{path} holds no dictionary and there is no {file}; copy it from the fine-tuning data")
        return
    with sound_dictionary(file):
        here = Dictionary.load(str(file)).symbols
    if there in (None, here):
        return
    only_here, only_there = sorted(set(here) - set(there)), sorted(set(there) - set(here))
    if only_here or only_there:
        difference = (
            f"only in the file: {' '.join(only_here) or '-'}; only in the checkpoint: {' '.join(only_there) or '-'}"
        )
    else:
        difference = "the same symbols in another order"
    raise UserError(
        f"{file} is not the dictionary that {path} was trained with ({difference}); "
        "remove it to use the checkpoint's, or use the data made for this checkpoint"
    )
