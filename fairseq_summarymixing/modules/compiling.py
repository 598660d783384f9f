"""Compile the layers of a model."""

from torch import nn


def compile_layers(module: nn.Module, backend: str = "inductor") -> None:
    """Let torch.compile compile each layer of a model, in place: quick, because layers are alike and compiled once.

    The graphs take any number of frames. Names of parameters stay. A model without lists of layers is compiled whole.

    Raises:
        ValueError: torch is older than 2.3.
    """
    if not hasattr(nn.Module, "compile"):
        raise ValueError("compile_layers needs torch 2.3 or newer")
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    for layer in [layer for part in lists for layer in part] or [module]:
        layer.compile(dynamic=True, backend=backend)
