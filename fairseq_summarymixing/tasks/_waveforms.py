"""Send waveforms to the device as integers: as in 16-bit files, 2 bytes a sample, or as the bits of fp32.

For a half-precision model fairseq casts the fp32 tensors of a batch, and only these, which leaves waveforms 8 bits in
bf16. The task converts the integers to fp32 waveforms before the model sees them.
"""

from typing import Any, Dict, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

FULL_SCALE = 2**15
EPS = 1e-5  # of fairseq's normalisation, layer_norm's own


def normalised(waveform: Tensor) -> Tensor:
    """Return a waveform, (samples,) fp32, of mean 0 and variance 1, as fairseq normalises it."""
    return F.layer_norm(waveform, waveform.shape, eps=EPS)


def linear_map(samples: Tensor, normalize: bool) -> Tuple[float, float]:
    """Return centre and scale of an utterance: its waveform is (samples - centre) * scale.

    Args:
        samples: (samples,) int16, of the whole utterance.
        normalize: the waveform is :func:`normalised`; else full scale is 1.
    """
    if not normalize:
        return 0.0, 1 / FULL_SCALE
    # several times as fast as var_mean
    _, mean, scale = torch.native_layer_norm(samples.float(), samples.shape, None, None, EPS * FULL_SCALE**2)
    return float(mean), float(scale)


def apply_map(samples: Tensor, centre: Any, scale: Any) -> Tensor:
    """Compute the waveform of int16 samples in fp32."""
    return (samples.float() - centre) * scale


def with_one_type(samples: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the samples of a batch with ``source`` of one type: int16 where all are, else fp32."""
    if all("waveform_map" in sample for sample in samples):
        return samples
    return [_in_fp32(sample) for sample in samples]


def pack(batch: Dict[str, Any], samples: List[Dict[str, Any]]) -> None:
    """Make ``source`` of a batch integers: int16 with ``waveform_map``, (B, 2) fp64, or the bits of fp32 as int32."""
    source = batch["net_input"]["source"]
    if source.dtype == torch.int16:
        batch["waveform_map"] = torch.tensor([sample["waveform_map"] for sample in samples], dtype=torch.float64)
    else:
        batch["net_input"]["source"] = source.view(torch.int32)


def unpack(batch: Dict[str, Any]) -> Dict[str, Any]:
    """Return a batch with waveforms for ``source``, (B, samples) fp32, where :func:`pack` made integers of them, else
    as it is. Padding is 0."""
    net_input = batch["net_input"]
    source, padding_mask = net_input["source"], net_input.get("padding_mask")
    if source.dtype == torch.int32:
        source = source.view(torch.float32)
    elif source.dtype == torch.int16:
        centre, scale = batch["waveform_map"].float().unsqueeze(-1).unbind(dim=1)  # (B, 1) each
        source = apply_map(source, centre, scale)
        source = source if padding_mask is None else source.masked_fill_(padding_mask, 0)
    return {**batch, "net_input": {**net_input, "source": source}}


def _in_fp32(sample: Dict[str, Any]) -> Dict[str, Any]:
    if "waveform_map" not in sample:
        return sample
    return {**sample, "source": apply_map(sample["source"], *sample["waveform_map"])}
