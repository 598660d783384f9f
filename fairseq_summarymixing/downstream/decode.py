"""Decode a test split with CTC and write hypotheses and, where it has references, error rates to disk: read, compute,
score, write."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..checkpoints import Checkpoint
from ..data.audio import SAMPLE_RATE
from ..errors import UserError, counted
from ..files import atomic_write, check_folder, make_folder
from ..json_files import read_json
from .beam_search import BeamDecoder, BeamSearch, tune
from .decoder import make_decoder
from .devices import device_name, pick_device
from .emissions import Batching, EmissionModel, compute_emissions
from .error_rate import character_errors, word_errors
from .hypothesis import Hypothesis
from .inputs import names_of
from .progress import warn
from .recogniser import Recogniser, check_checkpoint, load_recogniser
from .test_set import TestSet, check_symbols, read_test_set
from .transcript import Transcript, as_ctm
from .versions import versions


def decode(
    checkpoint: str | Path,
    data: str | Path,
    split: str,
    out: str | Path | None = None,
    batching: Batching | None = None,
    beam_search: BeamSearch | None = None,
    timestamps: bool = False,
) -> dict[str, Any]:
    """Decode a split and write the hypotheses, in manifest order, with the error rates beside them.

    Writes ``hypotheses.wrd``, ``references.wrd``, ``hypotheses.<labels>`` and ``result.json`` into ``out``, and when
    asked to ``nbest.tsv`` and ``hypotheses.ctm``. Every utterance counts: one that cannot be read stops the run,
    because the error rate of the others would be that of another test set. A symbol of a reference that the model does
    not know counts as an error, with a warning. Without references there are no error rates.

    Args:
        checkpoint: a fairseq ``wav2vec_ctc`` checkpoint of the task ``audio_finetuning``.
        data: folder with SPLIT.tsv and perhaps SPLIT.<labels>, labels as in fine-tuning (``ltr``).
        out: folder for the files, replaced if they are there; default: ``decode/<checkpoint>-<split>`` beside the
            checkpoint, where the files of other data are not replaced.
        batching: None = its defaults.
        beam_search: with a language model; None = greedy. With more than one best hypothesis also ``nbest.tsv``:
            row of the manifest from 0, rank from 1, score, words.
        timestamps: also write ``hypotheses.ctm``: recording, channel, start, duration (seconds), word. Recordings are
            named as by :func:`.transcribe.transcribe`; one that the manifest repeats comes once.

    Returns:
        What ``result.json`` holds: rates in percent, None without references; times in seconds.

    Raises:
        UserError: the checkpoint, the split, the device or the folder cannot be used; or, with timestamps, two paths
            of the manifest are the same file.
    """
    batching = batching or Batching()
    name = f"{Path(checkpoint).stem}-{split}" + ("" if beam_search is None else "-lm")
    folder = Path(out) if out else Path(checkpoint).parent / "decode" / name
    check_folder(folder)
    if not out:
        _keep_other_data(folder, data)
    inputs = _read(Checkpoint.read(checkpoint), data, split, batching)
    make_folder(folder)  # before hours of work, as are the names
    names = names_of(inputs.test_set.root, inputs.test_set.paths) if timestamps else None
    decoded = _compute(inputs, beam_search)
    result = {**_score(inputs, decoded), **_describe(inputs, decoded), **decoded.settings}
    _write(folder, inputs, decoded, nbest=beam_search is not None and beam_search.nbest > 1, names=names)
    _write_json(folder / "result.json", result)
    return {**result, "out": str(folder)}


def _keep_other_data(folder: Path, data: str | Path) -> None:
    """Raise a UserError where a folder that nobody named holds the decode of a split of that name of other data."""
    try:
        before = read_json(folder / "result.json").get("data")
    except UserError:  # there is none, or it is no decode's
        return
    if isinstance(before, str) and os.path.realpath(before) != os.path.realpath(data):
        raise UserError(f"{folder} holds the decode of {before}, which stays as it is: name a folder as `out`")


class Inputs(NamedTuple):
    """The inputs of a decode: checkpoint, model, and test split with its references."""

    checkpoint: Checkpoint
    recogniser: Recogniser
    data: str | Path
    split: str
    test_set: TestSet
    references: list[str] | None
    """Transcripts, as words joined by spaces; None where there are none."""
    batching: Batching


class Decoded(NamedTuple):
    """The hypotheses of a split, in manifest order, and how they were computed."""

    hypotheses: list[list[Hypothesis]]
    """The hypotheses of each utterance, the best first; greedy decoding has one."""
    audio_seconds: float
    seconds: float
    """The seconds that computing and decoding took."""
    notes: list[str]
    decoder: str
    dtype: str
    settings: dict[str, Any]
    """The settings of a beam search, for ``result.json``."""


def _read(checkpoint: Checkpoint, data: str | Path, split: str, batching: Batching) -> Inputs:
    labels = check_checkpoint(checkpoint)
    test_set = read_test_set(data, split, labels)
    recogniser = load_recogniser(checkpoint, data, pick_device(batching.device))
    references = None if test_set.labels is None else _references(recogniser, test_set)
    if references is None:
        warn(f"there is no {test_set.labels_path}: hypotheses are written without error rates")
    elif not any(references):
        raise UserError(f"{test_set.labels_path} holds no words, so there is no word error rate")
    return Inputs(checkpoint, recogniser, data, split, test_set, references, batching)


def _references(recogniser: Recogniser, test_set: TestSet) -> list[str]:
    unknown = check_symbols(test_set, recogniser.task.target_dictionary.indices)
    if unknown:
        warn(f"warning: {unknown}")
    return [recogniser.words(line) for line in test_set.labels]


def _compute(inputs: Inputs, beam_search: BeamSearch | None) -> Decoded:
    recogniser = inputs.recogniser
    decoder, name = make_decoder(recogniser, beam_search), "greedy CTC, no language model"
    model = EmissionModel(recogniser, inputs.checkpoint, inputs.batching)
    if beam_search is not None:
        name = f"CTC beam search, {beam_search.lm}"
        if beam_search.tune:
            _tune(decoder, inputs, beam_search.tune, model)
    started = time.perf_counter()
    emissions = compute_emissions(model, inputs.test_set, inputs.split)
    utterances = tqdm(emissions.utterances, desc="decoding", unit="utterance", disable=None)
    hypotheses = [decoder(utterance) for utterance in utterances]
    seconds = time.perf_counter() - started
    settings = {} if beam_search is None else _settings(decoder, beam_search)
    return Decoded(hypotheses, emissions.audio_seconds, seconds, emissions.notes, name, model.dtype, settings)


def _tune(decoder: BeamDecoder, inputs: Inputs, split: str, model: EmissionModel) -> None:
    """Let the decoder use the weights that suit the split best."""
    recogniser = inputs.recogniser
    test_set = read_test_set(inputs.data, split, inputs.checkpoint.labels)
    if test_set.labels is None:
        raise UserError(f"`tune` {split}: there is no {test_set.labels_path}")
    references = _references(recogniser, test_set)
    if not any(references):
        raise UserError(f"`tune` {split}: {test_set.labels_path} holds no words")
    emissions = compute_emissions(model, test_set, split).utterances

    def rate(hypotheses: list[Hypothesis]) -> float:
        return word_errors(references, [recogniser.words_of(hypothesis) for hypothesis in hypotheses]).rate

    print(tune(decoder, emissions, rate), file=sys.stderr)


def _settings(decoder: BeamDecoder, beam_search: BeamSearch) -> dict[str, Any]:
    return {
        "lm_weight": decoder.lm_weight,
        "word_score": decoder.word_score,
        "beam": beam_search.beam,
        "lm": os.path.abspath(beam_search.lm),
        "lexicon": os.path.abspath(beam_search.lexicon),
        "tuned_on": beam_search.tune,
    }


def _score(inputs: Inputs, decoded: Decoded) -> dict[str, Any]:
    """Return the error rates and the speed of the decode."""
    hypotheses = [inputs.recogniser.words_of(best) for best, *_ in decoded.hypotheses]
    return {
        **_rates(inputs.references, hypotheses),
        "utterances": len(hypotheses),
        "empty_hypotheses": sum(not line for line in hypotheses),
        "audio_seconds": decoded.audio_seconds,
        "seconds": decoded.seconds,
        "real_time_factor": decoded.seconds / decoded.audio_seconds,
    }


def _rates(references: list[str] | None, hypotheses: list[str]) -> dict[str, Any]:
    if references is None:
        return {"wer": None, "cer": None}
    words, characters = word_errors(references, hypotheses), character_errors(references, hypotheses)
    return {
        "wer": 100 * words.rate,
        "wer_ci": [100 * edge for edge in words.interval()],
        "cer": 100 * characters.rate,
        "words": int(words.units.sum()),
        "word_errors": int(words.errors.sum()),
        "characters": int(characters.units.sum()),
        "character_errors": int(characters.errors.sum()),
    }


def _describe(inputs: Inputs, decoded: Decoded) -> dict[str, Any]:
    """Return what was decoded, and by which model and decoder."""
    return {
        "checkpoint": os.path.abspath(inputs.checkpoint.path),
        "num_updates": inputs.checkpoint.num_updates,
        "model": inputs.recogniser.fields.get("_name"),
        "mixer": inputs.recogniser.fields.get("mixer"),
        "data": os.path.abspath(inputs.data),
        "split": inputs.split,
        "decoder": decoded.decoder,
        "batch_seconds": inputs.batching.batch_seconds,
        "dtype": decoded.dtype,
        "device": device_name(pick_device(inputs.batching.device)),
        "versions": versions(),
        "notes": decoded.notes,
    }


def _write(folder: Path, inputs: Inputs, decoded: Decoded, nbest: bool, names: dict[str, str] | None) -> None:
    recogniser, best = inputs.recogniser, [first for first, *_ in decoded.hypotheses]
    # Of an earlier run; the result first, which is written last: it never stands beside the files of another run.
    for name in ("result.json", "references.wrd", "nbest.tsv", "hypotheses.ctm"):
        (folder / name).unlink(missing_ok=True)
    if inputs.references is not None:
        _write_lines(folder / "references.wrd", inputs.references)
    _write_lines(folder / "hypotheses.wrd", map(recogniser.words_of, best))
    _write_lines(folder / f"hypotheses.{inputs.checkpoint.labels}", map(recogniser.text, best))
    if nbest:
        _write_lines(folder / "nbest.tsv", _nbest(recogniser, decoded.hypotheses))
    if names is not None:
        with atomic_write(folder / "hypotheses.ctm") as file:
            file.writelines(map(as_ctm, _transcripts(inputs, best, names)))


def _nbest(recogniser: Recogniser, hypotheses: list[list[Hypothesis]]) -> Iterator[str]:
    for row, of_utterance in enumerate(hypotheses):
        for rank, hypothesis in enumerate(of_utterance, 1):
            yield f"{row}\t{rank}\t{hypothesis.score:.4f}\t{recogniser.words_of(hypothesis)}"


def _transcripts(inputs: Inputs, hypotheses: list[Hypothesis], names: dict[str, str]) -> Iterator[Transcript]:
    """Yield the transcript of each path that has a name, with this name."""
    recogniser, test_set = inputs.recogniser, inputs.test_set
    rows = {path: row for row, path in enumerate(test_set.paths)}
    for path, name in names.items():
        best, seconds = hypotheses[rows[path]], test_set.samples[rows[path]] / SAMPLE_RATE
        text, words = recogniser.words_of(best), recogniser.timed_words(best)
        yield Transcript(name, os.path.join(test_set.root, path), seconds, text, words)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")


def summary(result: dict[str, Any]) -> str:
    """Return one line that summarises the result."""
    if result["wer"] is None:
        return f"{counted(result['utterances'], 'utterance')}, no references: {result['out']}"
    low, high = result["wer_ci"]
    return (
        f"WER {result['wer']:.1f} % (95 % CI {low:.1f} to {high:.1f}), CER {result['cer']:.1f} %, "
        f"{counted(result['utterances'], 'utterance')}, {counted(result['words'], 'word')}: {result['out']}"
    )
