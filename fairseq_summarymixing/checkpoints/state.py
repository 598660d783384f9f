"""Read what fairseq saved in a file, whole, without running anything that the file may have brought along."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..compat import quiet_fairseq
from ..errors import UserError
from .evaluated_fields import check_evaluated_fields
from .torch_files import read_head, read_torch_file
from .weights import check_weights

# What a state holds beside "model", where it holds it, and the groups of its configuration
KINDS = {"args": Namespace, "task_state": Mapping, "extra_state": Mapping, "optimizer_history": list}
GROUPS = ("model", "task", "criterion", "common", "distributed_training")


def read_state(path: str | Path) -> dict[str, Any]:
    """Read a fairseq checkpoint onto the CPU.

    Only tensors, plain values and the :func:`safe_classes` are read; anything else in the file is refused before it
    runs, and so are fields that would run while fairseq builds the model.

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


def safe_classes() -> tuple[type, ...]:
    """Return the classes that fairseq writes into checkpoints beside tensors and plain containers."""
    from fairseq.data import Dictionary

    return (Dictionary, Namespace)


def _check_file(path: Path) -> None:
    """Refuse files that can be recognised without torch."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a checkpoint in it, such as {path / 'checkpoint_best.pt'}")
    if not path.exists():
        beside = sorted(checkpoint.name for checkpoint in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        hint = f"; {path.parent} holds {', '.join(beside[:5])}" if beside else ""
        raise UserError(f"there is no checkpoint {path}{hint}")
    head = read_head(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < os.path.getsize(path):
        raise UserError(
            f"{path} is a safetensors file (Hugging Face); "
            "expected a fairseq checkpoint, which also holds the configuration"
        )


def _check_state(path: Path, state: Any) -> None:
    if not isinstance(state, Mapping):
        raise UserError(f"{path} is no fairseq checkpoint: expected 'model' and 'cfg', each by its name")
    if isinstance(state.get("model"), Mapping):
        config = state.get("cfg")
        if isinstance(config, Mapping) or isinstance(state.get("args"), Namespace):
            _check_kinds(path, state, config if isinstance(config, Mapping) else {})
            return
        raise UserError(f"{path} has parameters but no configuration ('cfg' or 'args'); fairseq did not save it")
    if state and all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(
            f"{path} is a bare state dict of {len(state)} tensors without a configuration; "
            "expected a checkpoint that fairseq saved, with 'model' and 'cfg'"
        )
    if "model" in state:
        raise UserError(
            f"{path}: 'model' holds no parameters but {str(state['model'])[:40]!r}; expected a checkpoint of fairseq's"
        )
    found = ", ".join(map(str, list(state)[:6])) or "nothing"
    raise UserError(f"{path} is no fairseq checkpoint: expected 'model' and 'cfg', found {found}")


def _check_kinds(path: Path, state: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse a state that holds something else than what fairseq saves under a name."""
    found = [(name, state.get(name), kind) for name, kind in KINDS.items()]
    found += _of_groups("cfg", config)
    model = config.get("model") if isinstance(config.get("model"), Mapping) else {}
    found.append(("cfg.model.w2v_args", model.get("w2v_args"), (Mapping, Namespace)))
    if isinstance(model.get("w2v_args"), Mapping):
        found += _of_groups("cfg.model.w2v_args", model["w2v_args"])
    extra = state.get("extra_state")
    position = extra.get("train_iterator") if isinstance(extra, Mapping) else None
    found.append(("extra_state.train_iterator", position, Mapping))
    found += [("an entry of optimizer_history", entry, Mapping) for entry in _list(state.get("optimizer_history"))]
    task_state = state.get("task_state")
    if isinstance(task_state, Mapping):
        found.append(("task_state.target_dictionary", task_state.get("target_dictionary"), safe_classes()[0]))
    for name, value, kind in found:
        if value is not None and not isinstance(value, kind):
            raise UserError(
                f"{path}: {name} is not what fairseq saves there but {str(value)[:40]!r}; copy it again, or name "
                "another checkpoint"
            )


def _of_groups(name: str, config: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return names, values and expected kinds of a configuration's groups, and of the names of their classes."""
    groups = [(f"{name}.{group}", config.get(group), Mapping) for group in GROUPS]
    held = [(group, value) for group, value, _ in groups if isinstance(value, Mapping)]
    return groups + [(f"{group}._name", value.get("_name"), str) for group, value in held]


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []
