"""Give fairseq's own functions a checkpoint's state in their form."""

from __future__ import annotations

import copy
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from ..errors import UserError, one_line
from .checkpoint import Checkpoint


def state_for_fairseq(checkpoint: Checkpoint, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a checkpoint's state, with shared tensors, changed as fairseq changes a state that it reads.

    It is for ``checkpoint_utils.load_model_ensemble_and_task(..., state=)``, which uses a given state as it is: it
    neither upgrades old layouts nor applies ``arg_overrides`` to it.

    Args:
        overrides: values by field name, set wherever the configuration has a field of that name.

    Raises:
        UserError: it is no state that fairseq can use.
    """
    try:
        return _state_for_fairseq(checkpoint, overrides)
    except Exception as error:  # of any kind, by what the state holds or lacks
        raise UserError(f"{checkpoint.path} holds no state that fairseq can use: {one_line(error)}") from error


def _state_for_fairseq(checkpoint: Checkpoint, overrides: Mapping[str, Any]) -> dict[str, Any]:
    from fairseq import checkpoint_utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf, overwrite_args_by_name
    from omegaconf import OmegaConf
    from omegaconf import __version__ as omegaconf_version

    state = _copied(checkpoint.state)
    _complete(state)
    if state.get("args") is not None:
        for name, value in overrides.items():
            setattr(state["args"], name, value)
    if state.get("cfg") is not None:
        config = state["cfg"]
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


def _complete(state: dict[str, Any]) -> None:
    """Give a state that holds nothing of its training, as of a stripped checkpoint, an empty history, in place."""
    if "best_loss" not in state:  # else fairseq's own of years ago
        *earlier, last = state.get("optimizer_history") or [{}]
        scheduler = {} if "best_loss" in last else {"lr_scheduler_state": {}}
        state["optimizer_history"] = [*earlier, {"optimizer_name": "", "num_updates": 0, **scheduler, **last}]
    if "epoch" not in state:
        state["extra_state"] = state.get("extra_state") or {"epoch": 1}


def _copied(value: Any) -> Any:
    """Copy the containers at every depth: fairseq renames, adds and drops in place what it is given."""
    if isinstance(value, Namespace):
        return Namespace(**{name: _copied(inner) for name, inner in vars(value).items()})
    if isinstance(value, dict):
        new = copy.copy(value)  # of the same class, with what hangs on it, such as a state dict's metadata
        new.update({name: _copied(inner) for name, inner in value.items()})
        return new
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_copied(inner) for inner in value)
    return value
