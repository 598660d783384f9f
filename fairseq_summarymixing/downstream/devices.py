"""Choose the device and the precision of inference."""

from __future__ import annotations

import contextlib

import torch

from ..errors import UserError
from ..modules.lean.precision import bf16_factors, takes_bf16_products

DTYPES = ("fp32", "bf16", "auto")


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda" into a device; raises UserError if there is no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("`device` cuda: torch sees no CUDA device; use `device` cpu")
    return torch.device(name)


def pick_dtype(name: str, device: torch.device) -> str:
    """Turn "auto", "fp32" or "bf16" into "fp32" or "bf16".

    Raises:
        UserError: bf16 on a GPU, or where torch does not multiply in it.
    """
    if name not in DTYPES:
        raise UserError(f"`dtype` must be one of {', '.join(DTYPES)}; got {name}")
    is_there = device.type == "cpu" and takes_bf16_products()
    if name == "bf16" and not is_there:
        here = "`device` is cuda" if device.type != "cpu" else "this is none, or torch is older than 2.9"
        raise UserError(
            f"`dtype` bf16 needs a CPU on which torch multiplies in bf16 (with AMX), and {here}: use `dtype` fp32"
        )
    return ("bf16" if is_there else "fp32") if name == "auto" else name


def products_in(dtype: str) -> contextlib.AbstractContextManager:
    """Return a context in which products' factors are rounded to the dtype, of :func:`pick_dtype`."""
    return bf16_factors() if dtype == "bf16" else contextlib.nullcontext()


def device_name(device: torch.device) -> str:
    """Return the name of a GPU's model, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
