"""Check the values of a model's parameters where a file of them enters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError, first_of

# The square of such a value, summed over a row of 340, is more than fp32 holds: the layer norm or the loss after
# this layer is inf or NaN. Trained parameters and BatchNorm's variances stay ten orders of magnitude below, and a
# flipped bit at the top of fp32's or bf16's exponent multiplies by 10^38. fp16 cannot hold such values, only inf.
LARGEST = 1e18
# fairseq's transformer decoders keep uninitialised memory under this name; only its device and type are used.
PLACEHOLDERS = ("_float_tensor",)


def check_weights(path: str | Path, tensors: Mapping[str, Any]) -> None:
    """Check that every parameter holds finite floating-point numbers that a layer can use.

    Single integers are counters, such as BatchNorm's ``num_batches_tracked``.

    Args:
        path: the file that they were read from, for the message.
        tensors: parameters by name; what is no tensor is left to the model that loads it.

    Raises:
        UserError: names the first parameters that hold NaN, inf or values above :data:`LARGEST`, or are integers,
            complex or sparse, and counts the others.
    """
    wrong = {
        name: complaint
        for name, value in tensors.items()
        if isinstance(value, Tensor) and not str(name).endswith(PLACEHOLDERS) and (complaint := _complaint(value))
    }
    _raise_for(path, wrong, "the file is damaged or its training had diverged: use an earlier checkpoint")


def check_optimizer_state(path: str | Path, state: Any) -> None:
    """Check that training can go on with an optimizer's state.

    After an infinite second moment, Adam never changes the parameter again, and nothing reports it.

    Args:
        path: the file that it was read from, for the message.
        state: tensors at any depth of dicts and lists.

    Raises:
        UserError: names the first tensors that hold NaN or inf, and counts the others.
    """
    tensors = _floating_point("optimizer", state)
    wrong = {name: "holds NaN or inf" for name, value in tensors if not _is_finite(value)}
    hint = "use an earlier checkpoint, or keep the parameters alone by checkpoint.reset_optimizer=true"
    _raise_for(path, wrong, f"its training had diverged: {hint}")


def _raise_for(path: str | Path, wrong: Mapping[str, str], hint: str) -> None:
    if not wrong:
        return
    complaints = [f"{name} {complaint}" for name, complaint in wrong.items()]
    raise UserError(f"{path}: {first_of(complaints, noun='more tensors')}; {hint}")


def _complaint(value: Tensor) -> str | None:
    """Return what is wrong with a parameter; None if nothing is."""
    if value.layout is not torch.strided:
        return f"is {value.layout}, not dense"
    if not value.is_floating_point():
        is_counter = value.numel() == 1 and not value.is_complex()
        return None if is_counter else f"is {str(value.dtype)[len('torch.') :]}, not floating point"
    value = value.detach().float()
    if value.numel() == 0 or _within(value, LARGEST):
        return None
    counts = {
        "NaN": value.isnan().sum().item(),
        "inf": value.isinf().sum().item(),
        f"magnitudes above {LARGEST:.0e}": (value.abs() > LARGEST).sum().item() - value.isinf().sum().item(),
    }
    found = " and ".join(f"{kind} ({count} of {value.numel()} values)" for kind, count in counts.items() if count)
    return f"holds {found}"


def _within(value: Tensor, limit: float) -> bool:
    """Return whether no value is beyond the bound; False for NaN. One pass without copies, three times as fast as
    ``abs``."""
    low, high = torch.aminmax(value)
    return -limit <= low.item() and high.item() <= limit


def _is_finite(value: Tensor) -> bool:
    return value.numel() == 0 or _within(value.detach().float(), torch.finfo(torch.float32).max)


def _floating_point(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield floating-point tensors at any depth of dicts and lists, with the path to each."""
    if isinstance(value, Tensor) and value.is_floating_point():
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _floating_point(f"{name}.{key}", inner)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _floating_point(f"{name}.{index}", inner)
