"""Check the configuration of a run: what it names exists, nothing that it must name is missing, its numbers make sense
and the machine can do what it asks."""

import ast
import contextlib
import difflib
import importlib.util
import re
from typing import Any, Iterator, Optional

from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from ..checkpoints.evaluated_fields import is_literal
from ..errors import UserError
from ..input_files import kind_of
from .field_kinds import in_words
from .guard import guard
from .machine import check_machine
from .memory import allocated_model, enough_memory
from .messages import first_line
from .metric import logged_metric, metric_of_the_criterion
from .ranges import check_numbers

EVALUATED = {
    "optimizer.adam_betas": "(0.9, 0.98)",
    "optimizer.adamax_betas": "(0.9, 0.999)",
    "optimizer.lamb_betas": "(0.9, 0.999)",
    "optimizer.adafactor_eps": "(1e-30, 1e-3)",
    "model.conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4",
}
"""Texts that fairseq evaluates while it builds, with an example."""


def install() -> None:
    """Guard the functions by which fairseq reads a configuration."""
    import fairseq.dataclass.utils
    import fairseq.registry
    import fairseq_cli.train
    from fairseq import models, tasks

    guard(fairseq_cli.train, "add_defaults", known_names, possible_run, saved_checkpoints, metric_of_the_criterion)
    guard(fairseq_cli.train, "train", enough_memory)
    guard(fairseq_cli.train, "get_valid_stats", logged_metric)
    for module in (fairseq.dataclass.utils, fairseq.registry, models, tasks):
        guard(module, "merge_with_parent", known_fields)
    guard(tasks, "setup_task", complete_task)
    guard(models, "build_model", allocated_model)


@contextlib.contextmanager
def known_names(cfg: Any) -> Iterator[None]:
    """Check that groups, fields outside the registered classes, and the classes' names are fairseq's or ours."""
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
    close = difflib.get_close_matches(name, [str(candidate) for candidate in known], n=1)
    return f"; did you mean {close[0]}?" if close else ": remove it from the recipe or the command line"


@contextlib.contextmanager
def possible_run(cfg: Any) -> Iterator[None]:
    """Check the numbers of a run, and that this machine can do it."""
    with complete_config():
        check_numbers(cfg)
        check_evaluated(cfg)
    _check_model_parallel(cfg.common.model_parallel_size)
    check_machine(cfg)
    _check_log_file(cfg.common.log_file)
    yield


def _check_model_parallel(size: int) -> None:
    if size > 1:
        try:
            importlib.import_module("fairseq.model_parallel.megatron.mpu")
        except ImportError as error:
            raise UserError(
                f"common.model_parallel_size={size} needs fairseq's Megatron, which is not installed here: set it to 1"
            ) from error


def _check_log_file(path: Optional[str]) -> None:
    if path is not None:
        kind = kind_of(path)
        if kind not in (None, "a device"):  # opening a pipe would wait for a reader
            raise UserError(f"common.log_file={path} is {kind}; expected a file")
        try:
            with open(path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise UserError(
                f"cannot write common.log_file={path}: {error.strerror}; name a file in a folder that is there"
            ) from error


def check_evaluated(cfg: Any) -> None:
    """Check the texts that fairseq evaluates, such as ``optimizer.adam_betas``; raises UserError for the first that is
    no list of numbers, or that an optimizer cannot use."""
    for name, example in EVALUATED.items():
        value = OmegaConf.select(cfg, name) if OmegaConf.is_config(cfg.get(name.split(".")[0])) else None
        if isinstance(value, str) and not is_literal(value):
            raise UserError(f"{name} must be numbers in brackets, such as {example}; got {value!r}")
        if isinstance(value, str) and name.startswith("optimizer.") and not _is_pair(value):
            raise UserError(f"{name} must be two numbers from 0 to below 1, such as {example}; got {value!r}")


def _is_pair(text: str) -> bool:
    """Return whether a literal is a pair of numbers in [0, 1)."""
    try:
        pair = ast.literal_eval(text)
    except ValueError:  # of a sum, for instance
        return False
    is_pair = isinstance(pair, (list, tuple)) and len(pair) == 2
    return is_pair and all(isinstance(number, (int, float)) and 0 <= number < 1 for number in pair)


@contextlib.contextmanager
def known_fields(dataclass: Any, cfg: Any, *args, **kwargs) -> Iterator[None]:
    """Check that a recipe or command line sets only fields that exist, to values of their types."""
    group = getattr(cfg, "_name", None) or type(dataclass).__name__
    try:
        yield
    except (ConfigAttributeError, ConfigKeyError) as error:
        field = str(getattr(error, "key", "") or "").split(".")[-1]
        raise UserError(
            f"{group} has no field {field}{_did_you_mean(field, dataclass.__dataclass_fields__)}"
        ) from error
    except OmegaConfBaseException as error:
        field = str(getattr(error, "key", "") or "").split(".")[-1]
        expected = getattr(dataclass, "__dataclass_fields__", {}).get(field)
        if expected is None or field not in cfg:
            raise UserError(f"{group}, field {field}: {first_line(error)}") from error
        raise UserError(f"{group}: {field} must be {in_words(expected.type)}; got {cfg[field]!r}") from error


@contextlib.contextmanager
def complete_task(cfg: Any, *args, **kwargs) -> Iterator[None]:
    """Check that a task has its data."""
    if OmegaConf.is_config(cfg) and OmegaConf.is_missing(cfg, "data"):
        raise UserError("task.data is missing: give the folder that holds train.tsv and valid.tsv, task.data=DIR")
    with complete_config():
        yield


@contextlib.contextmanager
def complete_config(*args, **kwargs) -> Iterator[None]:
    """Check that fields that a recipe leaves open (``???``) are given."""
    try:
        yield
    except OmegaConfBaseException as error:
        line = first_line(error)
        missing = re.search(r"Missing mandatory value: (\S+)", line)
        raise UserError(
            f"{missing[1]} is left open (???): give it a value in the recipe or on the command line"
            if missing
            else f"the configuration is not complete: {line}"
        ) from error


@contextlib.contextmanager
def saved_checkpoints(cfg: Any) -> Iterator[None]:
    """Check that checkpoints will be written: without iopath, asynchronous writing ends fairseq before training, with
    status 0."""
    if cfg.checkpoint.write_checkpoints_asynchronously and importlib.util.find_spec("iopath") is None:
        raise UserError(
            "checkpoint.write_checkpoints_asynchronously=true needs iopath, which is not installed: pip install iopath "
            "or leave the field out"
        )
    yield
