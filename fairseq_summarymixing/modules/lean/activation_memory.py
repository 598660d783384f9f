"""Count the bytes that autograd stores for the backward pass: the same on every machine, for the same shapes."""

import contextlib
from typing import Dict, Iterator

import torch
from torch import Tensor, nn


class ActivationBytes:
    """The sizes of distinct storages, by their identity: nothing that is stored can be freed and used again."""

    def __init__(self) -> None:
        self.storages: Dict[int, int] = {}

    @property
    def total(self) -> int:
        """The number of bytes."""
        return sum(self.storages.values())


@contextlib.contextmanager
def count_activation_bytes(model: nn.Module) -> Iterator[ActivationBytes]:
    """Count what the operations inside the block store for the backward pass, without the parameters of ``model``.

    With activation checkpointing, what is recomputed in the backward pass is not counted.
    """
    saved = ActivationBytes()
    parameters = {_storage_id(parameter) for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if _storage_id(tensor) not in parameters:
            saved.storages[_storage_id(tensor)] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # an output that holds itself would never be freed without a backward

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield saved


def _storage_id(tensor: Tensor) -> int:
    """Return a number that differs between storages, also on the meta device, where none has an address of data."""
    return tensor.untyped_storage()._cdata
