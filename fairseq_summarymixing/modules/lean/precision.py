"""Choose the precision of products' factors on a CPU; numbers in memory, sums and results are fp32 in any case."""

import contextlib
from typing import Iterator

import torch
from torch import Tensor

from ..log_mel import LogMel
from .recompute import is_compiling


def takes_bf16_products() -> bool:
    """Return whether this processor multiplies bf16, and this torch (2.9 or newer) lets it do so for numbers in
    fp32."""
    if not hasattr(torch.backends.mkldnn, "matmul") or not torch.backends.mkldnn.is_available():
        return False
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@contextlib.contextmanager
def factors_in(precision: str) -> Iterator[None]:
    """Round the factors of products and convolutions inside to "bf16", or leave them as they are, "ieee"."""
    if is_compiling() or not hasattr(torch.backends.mkldnn, "matmul"):
        yield
        return
    settings = (torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv)
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = precision
        yield
    finally:
        for setting, value in zip(settings, before):
            setting.fp32_precision = value


class LeanLogMel(LogMel):
    """A ``LogMel`` of exact factors, whatever those of the model are: a rounded spectrum changes quiet bins by
    percents."""

    computes_in_chunks = True

    def log_energies(self, wave: Tensor) -> Tensor:
        with factors_in("ieee"), torch.autocast(wave.device.type, enabled=False):
            return super().log_energies(wave)
