"""Check manifests, labels and dictionaries of fairseq's own audio tasks, and the batches that are made of them.

fairseq reads these files by our reader, which knows byte order marks.
"""

import contextlib
import logging
import os
from collections import Counter
from types import ModuleType
from typing import Any, Iterator
from unittest import mock

from ..data.labels import read_counts, read_labels
from ..data.manifest_arrays import read_manifest_arrays
from ..errors import UserError
from ..text_files import open_text
from .guard import guard
from .messages import first_line, is_about

logger = logging.getLogger(__name__)


def install() -> None:
    """Guard the functions by which fairseq's audio tasks read their data and fill batches."""
    from fairseq.data import BaseWrapperDataset, FairseqDataset
    from fairseq.tasks.audio_finetuning import AudioFinetuningTask
    from fairseq.tasks.audio_pretraining import AudioPretrainingTask

    guard(AudioFinetuningTask, "load_target_dictionary", existing_dictionary)
    guard(AudioPretrainingTask, "load_dataset", existing_manifest)
    guard(AudioFinetuningTask, "load_dataset", existing_manifest, matching_labels)
    guard(FairseqDataset, "batch_by_size", batches_that_hold_a_clip)
    guard(BaseWrapperDataset, "batch_by_size", batches_that_hold_a_clip)


@contextlib.contextmanager
def existing_dictionary(task: Any) -> Iterator[None]:
    """Check that fine-tuning has the dictionary of its labels."""
    path = None
    if task.cfg.labels:
        path = os.path.join(
            getattr(task.cfg, "target_dictionary", None) or task.cfg.data, f"dict.{task.cfg.labels}.txt"
        )
        if not os.path.isfile(path):
            raise UserError(
                f"there is no dictionary {path}: expected 'symbol count' per line for task.labels={task.cfg.labels}, "
                "as fairseq-summarymixing manifest writes it"
            )
    with sound_dictionary(path):
        yield


@contextlib.contextmanager
def sound_dictionary(path: Any) -> Iterator[None]:
    """Let fairseq read a dictionary by our reader, and report in one line what is wrong with it."""
    from fairseq.data import dictionary

    if path is not None:
        read_counts(path)
    try:
        with any_text_in(dictionary):
            yield
    except UserError:
        raise
    except Exception as error:  # fairseq raises any kind, Exception itself among them
        raise UserError(f"the dictionary {path} is damaged: {first_line(error)}") from error


@contextlib.contextmanager
def existing_manifest(task: Any, split: str, task_cfg: Any = None, **kwargs) -> Iterator[None]:
    """Check that a split is a manifest in the data folder, every line of it a path and a number of samples."""
    from fairseq.data.audio import raw_audio_dataset

    cfg = task_cfg or task.cfg
    path = os.path.join(cfg.data, f"{split}.tsv")
    stored_elsewhere = getattr(cfg, "binarized_dataset", False) or getattr(cfg, "multi_corpus_keys", None)
    if not stored_elsewhere and not os.path.isfile(path):
        raise UserError(f"there is no manifest {path}: expected task.data to be a folder that holds {split}.tsv")
    root = None if stored_elsewhere else read_manifest_arrays(path)[0]
    with any_text_in(raw_audio_dataset):
        yield
    dataset = task.datasets.get(split)
    if root is not None and isinstance(dataset, raw_audio_dataset.FileAudioDataset):
        dataset.root_dir = root


@contextlib.contextmanager
def matching_labels(task: Any, split: str, task_cfg: Any = None, **kwargs) -> Iterator[None]:
    """Check that labels go with the manifest line by line; warns of symbols outside the dictionary, which train as
    <unk>."""
    from fairseq.tasks import audio_finetuning

    cfg = task_cfg or task.cfg
    manifest = os.path.join(cfg.data, f"{split}.tsv")
    if cfg.labels and os.path.isfile(manifest) and not getattr(cfg, "multi_corpus_keys", None):
        path = os.path.join(cfg.data, f"{split}.{cfg.labels}")
        lines = read_labels(manifest, cfg.labels, len(read_manifest_arrays(manifest)[1].frames))
        symbols = Counter(symbol for line in lines for symbol in line.split())
        _check_symbols(path, symbols, task.target_dictionary)
    with any_text_in(audio_finetuning):
        yield


def any_text_in(module: ModuleType) -> Any:
    """Let a module of fairseq open text files by our reader for a while; its own takes a byte order mark for text."""
    return mock.patch.object(module, "open", open_text, create=True)


def _check_symbols(path: str, symbols: Counter, dictionary: Any) -> None:
    if not symbols:
        raise UserError(f"{path} holds no symbol, only empty lines: expected a transcript in each, as in 'A B |'")
    # of fairseq's own, <unk> alone may be a target
    special = [dictionary[index] for index in (dictionary.bos(), dictionary.pad(), dictionary.eos())]
    found = [f"{symbol} ({symbols[symbol]})" for symbol in special if symbols[symbol]]
    if found:
        raise UserError(f"{path} holds symbols that fairseq keeps for itself: {', '.join(found)}; leave them out")
    unknown = Counter({symbol: count for symbol, count in symbols.items() if symbol not in dictionary.indices})
    if unknown:
        share = sum(unknown.values()) / sum(symbols.values())
        most = ", ".join(f"{symbol!r} ({count})" for symbol, count in unknown.most_common(5))
        message = f"{100 * share:.3g} % of the symbols in {path} are outside the dictionary"
        if share > 0.5:
            raise UserError(f"{message}: {most}; is the dictionary of another corpus, or of another task.labels?")
        logger.warning("%s and train as <unk>: %s", message, most)


@contextlib.contextmanager
def batches_that_hold_a_clip(dataset: Any, indices: Any, max_tokens: Any = None, *args, **kwargs) -> Iterator[None]:
    """Check that a batch holds at least the longest clip."""
    remedy = "raise dataset.max_tokens, in validation dataset.max_tokens_valid"
    if max_tokens and len(dataset) and not len(indices):  # fairseq 0.12.2 leaves longer clips out before, here all
        shortest = min(int(dataset.num_tokens(index)) for index in range(len(dataset)))
        if shortest > max_tokens:
            raise UserError(
                f"a batch of {max_tokens} samples holds less than the shortest clip of {shortest}: {remedy}"
            )
    try:
        yield
    except AssertionError as error:
        if not is_about(error, "a clip longer than a batch"):
            raise
        longest = max(int(dataset.num_tokens(index)) for index in indices)
        raise UserError(
            f"a batch of {max_tokens} samples holds less than the longest clip of {longest}: {remedy}"
        ) from error
