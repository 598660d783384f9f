"""Decide where a lean layer may run in the place of the plain layer."""

from typing import Callable, Optional

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from ..activations import ACTIVATIONS
from .recompute import is_compiling

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = [vars(torch_module)[f"_global{name}"] for name in HOOKS if f"_global{name}" in vars(torch_module)]
# by which FlopCounterMode names what it counts: it must count what runs
OBSERVERS = ("torch.utils.module_tracker",)


def is_plain(part: Optional[nn.Module], *kinds: type) -> bool:
    """Return whether calling a part of a layer would run the ``forward`` of one of these classes, and nothing else.

    Lean layers compute the results of their parts without calling them. They must not do so where a part is of another
    class (an adapter, a quantised layer, a subclass), is parametrised, carries a hook (of a profiler, of pruning), has
    another ``forward`` or parameters that are not ordinary, or where a compiler or an exporter reads the code. The
    parts of a part are not checked; the caller asks about each.
    """
    if is_compiling() or torch.jit.is_tracing() or _has_global_hooks() or type(part) not in kinds:
        return False
    state = vars(part)
    return (
        "forward" not in state
        and not any(state.get(name) for name in HOOKS)
        and all(parameter is None or type(parameter) is nn.Parameter for parameter in state["_parameters"].values())
    )


def is_known(activation: Callable) -> bool:
    """Return whether an activation is a function of ours: it draws no random numbers, and nothing hooks into it."""
    return any(activation is function for function in ACTIVATIONS.values())


def _has_global_hooks() -> bool:
    if not any(GLOBAL_HOOKS):
        return False
    hooks = (hook for registered in GLOBAL_HOOKS for hook in registered.values())
    return any(getattr(hook, "__module__", None) not in OBSERVERS for hook in hooks)
