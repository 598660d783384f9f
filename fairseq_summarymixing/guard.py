"""One line for the mistakes that stock fairseq meets first.

fairseq's own tasks and its trainer answer a damaged checkpoint or a missing label with a stack trace. With
the plugin imported, the functions in :func:`guard_fairseq` are called inside a check, which raises a
:class:`~fairseq_summarymixing.errors.UserError`; what no check knows passes through as it is.
"""

import contextlib
import difflib
import functools
import logging
import os
import sys
from collections import Counter
from typing import Any, Callable, Iterator

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from .checkpoints import load_checkpoint, model_config
from .errors import UserError, exits_in_one_line

logger = logging.getLogger(__name__)

PRETRAINED_MODELS = ("wav2vec2", "wav2vec2_summarymixing")


def guard_fairseq() -> None:
    """Put the checks around fairseq's functions, once."""
    import fairseq.dataclass.utils
    from fairseq import checkpoint_utils, models, tasks
    from fairseq.data import BaseWrapperDataset, FairseqDataset
    from fairseq.tasks.audio_finetuning import AudioFinetuningTask
    from fairseq.tasks.audio_pretraining import AudioPretrainingTask

    _guard(fairseq.dataclass.utils, "merge_with_parent", known_fields)
    _guard(tasks, "setup_task", complete_task)
    _guard(models, "build_model", fitting_pretrained_model)
    _guard(AudioFinetuningTask, "load_target_dictionary", existing_dictionary)
    _guard(AudioPretrainingTask, "load_dataset", existing_manifest)
    _guard(AudioFinetuningTask, "load_dataset", matching_labels)
    _guard(FairseqDataset, "batch_by_size", batches_that_hold_a_clip)
    _guard(BaseWrapperDataset, "batch_by_size", batches_that_hold_a_clip)
    _guard(checkpoint_utils, "verify_checkpoint_directory", writable_folder)
    _guard(checkpoint_utils, "load_checkpoint", fitting_checkpoint)
    _guard(checkpoint_utils, "load_checkpoint_to_cpu", readable_checkpoint)
    _guard(checkpoint_utils, "torch_persistent_save", room_on_disk)
    if HydraConfig.initialized() and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_interrupt


def _guard(owner: Any, name: str, check: Callable) -> None:
    function = getattr(owner, name)
    if hasattr(function, "guarded_by"):
        return

    @functools.wraps(function)
    def guarded(*args, **kwargs):
        with exits_in_one_line(UserError), check(*args, **kwargs):
            return function(*args, **kwargs)

    guarded.guarded_by = check
    setattr(owner, name, guarded)


def _tell_interrupt(kind, error, trace) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted; run the same command to go on from the last checkpoint", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


@contextlib.contextmanager
def known_fields(dataclass: Any, cfg: Any, *args, **kwargs) -> Iterator[None]:
    """A recipe or command line may set only the fields that there are, to values of their types."""
    group = getattr(cfg, "_name", None) or type(dataclass).__name__
    try:
        yield
    except (ConfigAttributeError, ConfigKeyError) as error:
        field = str(getattr(error, "key", "") or "").split(".")[-1]
        close = difflib.get_close_matches(field, dataclass.__dataclass_fields__, n=1)
        hint = f"; did you mean {close[0]}?" if close else ": remove it from the recipe or the command line"
        raise UserError(f"{group} has no field {field}{hint}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{group}: {_first_line(error)}") from error


@contextlib.contextmanager
def complete_task(cfg: Any, *args, **kwargs) -> Iterator[None]:
    """A task needs its data."""
    if OmegaConf.is_config(cfg) and OmegaConf.is_missing(cfg, "data"):
        raise UserError("task.data is missing: give the folder that holds train.tsv and valid.tsv, task.data=DIR")
    with complete_config():
        yield


@contextlib.contextmanager
def complete_config(*args, **kwargs) -> Iterator[None]:
    """Fields that a recipe leaves open (``???``) must be given."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration is not complete: {_first_line(error)}") from error


@contextlib.contextmanager
def fitting_pretrained_model(cfg: Any, *args, **kwargs) -> Iterator[None]:
    """``w2v_path`` must name a pre-trained encoder whose parameters fit its configuration."""
    with complete_config():
        path = getattr(cfg, "w2v_path", None)
        try:
            yield
        except (AssertionError, AttributeError, KeyError, RuntimeError) as error:
            if not path:
                raise
            name = model_config(load_checkpoint(path)).get("_name")
            if name not in PRETRAINED_MODELS:
                raise UserError(
                    f"model.w2v_path={path} holds a model of type {name}; expected a pre-trained encoder, "
                    f"{' or '.join(PRETRAINED_MODELS)}"
                ) from error
            if "loading state_dict" in str(error):
                raise UserError(f"model.w2v_path={path}: the parameters do not fit: {_mismatch(error)}") from error
            raise


@contextlib.contextmanager
def existing_dictionary(task: Any) -> Iterator[None]:
    """Fine-tuning needs the dictionary of its labels."""
    if task.cfg.labels:
        path = os.path.join(
            getattr(task.cfg, "target_dictionary", None) or task.cfg.data, f"dict.{task.cfg.labels}.txt"
        )
        if not os.path.isfile(path):
            raise UserError(
                f"there is no dictionary {path}: expected 'symbol count' per line for task.labels={task.cfg.labels}, "
                "as fairseq-summarymixing manifest writes it"
            )
    yield


@contextlib.contextmanager
def existing_manifest(task: Any, split: str, task_cfg: Any = None, **kwargs) -> Iterator[None]:
    """A split is a manifest in the data folder."""
    cfg = task_cfg or task.cfg
    path = os.path.join(cfg.data, f"{split}.tsv")
    stored_elsewhere = getattr(cfg, "binarized_dataset", False) or getattr(cfg, "multi_corpus_keys", None)
    if not stored_elsewhere and not os.path.isfile(path):
        raise UserError(f"there is no manifest {path}: expected task.data to be a folder that holds {split}.tsv")
    yield


@contextlib.contextmanager
def matching_labels(task: Any, split: str, task_cfg: Any = None, **kwargs) -> Iterator[None]:
    """Labels go with the manifest line by line. Symbols outside the dictionary are told: they train as <unk>."""
    cfg = task_cfg or task.cfg
    manifest = os.path.join(cfg.data, f"{split}.tsv")
    if cfg.labels and os.path.isfile(manifest) and not getattr(cfg, "multi_corpus_keys", None):
        path = os.path.join(cfg.data, f"{split}.{cfg.labels}")
        if not os.path.isfile(path):
            raise UserError(f"there are no labels {path}: expected one line for each line of {manifest}")
        with open(manifest, encoding="utf-8") as lines:
            expected = sum(1 for _ in lines) - 1
        symbols, found = Counter(), 0
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                found += 1
                symbols.update(line.split())
        if found != expected:
            raise UserError(f"{path} has {found} lines, {manifest} names {expected} files: make both anew together")
        _tell_unknown(path, symbols, task.target_dictionary)
    yield


def _tell_unknown(path: str, symbols: Counter, dictionary: Any) -> None:
    unknown = Counter({one: count for one, count in symbols.items() if one not in dictionary.indices})
    if unknown:
        share = 100 * sum(unknown.values()) / sum(symbols.values())
        most = ", ".join(f"{one!r} ({count})" for one, count in unknown.most_common(5))
        logger.warning(
            "%.2g %% of the symbols in %s are outside the dictionary and train as <unk>: %s", share, path, most
        )


@contextlib.contextmanager
def batches_that_hold_a_clip(dataset: Any, indices: Any, max_tokens: Any = None, *args, **kwargs) -> Iterator[None]:
    """``dataset.max_tokens`` is at least the longest clip."""
    try:
        yield
    except AssertionError as error:
        if "max_tokens" not in str(error):
            raise
        longest = max(int(dataset.num_tokens(index)) for index in indices)
        raise UserError(
            f"dataset.max_tokens={max_tokens} holds less than the longest clip of {longest} samples: "
            "raise it, or lower task.max_sample_size"
        ) from error


@contextlib.contextmanager
def writable_folder(save_dir: str) -> Iterator[None]:
    """Checkpoints must find a place."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to checkpoint.save_dir={save_dir}: {error.strerror}") from error


@contextlib.contextmanager
def fitting_checkpoint(cfg: Any, *args, **kwargs) -> Iterator[None]:
    """A restored checkpoint is of the model that the recipe builds."""
    start = cfg.finetune_from_model
    if start and not os.path.isfile(start):
        raise UserError(f"there is no checkpoint checkpoint.finetune_from_model={start}")
    try:
        yield
    except Exception as error:  # what the trainer raises
        if not str(error).startswith("Cannot load model parameters"):
            raise
        raise UserError(
            f"{_first_line(error).split(';')[0]}: it is of another model than the recipe's; "
            "name an empty checkpoint.save_dir, or the recipe that the checkpoint was trained with"
        ) from error


@contextlib.contextmanager
def readable_checkpoint(path: str, *args, **kwargs) -> Iterator[None]:
    """A checkpoint is whole, and brings along nothing that would run."""
    if not hasattr(torch.serialization, "add_safe_globals"):
        load_checkpoint(path)  # before torch 2.6, fairseq's own reading would run what the file brings along
    try:
        yield
    except Exception:
        load_checkpoint(path)  # says what is wrong with the file, where it is the file
        raise


@contextlib.contextmanager
def room_on_disk(obj: Any, filename: str, *args, **kwargs) -> Iterator[None]:
    """A checkpoint that cannot be written leaves those before it as they were."""
    log = logging.getLogger("fairseq.checkpoint_utils")
    was_disabled, log.disabled = log.disabled, True  # it would log a stack trace
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise UserError(
            f"cannot write {filename}: {reason}; earlier checkpoints are kept: make room and run the same command"
        ) from error
    finally:
        log.disabled = was_disabled


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _mismatch(error: BaseException) -> str:
    return "; ".join(line.strip()[:160] for line in str(error).splitlines()[1:3])
