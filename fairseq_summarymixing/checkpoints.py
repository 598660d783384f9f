"""Reading fairseq checkpoints without running anything that a file may have brought along."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .compat import quiet_fairseq, safe_classes
from .errors import UserError
from .evaluated_fields import check_evaluated_fields
from .torch_files import read_torch_file
from .weights import check_weights


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a fairseq checkpoint onto the CPU.

    Only tensors, plain values and the classes in :func:`compat.safe_classes` are read; anything else in the
    file is refused before it runs, and so are fields that would run while fairseq builds the model.

    Returns:
        What fairseq saved: ``model`` (parameters by name), ``cfg`` or, in old files, ``args``, and the rest.

    Raises:
        UserError: names the file and what it is: missing, empty, cut short, damaged, no checkpoint, a file that
            wants to run code, parameters without a configuration or that no model can use, a safetensors file.
    """
    path = Path(path)
    _check_file(path)
    with quiet_fairseq():
        state = read_torch_file(path, safe_classes())
    _check_state(path, state)
    check_evaluated_fields(path, [state.get("cfg"), state.get("args")])
    check_weights(path, state["model"])
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
    from omegaconf import __version__ as omegaconf_version

    if state.get("args") is not None:
        for name, value in overrides.items():
            setattr(state["args"], name, value)
    if state.get("cfg") is not None:
        config = dict(state["cfg"])
        inner = config.get("model", {}).get("w2v_args")
        if isinstance(inner, Namespace):  # omegaconf < 2.2 holds no such objects
            inner = OmegaConf.to_container(convert_namespace_to_omegaconf(inner))
            config["model"] = {**config["model"], "w2v_args": inner}
        # omegaconf 2.0, which stock fairseq 0.12.2 needs, has no flags here
        flags = {"flags": {"allow_objects": True}} if omegaconf_version >= "2.1" else {}
        state["cfg"] = OmegaConf.create(config, **flags)
        OmegaConf.set_struct(state["cfg"], omegaconf_version < "2.2")
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
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < os.path.getsize(path):
        raise UserError(
            f"{path} is a safetensors file (Hugging Face); "
            "expected a fairseq checkpoint, which also holds the configuration"
        )


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
