"""Decide where a lean layer may run in the place of the plain layer."""

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from .recompute import is_compiling

OUR_PACKAGE = __name__.rsplit(".", 2)[0] + "."  # of the plain modules, and of the lean modules inside it
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = [vars(torch_module)[f"_global{name}"] for name in HOOKS if f"_global{name}" in vars(torch_module)]
# by which FlopCounterMode names what it counts: it must count what runs
OBSERVERS = ("torch.utils.module_tracker",)


def are_plain(*modules: nn.Module) -> bool:
    """Return whether calling these modules would run PyTorch's code and ours, and nothing else.

    Lean layers compute what their children would without calling them. They must not where a child, or a part of it, is
    of another class (an adapter, a quantised layer), is parametrised, carries a hook (of a profiler, of pruning), has
    another ``forward`` or other than ordinary parameters, or where a compiler or an exporter reads the code.
    """
    if is_compiling() or torch.jit.is_tracing() or _has_global_hooks():
        return False
    return all(_is_plain(module) for module in modules)


def _has_global_hooks() -> bool:
    hooks = (hook for registered in GLOBAL_HOOKS for hook in registered.values())
    return any(getattr(hook, "__module__", None) not in OBSERVERS for hook in hooks)


def _is_plain(module: nn.Module) -> bool:
    state = vars(module)
    return (
        type(module).__module__.startswith(("torch.nn.modules.", OUR_PACKAGE))
        and "forward" not in state
        and not any(state.get(name) for name in HOOKS)
        and all(parameter is None or type(parameter) is nn.Parameter for parameter in state["_parameters"].values())
        and all(child is None or _is_plain(child) for child in state["_modules"].values())
    )
