"""``fairseq-summarymixing decode``: CTC decoding of a test split, error rates, hypotheses on disk."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .. import __version__
from ..checkpoints import load_checkpoint, model_config, pretrained_config, task_config
from ..compat import quiet_fairseq
from ..errors import UserError
from ..files import atomic_write
from ..modules.frontend import ConvFeatureExtractor
from ..restore import restore
from .beam_search import BeamDecoder, BeamSearch, tune
from .encoder import SAMPLE_RATE, SpeechEncoder, load_encoder, pick_device
from .error_rate import character_errors, word_errors
from .greedy import ctc_greedy
from .hypothesis import Hypothesis, word_times
from .test_set import TestSet, check_symbols, read_test_set

# Utterances below this many seconds run alone: a convolutional front end may have no frame for them, and
# fairseq's wav2vec2 then marks the wrong frames of a padded batch.
SHORT_SECONDS = 0.1

WORD_DELIMITER = "|"

# Fields of the task that would leave out, cut or double test audio.
WHOLE_AUDIO = {"min_sample_size": None, "max_sample_size": None, "subsample": 1.0, "num_batch_buckets": 0}


@dataclass
class Recogniser:
    """A fine-tuned model and what is needed to read its answers.

    Attributes:
        model: fairseq's ``wav2vec_ctc``, in evaluation mode, on its device.
        task: fairseq's task, whose dictionary is the one the model was trained with.
        words: from the dictionary's symbols, joined by spaces, to words, joined by spaces.
        fields: of the pre-trained model inside, by name.
    """

    model: torch.nn.Module
    task: Any
    words: Callable[[str], str]
    fields: dict[str, Any]

    @property
    def symbols(self) -> list[str]:
        return self.task.target_dictionary.symbols

    @property
    def blank(self) -> int:
        return self.task.target_dictionary.index(self.task.blank_symbol)

    def text(self, hypothesis: Hypothesis) -> str:
        """Symbols, joined by spaces."""
        return self.task.target_dictionary.string(hypothesis.tokens)

    def words_of(self, hypothesis: Hypothesis) -> str:
        """Words, joined by spaces: the lexicon's, where there was one."""
        return self.words(self.text(hypothesis)) if hypothesis.words is None else " ".join(hypothesis.words)

    def timing(self) -> tuple[float, float]:
        """Seconds from one frame to the next, and to the middle of the first."""
        frontend = self.model.w2v_encoder.w2v_model.feature_extractor
        if not hasattr(frontend, "hop"):  # stock's is ours by another name
            layers = [(one[0].out_channels, one[0].kernel_size[0], one[0].stride[0]) for one in frontend.conv_layers]
            with torch.device("meta"):
                frontend = ConvFeatureExtractor(layers)
        return frontend.hop / SAMPLE_RATE, frontend.first_centre / SAMPLE_RATE


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
    state = load_checkpoint(checkpoint)
    labels = check_checkpoint(checkpoint, state)
    test_set = read_test_set(data, split, labels)
    recogniser = load_recogniser(checkpoint, state, data, target)
    check_symbols(test_set, recogniser.task.target_dictionary.indices)
    references = [recogniser.words(line) for line in test_set.labels]
    if not any(references):
        raise UserError(f"{test_set.labels_path} holds no words, so there is no word error rate")

    decoder, decoder_name = _greedy(recogniser), "greedy CTC, no language model"
    if beam_search is not None:
        decoder = BeamDecoder(beam_search, recogniser.symbols, recogniser.blank)
        decoder_name = f"CTC beam search, {beam_search.lm}"
    long_form = LongForm(recogniser, checkpoint, target, block_seconds, window_seconds)
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
        "num_updates": num_updates(state),
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


def check_checkpoint(path: str | Path, state: dict[str, Any]) -> str:
    """The ending of the checkpoint's label files, such as "ltr"; a UserError unless it is a CTC model's."""
    name = model_config(state).get("_name")
    if name != "wav2vec_ctc":
        hint = "; fine-tune it first (model wav2vec_ctc, task audio_finetuning)" if "wav2vec2" in str(name) else ""
        raise UserError(f"{path} is a checkpoint of the model {name!r}; decode reads 'wav2vec_ctc'{hint}")
    labels = task_config(state).get("labels")
    if not labels:
        raise UserError(f"{path} was trained without labels (task.labels is not set), so it has no dictionary")
    return labels


def load_recogniser(path: str | Path, state: dict[str, Any], data: str | Path, device: torch.device) -> Recogniser:
    """Build the model of a checked state from ``load_checkpoint``.

    Raises:
        UserError: checkpoint and data have other dictionaries, the model inside is unknown or does not fit.
    """
    with quiet_fairseq():
        from fairseq.data.data_utils import post_process

        fields = pretrained_config(model_config(state)) or {}
        check_dictionary(path, state, data)
    model, config, task = restore(path, state, {"data": str(data)})
    for name, value in WHOLE_AUDIO.items():
        if hasattr(task.cfg, name):  # fairseq 0.12.2 has no subsample
            setattr(task.cfg, name, value)
    symbol = config.criterion.get("post_process", "letter") if config.criterion is not None else "letter"
    model = model.to(device)
    return Recogniser(model, task, lambda line: " ".join(post_process(line, symbol).split()), fields)


def check_dictionary(path: str | Path, state: dict[str, Any], data: str | Path) -> None:
    """Raise a UserError if the checkpoint's and the data's dictionary differ, or if there is none."""
    from fairseq.data import Dictionary

    labels = task_config(state)["labels"]
    file = Path(data) / f"dict.{labels}.txt"
    trained_with = (state.get("task_state") or {}).get("target_dictionary")
    if not file.is_file():
        if trained_with is None:
            raise UserError(f"{path} holds no dictionary and there is no {file}; copy it from the fine-tuning data")
        return
    if trained_with is None:
        return
    here, there = Dictionary.load(str(file)).symbols, trained_with.symbols
    if here == there:
        return
    only_here, only_there = sorted(set(here) - set(there)), sorted(set(there) - set(here))
    if only_here or only_there:
        difference = f"only in the file: {' '.join(only_here) or '-'}; only there: {' '.join(only_there) or '-'}"
    else:
        difference = "the same symbols in another order"
    raise UserError(
        f"{file} is not the dictionary that {path} was trained with ({difference}); "
        "remove it to use the checkpoint's, or use the data made for this checkpoint"
    )


def hear(
    recogniser: Recogniser, test_set: TestSet, split: str, batch_seconds: float, long_form: LongForm
) -> tuple[list[Tensor], list[str]]:
    """Emissions (T, V) of every utterance, on the CPU in manifest order, and notes on those too short for a frame."""
    with quiet_fairseq():
        recogniser.task.load_dataset(split)
    dataset = recogniser.task.datasets[split]
    rate = recogniser.task.cfg.sample_rate
    emissions = [torch.zeros(0, len(recogniser.symbols)) for _ in test_set.paths]
    notes = []
    with tqdm(total=round(sum(test_set.samples) / rate), unit="s", desc=split, disable=None) as progress:
        for batch in plan_batches(test_set.samples, batch_seconds * rate):
            items = [_read_item(dataset, index, test_set) for index in batch]
            together, short = [], []
            for item in items:
                if len(item["source"]) > long_form.block_seconds * rate:
                    path = os.path.join(test_set.root, test_set.paths[int(item["id"])])
                    _store(emissions, [item], [long_form.run(item["source"], path)])
                else:
                    (together if len(item["source"]) >= SHORT_SECONDS * rate else short).append(item)
            if together:
                _store(emissions, together, _run(recogniser, dataset, together))
            for item in short:
                try:
                    _store(emissions, [item], _run(recogniser, dataset, [item]))
                except (RuntimeError, ValueError):
                    path = test_set.paths[int(item["id"])]
                    length = len(item["source"])
                    notes.append(f"{path}: too short for one frame ({length} samples); empty hypothesis")
            progress.update(round(sum(test_set.samples[index] for index in batch) / rate))
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    return emissions, notes


class LongForm:
    """What is too long for a batch: alone, as :class:`~.encoder.SpeechEncoder` does it. Loaded when it is needed."""

    def __init__(
        self, recogniser: Recogniser, checkpoint: str | Path, device: torch.device, block_seconds: float,
        window_seconds: float | None,
    ):  # fmt: skip
        self.recogniser, self.checkpoint, self.device = recogniser, checkpoint, device
        self.block_seconds, self.window_seconds = block_seconds, window_seconds
        self._encoder: SpeechEncoder | None = None

    @torch.no_grad()
    def run(self, wave: Tensor, name: str) -> Tensor:
        """Emissions (T, V) of (samples,), as the dataset gives it.

        Raises:
            UserError: it is too long for self-attention, or windows were asked for where there is no need.
        """
        if self._encoder is None:
            self._encoder = load_encoder(self.checkpoint, self.device, self.block_seconds, self.window_seconds)
        self._encoder.check_length(len(wave), name)
        return self.recogniser.model.w2v_encoder.proj(self._encoder.represent(wave))[0]


def plan_batches(samples: Sequence[int], budget: float) -> list[list[int]]:
    """Group indices, longest first: count times the longest is at most ``budget`` samples, or count is 1."""
    batches: list[list[int]] = []
    for index in sorted(range(len(samples)), key=lambda one: -samples[one]):
        if batches and (len(batches[-1]) + 1) * samples[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def num_updates(state: dict[str, Any]) -> int | None:
    """Updates that a checkpoint has seen; None where it does not say."""
    history = state.get("optimizer_history") or [{}]
    return history[-1].get("num_updates")


def versions() -> dict[str, str]:
    import fairseq

    return {
        "fairseq_summarymixing": __version__,
        "fairseq": fairseq.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _read_item(dataset: Any, index: int, test_set: TestSet) -> dict[str, Any]:
    try:
        return dataset[index]
    except Exception as error:  # fairseq raises bare Exception for unreadable files and other sample rates
        path = os.path.join(test_set.root, test_set.paths[index])
        raise UserError(f"cannot read the audio file {path}: {error}; every utterance counts, so mend it") from error


@torch.no_grad()
def _run(recogniser: Recogniser, dataset: Any, items: list[dict[str, Any]]) -> list[Tensor]:
    device = next(recogniser.model.parameters()).device
    net_input = {name: value.to(device) for name, value in dataset.collater(items)["net_input"].items()}
    try:
        output = recogniser.model(**net_input)
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        seconds = net_input["source"].numel() / recogniser.task.cfg.sample_rate
        raise UserError(f"out of GPU memory in a batch of {seconds:.0f} s; use a smaller --batch-seconds") from error
    emissions = recogniser.model.get_logits(output).transpose(0, 1).cpu()  # (T, B, V) -> (B, T, V)
    padding_mask = output["padding_mask"]
    lengths = torch.full((emissions.size(0),), emissions.size(1))
    if padding_mask is not None:
        lengths = (~padding_mask).sum(dim=1)
    return [one[:length].clone() for one, length in zip(emissions, lengths.tolist())]


def _store(emissions: list[Tensor], items: list[dict[str, Any]], answers: list[Tensor]) -> None:
    for item, answer in zip(items, answers):
        emissions[int(item["id"])] = answer.float().cpu()


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.writelines(f"{line}\n" for line in lines)
