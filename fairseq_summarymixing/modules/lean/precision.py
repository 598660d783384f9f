"""Choose the precision of products' factors on a CPU; numbers in memory, sums and results are fp32 in any case."""

import contextlib
import functools
import threading
from typing import Any, Iterator, List, Tuple

import torch
from torch import Tensor

from ..log_mel import LogMel
from .recompute import is_compiling


@functools.lru_cache(maxsize=None)
def takes_bf16_products() -> bool:
    """Return whether :func:`bf16_factors` rounds factors on this processor, found out by a product.

    It takes torch 2.9 or newer, and a processor with AMX: one that has only AVX-512's bf16 instructions says that it
    multiplies bf16, but torch leaves factors that are given in fp32 as they are there.
    """
    if not _settings() or not torch.backends.mkldnn.is_available():
        return False
    factor = torch.full((256, 256), 1 + 2**-10)  # 1 in bf16
    with bf16_factors():
        return bool((factor @ factor == 256).all())


class _Bf16:
    """The state that contexts share which ask for bf16: torch has one setting for all threads of a process."""

    lock = threading.RLock()
    users = 0
    before: List[str] = []


@contextlib.contextmanager
def bf16_factors() -> Iterator[None]:
    """Inside this context, round the factors of products and convolutions to bf16; in all threads, until the last such
    context ends."""
    with _Bf16.lock:
        if _Bf16.users == 0:
            _Bf16.before = _precisions()
        _Bf16.users += 1
        _set_precisions("bf16", "bf16")
    try:
        yield
    finally:
        with _Bf16.lock:
            _Bf16.users -= 1
            if _Bf16.users == 0:
                _set_precisions(*_Bf16.before)


@contextlib.contextmanager
def exact_factors() -> Iterator[None]:
    """Inside this context, keep the factors of products in fp32, even inside :func:`bf16_factors`."""
    if is_compiling() or not (_Bf16.users or set(_precisions()) & {"bf16", "tf32"}):
        yield
        return
    with _Bf16.lock:
        before = _precisions()
        _set_precisions("ieee", "ieee")
        try:
            yield
        finally:
            _set_precisions(*before)


def _precisions() -> List[str]:
    return [setting.fp32_precision for setting in _settings()]


def _set_precisions(*values: str) -> None:
    for setting, value in zip(_settings(), values):
        setting.fp32_precision = value


def _settings() -> Tuple[Any, ...]:
    """Return torch's settings of products and of convolutions on a CPU; before torch 2.9 there are none."""
    mkldnn = torch.backends.mkldnn
    return (mkldnn.matmul, mkldnn.conv) if hasattr(mkldnn, "matmul") else ()


class LeanLogMel(LogMel):
    """A ``LogMel`` whose products keep fp32 factors, whatever the model's have: a rounded spectrum changes quiet bins
    by some percent."""

    computes_in_chunks = True

    def log_energies(self, wave: Tensor) -> Tensor:
        with exact_factors(), torch.autocast(wave.device.type, enabled=False):
            return super().log_energies(wave)
