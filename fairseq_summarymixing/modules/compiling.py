"""Compile the layers of a model."""

from torch import nn


def compile_layers(module: nn.Module, backend: str = "inductor") -> None:
    """Compile each layer of a model with torch.compile, in place: quick, because equal layers are compiled once.

    The graphs take any number of frames, and the parameters keep their names. A model without lists of layers is
    compiled as a whole.

    Raises:
        ValueError: torch is older than 2.3.
    """
    if not hasattr(nn.Module, "compile"):
        raise ValueError("compile_layers needs torch 2.3 or newer")
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    for layer in [layer for part in lists for layer in part] or [module]:
        layer.compile(dynamic=True, backend=backend)
