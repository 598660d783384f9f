"""One line for the mistakes that stock fairseq meets first.

fairseq's own tasks and its trainer answer a damaged checkpoint or a missing label with a stack trace. With
the plugin imported, the functions in :func:`guard_fairseq` are called inside a check, which raises a
:class:`~fairseq_summarymixing.errors.UserError`; what no check knows passes through as it is.
"""

import contextlib
import difflib
import functools
import importlib.util
import logging
import os
import shutil
import sys
from collections import Counter
from typing import Any, Callable, Iterator

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from ..checkpoints import Checkpoint
from ..checkpoints.names import PRETRAINED_MODELS
from ..data.manifest import read_manifest
from ..errors import UserError, exits_in_one_line, leave_at_exit
from ..files import atomic_write
from .failures import watch_other_processes
from .loading import loaded_batch
from .reading import reading_checkpoint
from .save_dir import hold_save_dir
from .unused import keep_the_only_batch, report_unused

logger = logging.getLogger(__name__)


def guard_fairseq() -> None:
    """Put the checks around fairseq's functions, once."""
    import fairseq.dataclass.utils
    import fairseq.registry
    import fairseq_cli.train
    from fairseq import checkpoint_utils, models, tasks
    from fairseq.data import BaseWrapperDataset, FairseqDataset
    from fairseq.data.iterators import BufferedIterator
    from fairseq.file_io import IOPathManager, PathManager
    from fairseq.tasks.audio_finetuning import AudioFinetuningTask
    from fairseq.tasks.audio_pretraining import AudioPretrainingTask
    from fairseq.trainer import Trainer

    _guard(fairseq_cli.train, "add_defaults", processes_that_end_together, known_names, saved_checkpoints)
    for module in (fairseq.dataclass.utils, fairseq.registry, models, tasks):
        _guard(module, "merge_with_parent", known_fields)
    _guard(tasks, "setup_task", complete_task)
    _guard(models, "build_model", fitting_pretrained_model)
    _guard(AudioFinetuningTask, "load_target_dictionary", existing_dictionary)
    _guard(AudioPretrainingTask, "load_dataset", existing_manifest)
    _guard(AudioFinetuningTask, "load_dataset", matching_labels)
    if not hasattr(FairseqDataset.batch_by_size, "guarded_by"):
        FairseqDataset.batch_by_size = keep_the_only_batch(FairseqDataset.batch_by_size)
        tasks.FairseqTask.get_batch_iterator = report_unused(tasks.FairseqTask.get_batch_iterator)
    _guard(FairseqDataset, "batch_by_size", batches_that_hold_a_clip)
    _guard(BaseWrapperDataset, "batch_by_size", batches_that_hold_a_clip)
    _guard(BufferedIterator, "__next__", loaded_batch)
    _guard(Trainer, "train_step", finite_gradients)
    _guard(checkpoint_utils, "verify_checkpoint_directory", writable_folder)
    _guard(checkpoint_utils, "load_checkpoint", fitting_checkpoint)
    _guard(checkpoint_utils, "load_ema_from_checkpoint", readable_checkpoint)
    _guard(checkpoint_utils, "torch_persistent_save", room_on_disk)
    if not IOPathManager:  # which copies to other stores, too
        PathManager.copy = staticmethod(copy_whole)
    if HydraConfig.initialized() and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_interrupt


def _guard(owner: Any, name: str, *checks: Callable) -> None:
    function = getattr(owner, name)
    if hasattr(function, "guarded_by"):
        return

    @functools.wraps(function)
    def guarded(*args, **kwargs):
        with exits_in_one_line(UserError), contextlib.ExitStack() as stack:
            for check in checks:
                stack.enter_context(check(*args, **kwargs))
            return function(*args, **kwargs)

    guarded.guarded_by = checks
    setattr(owner, name, guarded)


def _tell_interrupt(kind, error, trace) -> None:
    if issubclass(kind, KeyboardInterrupt):
        message = "interrupted; run the same command to go on from the last checkpoint"
        print(message, file=sys.stderr)
        leave_at_exit(130, message)
    else:
        sys.__excepthook__(kind, error, trace)


@contextlib.contextmanager
def processes_that_end_together(*args, **kwargs) -> Iterator[None]:
    """A process that ends with an error must not leave the others waiting."""
    watch_other_processes()
    yield


@contextlib.contextmanager
def saved_checkpoints(cfg: Any) -> Iterator[None]:
    """Checkpoints are written by what is installed: without iopath, fairseq ends before training, with status 0."""
    if cfg.checkpoint.write_checkpoints_asynchronously and importlib.util.find_spec("iopath") is None:
        raise UserError(
            "checkpoint.write_checkpoints_asynchronously=true needs iopath, which is not installed: pip install iopath "
            "or leave the field out"
        )
    yield


@contextlib.contextmanager
def known_names(cfg: Any) -> Iterator[None]:
    """Groups, fields outside the registered classes, and the classes' names must be fairseq's or ours."""
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_REGISTRY

    groups = FairseqConfig.__dataclass_fields__
    _check_known("the configuration", set(cfg) - {"job_logging_cfg"}, groups)
    registered = {"model": {**MODEL_REGISTRY, **ARCH_MODEL_REGISTRY}, "task": TASK_REGISTRY}
    registered.update({group: registry["registry"] for group, registry in REGISTRIES.items()})
    for group, known in groups.items():
        fields = getattr(known.default, "__dataclass_fields__", None)
        if fields and OmegaConf.is_config(cfg.get(group)):
            _check_known(group, cfg[group], fields)
        name = getattr(cfg.get(group), "_name", None)
        if name and group in registered and name not in registered[group]:
            raise UserError(f"there is no {group} {name}{_did_you_mean(name, registered[group])}")
    yield


def _check_known(owner: str, found: Any, known: Any) -> None:
    for name in found:
        if name not in known and name != "_name":
            raise UserError(f"{owner} has no field {name}{_did_you_mean(name, known)}")


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, [str(one) for one in known], n=1)
    return f"; did you mean {close[0]}?" if close else ": remove it from the recipe or the command line"


@contextlib.contextmanager
def known_fields(dataclass: Any, cfg: Any, *args, **kwargs) -> Iterator[None]:
    """A recipe or command line may set only the fields that there are, to values of their types."""
    group = getattr(cfg, "_name", None) or type(dataclass).__name__
    try:
        yield
    except (ConfigAttributeError, ConfigKeyError) as error:
        field = str(getattr(error, "key", "") or "").split(".")[-1]
        raise UserError(
            f"{group} has no field {field}{_did_you_mean(field, dataclass.__dataclass_fields__)}"
        ) from error
    except OmegaConfBaseException as error:
        raise UserError(f"{group}, field {getattr(error, 'key', None)}: {_first_line(error)}") from error


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
def fitting_pretrained_model(cfg: Any, task: Any = None, from_checkpoint: bool = False) -> Iterator[None]:
    """``w2v_path`` must name a pre-trained encoder whose parameters fit its configuration."""
    with complete_config(), reading_checkpoint(from_checkpoint):
        path = getattr(cfg, "w2v_path", None)
        fields = cfg if hasattr(cfg, "keys") else vars(cfg)  # omegaconf 2.0 has every attribute, None
        if "w2v_path" in fields and not path and not getattr(cfg, "w2v_args", None):
            raise UserError("model.w2v_path is empty: name the pre-trained checkpoint to fine-tune")
        try:
            yield
        except (AssertionError, AttributeError, KeyError, RuntimeError) as error:
            if not path:
                raise
            name = Checkpoint.read(path).name
            if name not in PRETRAINED_MODELS:
                raise UserError(
                    f"model.w2v_path={path} holds a model of type {name}; expected a pre-trained encoder, "
                    f"{' or '.join(PRETRAINED_MODELS)}"
                ) from error
            if "normalize" in str(error):
                raise UserError(
                    f"task.normalize differs from that of model.w2v_path={path}: set it as the pre-training did"
                ) from error
            if "loading state_dict" in str(error):
                raise UserError(f"model.w2v_path={path}: the parameters do not fit: {_mismatch(error)}") from error
            raise


@contextlib.contextmanager
def existing_dictionary(task: Any) -> Iterator[None]:
    """Fine-tuning needs the dictionary of its labels."""
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
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the dictionary {path} is damaged: {_first_line(error)}") from error


@contextlib.contextmanager
def existing_manifest(task: Any, split: str, task_cfg: Any = None, **kwargs) -> Iterator[None]:
    """A split is a manifest in the data folder, every line of it a path and a number of samples."""
    cfg = task_cfg or task.cfg
    path = os.path.join(cfg.data, f"{split}.tsv")
    stored_elsewhere = getattr(cfg, "binarized_dataset", False) or getattr(cfg, "multi_corpus_keys", None)
    if not stored_elsewhere and not os.path.isfile(path):
        raise UserError(f"there is no manifest {path}: expected task.data to be a folder that holds {split}.tsv")
    if not stored_elsewhere:
        read_manifest(path)
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
        expected = len(read_manifest(manifest)[1])
        symbols, found = Counter(), 0
        try:
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    found += 1
                    symbols.update(line.split())
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 text, in line {found + 1}") from error
        if found != expected:
            raise UserError(f"{path} has {found} lines, {manifest} names {expected} files: make both anew together")
        _tell_unknown(path, symbols, task.target_dictionary)
    yield


def _tell_unknown(path: str, symbols: Counter, dictionary: Any) -> None:
    unknown = Counter({one: count for one, count in symbols.items() if one not in dictionary.indices})
    if unknown:
        share = sum(unknown.values()) / sum(symbols.values())
        most = ", ".join(f"{one!r} ({count})" for one, count in unknown.most_common(5))
        told = f"{100 * share:.2g} % of the symbols in {path} are outside the dictionary"
        if share > 0.5:
            raise UserError(f"{told}: {most}; is the dictionary of another corpus, or of another task.labels?")
        logger.warning("%s and train as <unk>: %s", told, most)


@contextlib.contextmanager
def batches_that_hold_a_clip(dataset: Any, indices: Any, max_tokens: Any = None, *args, **kwargs) -> Iterator[None]:
    """A batch is at least the longest clip."""
    try:
        yield
    except AssertionError as error:
        if "max_tokens" not in str(error):
            raise
        longest = max(int(dataset.num_tokens(index)) for index in indices)
        raise UserError(
            f"a batch of {max_tokens} samples holds less than the longest clip of {longest}: "
            "raise dataset.max_tokens, in validation dataset.max_tokens_valid"
        ) from error


@contextlib.contextmanager
def finite_gradients(trainer: Any, samples: Any, *args, **kwargs) -> Iterator[None]:
    """Gradients that are NaN or infinite have a cause, which a task may know to name."""
    try:
        yield
    except FloatingPointError as error:
        explain = getattr(trainer.task, "explain_not_finite", None)
        message = explain(trainer, samples) if explain else None
        if message is None:
            raise
        raise UserError(message) from error


@contextlib.contextmanager
def writable_folder(save_dir: str) -> Iterator[None]:
    """Checkpoints must find a place, which no other training uses."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to checkpoint.save_dir={save_dir}: {error.strerror}") from error
    hold_save_dir(save_dir)


@contextlib.contextmanager
def fitting_checkpoint(cfg: Any, *args, **kwargs) -> Iterator[None]:
    """What is restored is there, and of the model and the batches that the recipe makes."""
    if cfg.restore_file != "checkpoint_last.pt" and not os.path.isfile(cfg.restore_file):
        raise UserError(f"there is no checkpoint checkpoint.restore_file={cfg.restore_file}")
    try:
        yield
    except Exception as error:  # what the trainer raises
        text = _first_line(error)
        if text.startswith("Cannot load model parameters"):
            if isinstance(error.__context__, UserError):  # the model knows what is wrong
                raise error.__context__ from None
            raise UserError(
                f"{text.split(';')[0]}: it is of another model than the recipe's; name another checkpoint or, to "
                "train anew, an empty checkpoint.save_dir"
            ) from error
        if "dataloader mismatch" in text:
            raise UserError(
                "the checkpoint was saved in the middle of an epoch of other batches (data or batch size changed): "
                "go on with the next epoch by checkpoint.reset_dataloader=true"
            ) from error
        if text.startswith("--finetune-from-model"):
            raise UserError(f"{text.split(':')[0].replace('--finetune-from-model', 'finetune_from_model')}") from error
        raise


@contextlib.contextmanager
def readable_checkpoint(path: str) -> Iterator[None]:
    """A checkpoint is whole, and brings along nothing that would run."""
    Checkpoint.read(path)
    yield


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


def copy_whole(source: str, target: str, overwrite: bool = False) -> str:
    """Stands in for fairseq's copy of a local file, by which checkpoint_best.pt and checkpoint_last.pt are made:
    whole or not at all, where fairseq would write over the one that is there."""
    with exits_in_one_line(UserError), atomic_write(target, "wb") as file, open(source, "rb") as original:
        shutil.copyfileobj(original, file, 2**24)
    return target


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _mismatch(error: BaseException) -> str:
    return "; ".join(line.strip()[:160] for line in str(error).splitlines()[1:3])
