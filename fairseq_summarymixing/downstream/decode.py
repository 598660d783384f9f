"""``fairseq-summarymixing decode``: CTC decoding of a test split, error rates, hypotheses on disk."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .. import __version__
from ..checkpoints import Checkpoint
from ..errors import UserError
from ..files import atomic_write
from .beam_search import BeamDecoder, BeamSearch, tune
from .emissions import LongForm, hear
from .encoder import pick_device
from .error_rate import character_errors, word_errors
from .greedy import ctc_greedy
from .hypothesis import Hypothesis, word_times
from .recogniser import Recogniser, check_checkpoint, load_recogniser
from .test_set import TestSet, check_symbols, read_test_set

WORD_DELIMITER = "|"


def decode(
    checkpoint: str | Path,
    data: str | Path,
    split: str,
    out: str | Path | None = None,
    batch_seconds: float = 120.0,
    device: str = "auto",
    block_seconds: float = 60.0,
    window_seconds: float | None = None,
    beam_search: BeamSearch | None = None,
    timestamps: bool = False,
) -> dict[str, Any]:
    """Decode a split and write the answers, in manifest order, with the error rates beside them.

    Writes ``hypotheses.wrd``, ``references.wrd``, ``hypotheses.<labels>`` and ``result.json`` into ``out``, and when
    asked to ``nbest.tsv`` and ``hypotheses.ctm``.
    Every utterance counts: one that cannot be read stops the run, for the rate of the others would be
    another test's.

    Args:
        checkpoint: a fairseq ``wav2vec_ctc`` checkpoint of the task ``audio_finetuning``.
        data: folder with SPLIT.tsv and SPLIT.<labels>, labels as in fine-tuning (``ltr``).
        out: folder for the files; default: ``decode/<checkpoint>-<split>`` beside the checkpoint.
        batch_seconds: padded audio that runs at once. With stock models of ``extractor_mode: default`` (group
            norm) an utterance's emissions depend a little on its batch; 0 runs one utterance at a time.
        device: "auto", "cpu" or "cuda".
        block_seconds: longer utterances go through the encoder alone, SummaryMixing in blocks of so much, which
            changes nothing but the memory.
        window_seconds: let self-attention see windows of so much of longer utterances; None refuses those above
            5 minutes.
        beam_search: with a language model; None = greedy. With more than one best hypothesis also ``nbest.tsv``:
            row of the manifest from 0, rank from 1, score, words.
        timestamps: also write ``hypotheses.ctm``: recording, channel, start, duration (seconds), word.

    Returns:
        What ``result.json`` holds: rates in percent, times in seconds.

    Raises:
        UserError: the checkpoint, the split or the device cannot be used.
    """
    if not 0 <= batch_seconds < float("inf"):
        raise UserError(f"--batch-seconds must be 0 or more; got {batch_seconds:g}")
    target = pick_device(device)
    model = Checkpoint.read(checkpoint)
    labels = check_checkpoint(model)
    test_set = read_test_set(data, split, labels)
    recogniser = load_recogniser(model, data, target)
    check_symbols(test_set, recogniser.task.target_dictionary.indices)
    references = [recogniser.words(line) for line in test_set.labels]
    if not any(references):
        raise UserError(f"{test_set.labels_path} holds no words, so there is no word error rate")

    decoder, decoder_name = _greedy(recogniser), "greedy CTC, no language model"
    if beam_search is not None:
        decoder = BeamDecoder(beam_search, recogniser.symbols, recogniser.blank)
        decoder_name = f"CTC beam search, {beam_search.lm}"
    long_form = LongForm(recogniser, model, target, block_seconds, window_seconds)
    if beam_search is not None and beam_search.tune:
        _tune(decoder, recogniser, data, beam_search.tune, labels, batch_seconds, long_form)
    started = time.perf_counter()
    emissions, notes = hear(recogniser, test_set, split, batch_seconds, long_form)
    answers = [decoder(one) for one in tqdm(emissions, desc="decoding", unit="utterance", disable=None)]
    seconds = time.perf_counter() - started

    symbols = [recogniser.text(best) for best, *_ in answers]
    hypotheses = [recogniser.words_of(best) for best, *_ in answers]
    words, characters = word_errors(references, hypotheses), character_errors(references, hypotheses)
    audio_seconds = sum(test_set.samples) / recogniser.task.cfg.sample_rate
    result = {
        "wer": 100 * words.rate,
        "wer_ci": [100 * edge for edge in words.interval()],
        "cer": 100 * characters.rate,
        "utterances": len(references),
        "words": int(words.units.sum()),
        "word_errors": int(words.errors.sum()),
        "characters": int(characters.units.sum()),
        "character_errors": int(characters.errors.sum()),
        "empty_hypotheses": sum(not line for line in hypotheses),
        "audio_seconds": audio_seconds,
        "seconds": seconds,
        "real_time_factor": seconds / audio_seconds,
        "checkpoint": os.path.abspath(checkpoint),
        "num_updates": model.num_updates,
        "model": recogniser.fields.get("_name"),
        "mixer": recogniser.fields.get("mixer"),
        "data": os.path.abspath(data),
        "split": split,
        "decoder": decoder_name,
        "batch_seconds": batch_seconds,
        "device": device_name(target),
        "versions": versions(),
        "notes": notes,
    }
    if beam_search is not None:
        result.update(lm_weight=decoder.lm_weight, word_score=decoder.word_score, beam=beam_search.beam)
        result.update(lm=os.path.abspath(beam_search.lm), lexicon=os.path.abspath(beam_search.lexicon))
        result.update(tuned_on=beam_search.tune)
    name = f"{Path(checkpoint).stem}-{split}" + ("" if beam_search is None else "-lm")
    folder = Path(out) if out else Path(checkpoint).parent / "decode" / name
    _write_lines(folder / "references.wrd", references)
    _write_lines(folder / "hypotheses.wrd", hypotheses)
    _write_lines(folder / f"hypotheses.{labels}", symbols)
    for name in ("nbest.tsv", "hypotheses.ctm"):  # of an earlier run
        (folder / name).unlink(missing_ok=True)
    if beam_search is not None and beam_search.nbest > 1:
        _write_lines(folder / "nbest.tsv", _nbest(recogniser, answers))
    if timestamps:
        _write_lines(folder / "hypotheses.ctm", _ctm(recogniser, test_set, answers))
    with atomic_write(folder / "result.json") as file:
        json.dump(result, file, indent=2, ensure_ascii=False)
        file.write("\n")
    return {**result, "out": str(folder)}


def _greedy(recogniser: Recogniser) -> Callable[[Tensor], list[Hypothesis]]:
    return lambda emissions: [ctc_greedy(emissions, recogniser.blank)]


def _tune(
    decoder: BeamDecoder, recogniser: Recogniser, data: str | Path, split: str, labels: str, *hearing: Any
) -> None:
    """Let the decoder use the weights that suit the split best."""
    test_set = read_test_set(data, split, labels)
    check_symbols(test_set, recogniser.task.target_dictionary.indices)
    references = [recogniser.words(line) for line in test_set.labels]
    if not any(references):
        raise UserError(f"--tune {split}: {test_set.labels_path} holds no words")
    emissions, _ = hear(recogniser, test_set, split, *hearing)

    def rate(answers: list[Hypothesis]) -> float:
        return word_errors(references, [recogniser.words_of(one) for one in answers]).rate

    print(tune(decoder, emissions, rate), file=sys.stderr)


def _nbest(recogniser: Recogniser, answers: list[list[Hypothesis]]) -> Iterator[str]:
    for row, hypotheses in enumerate(answers):
        for rank, one in enumerate(hypotheses, 1):
            yield f"{row}\t{rank}\t{one.score:.4f}\t{recogniser.words_of(one)}"


def _ctm(recogniser: Recogniser, test_set: TestSet, answers: list[list[Hypothesis]]) -> Iterator[str]:
    seconds, first = recogniser.timing()
    for path, (best, *_) in zip(test_set.paths, answers):
        times = word_times(best, recogniser.symbols, WORD_DELIMITER, seconds, first)
        written = best.words if best.words and len(best.words) == len(times) else [word for word, _, _ in times]
        for word, (_, start, end) in zip(written, times):
            yield f"{Path(path).stem} 1 {start:.2f} {end - start:.2f} {word}"


def summary(result: dict[str, Any]) -> str:
    """One line for people."""
    low, high = result["wer_ci"]
    return (
        f"WER {result['wer']:.1f} % (95 % CI {low:.1f} to {high:.1f}), CER {result['cer']:.1f} %, "
        f"{result['utterances']} utterances, {result['words']} words: {result['out']}"
    )


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def versions() -> dict[str, str]:
    import fairseq

    return {
        "fairseq_summarymixing": __version__,
        "fairseq": fairseq.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.writelines(f"{line}\n" for line in lines)
