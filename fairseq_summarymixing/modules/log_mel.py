"""Compute log-mel features of waveforms in plain matrix products: 16 kHz to 100 frames a second."""

import math
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE = 16000
WINDOW = 400  # samples, 25 ms; also the size of the Fourier transform
HOP = 160  # samples, 10 ms
MAX_BINS = 89
FLOOR = 1e-6  # energy of a bin; 80 dB below that of a window of white noise of unit variance


def mel_filters(num_bins: int) -> Tensor:
    """Return triangular filters, equally spaced on the mel scale 2595 log10(1 + f / 700) from 0 to 8 kHz, with peaks
    of 1.

    Returns:
        (WINDOW // 2 + 1, num_bins), fp32.
    """
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, num_bins + 2, dtype=torch.float64) / 2595) - 1)
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1, dtype=torch.float64).unsqueeze(1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0).float()


def windowed_fourier() -> Tensor:
    """Return cosines and sines of the discrete Fourier transform, times a periodic Hamming window.

    Returns:
        (WINDOW, 2 * (WINDOW // 2 + 1)), fp32: real parts, then imaginary parts.
    """
    time = torch.arange(WINDOW, dtype=torch.float64)
    window = 0.54 - 0.46 * torch.cos(2 * math.pi * time / WINDOW)
    phase = 2 * math.pi / WINDOW * torch.outer(time, torch.arange(WINDOW // 2 + 1, dtype=torch.float64))
    return (window.unsqueeze(1) * torch.cat([phase.cos(), -phase.sin()], dim=1)).float()


def normalise(x: Tensor, padding_mask: Optional[Tensor], eps: float) -> Tensor:
    """Compute (x - mean) / sqrt(variance + eps) over the real steps of each utterance; padding becomes 0.

    Args:
        x: (B, T, C), fp32.
        padding_mask: (B, T), bool, True = padding.
    """
    if padding_mask is None:
        centred = x - x.mean(dim=1, keepdim=True)
        return centred * (centred.square().mean(dim=1, keepdim=True) + eps).rsqrt()
    padding = padding_mask.unsqueeze(-1)
    count = (~padding).sum(dim=1, keepdim=True).clamp(min=1)
    centred = (x - x.masked_fill(padding, 0).sum(dim=1, keepdim=True) / count).masked_fill(padding, 0)
    return centred * (centred.square().sum(dim=1, keepdim=True) / count + eps).rsqrt()


class LogMel(nn.Module):
    """A module that computes log-mel energies of waveforms. The waveform is normalised per utterance, the energies per
    utterance and bin, to mean 0 and variance 1.

    25 ms Hamming windows every 10 ms, centred on samples 0, 160, 320, ... with zeros around the utterance.
    Computed in fp32 without gradient, whatever the precision of the model: energies span more than half
    precision holds. Without complex numbers, so that every export format can represent it.

    Raises:
        ValueError: there are so many bins that a filter would lie between two frequencies and be empty.
    """

    computes_in_chunks = True

    def __init__(self, num_bins: int = 80):
        super().__init__()
        if not 1 <= num_bins <= MAX_BINS:
            raise ValueError(f"num_mel_bins must be from 1 to {MAX_BINS}; got {num_bins}")
        self.num_bins = num_bins
        self.register_buffer("fourier", windowed_fourier(), persistent=False)
        self.register_buffer("filters", mel_filters(num_bins), persistent=False)

    def _apply(self, *args, **kwargs):
        """Move the module to another device; its buffers stay fp32."""
        super()._apply(*args, **kwargs)
        device = self.fourier.device
        if self.fourier.dtype != torch.float32:
            self.fourier, self.filters = windowed_fourier().to(device), mel_filters(self.num_bins).to(device)
        return self

    def fill_buffers(self) -> None:
        """Fill the buffers of a module that was built without storage; no checkpoint holds them."""
        self.fourier.copy_(windowed_fourier())
        self.filters.copy_(mel_filters(self.num_bins))

    @staticmethod
    def output_lengths(lengths: Tensor) -> Tensor:
        """Return the frames for each number of samples; (B,) to (B,)."""
        return torch.div(lengths, HOP, rounding_mode="floor") + 1

    @torch.no_grad()
    def forward(self, wave: Tensor, lengths: Optional[Tensor] = None) -> Tuple[Tensor, Optional[Tensor]]:
        """Compute normalised energies. wave: (B, samples); lengths: (B,), real samples, None = all. Returns
        (B, T, num_bins) fp32, and (B,)."""
        with torch.autocast(wave.device.type, enabled=False):
            wave = normalise(wave.float().unsqueeze(-1), padding_beyond(lengths, wave.shape[1]), eps=1e-5).squeeze(-1)
            log_energies = self.log_energies(F.pad(wave, (WINDOW // 2, WINDOW // 2)))
            lengths = None if lengths is None else self.output_lengths(lengths)
            return normalise(log_energies, padding_beyond(lengths, log_energies.shape[1]), eps=1e-5), lengths

    def log_energies(self, wave: Tensor) -> Tensor:
        """Compute the energies of each window: (B, samples) to (B, (samples - WINDOW) // HOP + 1, num_bins)."""
        # (B, samples) -> (B, T, WINDOW)
        real, imaginary = (wave.unfold(1, WINDOW, HOP) @ self.fourier).chunk(2, dim=-1)
        return ((real.square() + imaginary.square()) @ self.filters).clamp(min=FLOOR).log()


def padding_beyond(lengths: Optional[Tensor], size: int) -> Optional[Tensor]:
    """Return the mask (B, size), bool, True = padding, of (B,) real steps; None stays None."""
    if lengths is None:
        return None
    return torch.arange(size, device=lengths.device) >= lengths.unsqueeze(1)
