"""Reading fairseq checkpoints without running anything that a file may have brought along."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .compat import quiet_fairseq, register_safe_classes, safe_classes
from .errors import UserError

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
# What torch itself puts into a checkpoint, for torch < 2.4, whose weights-only reader knows no other classes.
TORCH_GLOBALS = re.compile(
    r"torch (\w+Storage|Size|device|float\d+|bfloat16|u?int\d+|bool|complex\d+)"
    r"|torch\.storage \w*Storage|torch\._utils (_rebuild_tensor|_rebuild_tensor_v2|_rebuild_parameter)"
    r"|torch\.nn\.parameter Parameter|collections OrderedDict|_codecs encode"
    r"|(builtins|__builtin__) (set|bytearray|complex|tuple)"
)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a fairseq checkpoint onto the CPU.

    Only tensors, plain values and the classes in :func:`compat.safe_classes` are read; anything else in the
    file is refused before it runs.

    Returns:
        What fairseq saved: ``model`` (parameters by name), ``cfg`` or, in old files, ``args``, and the rest.

    Raises:
        UserError: names the file and what it is: missing, empty, cut short, no checkpoint, a file that wants
            to run code, parameters without a configuration, a safetensors file.
    """
    path = Path(path)
    _check_file(path)
    try:
        with quiet_fairseq():
            state = _read(path)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} {_refusal(str(error))}") from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        # torch and pickle raise all of these for damaged files.
        raise UserError(
            f"{path} is damaged, cut short or no checkpoint: {_first_line(error)}; copy or save it again"
        ) from error
    _check_state(path, state)
    return state


def model_config(state: Mapping[str, Any]) -> dict[str, Any]:
    """The model's fields; ``_name`` is fairseq's name for the model, of old files the ``arch``."""
    if state.get("args") is not None:
        fields = dict(vars(state["args"]))
        fields["_name"] = fields.get("arch")
        return fields
    return dict((state.get("cfg") or {}).get("model") or {})


def task_config(state: Mapping[str, Any]) -> dict[str, Any]:
    """The task's fields; ``_name`` is fairseq's name for the task."""
    if state.get("args") is not None:
        fields = dict(vars(state["args"]))
        fields["_name"] = fields.get("task")
        return fields
    return dict((state.get("cfg") or {}).get("task") or {})


def pretrained_config(model: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of the pre-trained model inside a fine-tuned one, from its ``model_config``; else None."""
    inner = model.get("w2v_args")
    if inner is None:
        return None
    if isinstance(inner, Namespace):
        return model_config({"args": inner})
    return model_config({"cfg": inner})


def pretraining_task(model: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of the task that the pre-trained model inside a fine-tuned one was trained with; else None."""
    inner = model.get("w2v_args")
    if inner is None:
        return None
    return task_config({"args": inner} if isinstance(inner, Namespace) else {"cfg": inner})


def num_updates(state: Mapping[str, Any]) -> int | None:
    """Updates that a checkpoint has seen; None where it does not say."""
    history = state.get("optimizer_history") or [{}]
    return history[-1].get("num_updates")


def prepare_for_fairseq(state: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Do to a state from :func:`load_checkpoint` what fairseq does to one it reads itself.

    The answer is fit for ``checkpoint_utils.load_model_ensemble_and_task(..., state=)``, which takes it as it
    is: it neither upgrades old layouts nor applies ``arg_overrides`` to a given state.

    Args:
        overrides: values by field name, set wherever the configuration has a field of that name.
    """
    from fairseq import checkpoint_utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf, overwrite_args_by_name
    from omegaconf import OmegaConf

    if state.get("args") is not None:
        for name, value in overrides.items():
            setattr(state["args"], name, value)
    if state.get("cfg") is not None:
        config = dict(state["cfg"])
        inner = config.get("model", {}).get("w2v_args")
        if isinstance(inner, Namespace):  # omegaconf < 2.2 holds no such objects
            inner = OmegaConf.to_container(convert_namespace_to_omegaconf(inner))
            config["model"] = {**config["model"], "w2v_args": inner}
        state["cfg"] = OmegaConf.create(config)
        OmegaConf.set_struct(state["cfg"], True)
        overwrite_args_by_name(state["cfg"], overrides)
    return checkpoint_utils._upgrade_state_dict(state)


def _check_file(path: Path) -> None:
    """Tell what a file is that torch need not be asked about."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a checkpoint in it, such as {path / 'checkpoint_best.pt'}")
    if not path.exists():
        beside = sorted(one.name for one in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        hint = f"; {path.parent} holds {', '.join(beside[:5])}" if beside else ""
        raise UserError(f"there is no checkpoint {path}{hint}")
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    size = os.path.getsize(path)
    if size == 0:
        raise UserError(f"{path} is empty; save or copy it again")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        raise UserError(
            f"{path} is a safetensors file (Hugging Face); "
            "expected a fairseq checkpoint, which also holds the configuration"
        )
    if head.startswith(ZIP_MAGIC):
        _check_zip(path)
    elif not head.startswith(PICKLE_MAGIC):
        raise UserError(f"{path} is no checkpoint: neither a zip archive nor a pickle; it begins with {head[:8]!r}")


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is cut short ({os.path.getsize(path):,} bytes): copy or save it again") from error
    if not any(name.split("/")[-1] == "data.pkl" for name in names):
        raise UserError(f"{path} is a zip archive but no checkpoint: it has no data.pkl")


def _read(path: Path) -> Any:
    if hasattr(torch.serialization, "add_safe_globals"):
        register_safe_classes()
        return torch.load(path, map_location="cpu", weights_only=True)
    return torch.load(path, map_location="cpu", pickle_module=RestrictedPickle)


class RestrictedUnpickler(pickle.Unpickler):
    """Finds :func:`compat.safe_classes` and what torch's own tensors need, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        ours = {(one.__module__, one.__qualname__) for one in safe_classes()}
        if (module, name) in ours or TORCH_GLOBALS.fullmatch(f"{module} {name}"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {module}.{name}")


class RestrictedPickle:
    """Stands in for the ``pickle`` module where torch.load asks for one (torch < 2.4)."""

    Unpickler = RestrictedUnpickler

    @staticmethod
    def load(file: Any, **arguments: Any) -> Any:
        return RestrictedUnpickler(file, **arguments).load()


def _refusal(message: str) -> str:
    """Why the reader refused a file, from its message of many lines."""
    found = re.search(r"GLOBAL\s+([\w.]+)", message) or re.search(r"Can only \w+ .*?([\w.]+\.\w+)", message)
    if found:
        return (
            f"wants to load {found[1]}, which is none of the classes a fairseq checkpoint needs; "
            "it was refused and nothing in it was run"
        )
    unsupported = re.search(r"WeightsUnpickler error:\s*(Unsupported [^\n]+)", message)
    if unsupported:
        return f"is no fairseq checkpoint: a pickle of another kind ({unsupported[1]}); nothing in it was run"
    return f"is damaged or no checkpoint: {_first_line(message)}; copy or save it again"


def _check_state(path: Path, state: Any) -> None:
    if not isinstance(state, Mapping):
        raise UserError(f"{path} is no fairseq checkpoint: it holds a {type(state).__name__}, not a dict")
    if isinstance(state.get("model"), Mapping):
        config = state.get("cfg")
        if isinstance(config, Mapping) and not isinstance(config.get("model") or {}, Mapping):
            raise UserError(f"{path}: cfg.model is no configuration but {str(config['model'])[:40]!r}")
        if isinstance(config, Mapping) or isinstance(state.get("args"), Namespace):
            return
        raise UserError(f"{path} has parameters but no configuration ('cfg' or 'args'); fairseq did not save it")
    if state and all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(
            f"{path} is a bare state dict of {len(state)} tensors without a configuration; "
            "expected a checkpoint that fairseq saved, with 'model' and 'cfg'"
        )
    found = ", ".join(map(str, list(state)[:6])) or "nothing"
    raise UserError(f"{path} is no fairseq checkpoint: expected 'model' and 'cfg', found {found}")


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.split(r"\. This |; this ", lines[0])[0][:160]
