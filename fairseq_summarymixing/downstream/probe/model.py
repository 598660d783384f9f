"""A probe: a weighted sum of the hidden states of all layers, and a small head over it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...modules.summary_mixing import masked_mean


class WeightedSum(nn.Module):
    """The sum of all hidden states, each times a learned share; the shares are a softmax (Yang et al. 2021, SUPERB)."""

    def __init__(self, num_states: int):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(num_states))

    @property
    def shares(self) -> Tensor:
        """(S,), which sum to 1."""
        return self.weights.softmax(dim=0)

    def forward(self, states: Tensor) -> Tensor:
        """(S, B, T, D) to (B, T, D)."""
        return torch.tensordot(self.shares, states, dims=1)


class Probe(nn.Module):
    """A weighted sum and a head, called as ``head(x, padding_mask)`` with x (B, T, D)."""

    def __init__(self, num_states: int, head: nn.Module):
        super().__init__()
        self.sum = WeightedSum(num_states)
        self.head = head

    def forward(self, states: Tensor, padding_mask: Tensor) -> Tensor:
        """states: (S, B, T, D); padding_mask: (B, T), bool, True = padding. Returns what the head does."""
        return self.head(self.sum(states), padding_mask)


class Linear(nn.Module):
    """A linear layer over each frame: (B, T, D) to (B, T, outputs)."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        return self.output(x)


class BLSTM(nn.Module):
    """Two bidirectional LSTM layers and a linear one over each frame: (B, T, D) to (B, T, outputs).

    Each direction is a module of its own, over utterances that are turned round within their lengths: on a CPU torch
    trains it 13 times as fast as packed sequences of a bidirectional ``nn.LSTM``, which compute the same.
    """

    def __init__(self, width: int, outputs: int, hidden_size: int):
        super().__init__()
        widths = (width, 2 * hidden_size)
        self.forwards = nn.ModuleList(nn.LSTM(inputs, hidden_size, batch_first=True) for inputs in widths)
        self.backwards = nn.ModuleList(nn.LSTM(inputs, hidden_size, batch_first=True) for inputs in widths)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(2 * hidden_size, outputs)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        lengths = (~padding_mask).sum(dim=1, keepdim=True)
        places = (lengths - 1 - torch.arange(x.shape[1], device=x.device)) % x.shape[1]  # (B, T), padding after all
        for ahead, back in zip(self.forwards, self.backwards):
            x = self.dropout(torch.cat([ahead(x)[0], _at(back(_at(x, places))[0], places)], dim=-1))
        return self.output(x)


def _at(x: Tensor, places: Tensor) -> Tensor:
    """Return the frames of x (B, T, D) at places (B, T)."""
    return x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class RunningNorm(nn.Module):
    """Normalise features (N, D) by running averages of their mean and variance, in training as in evaluation.

    The means of utterances over frames differ little, compared with the mean that all utterances have in common, so
    that a head over unnormalised means hardly learns. Batch normalisation fails where a batch holds one utterance.
    """

    MOMENTUM = 0.05  # of the running averages, from the 20th batch on; before, they are plain means of all batches

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._update(x.detach())
        return (x - self.mean) * self.variance.clamp(min=1e-6).rsqrt()

    def extra_repr(self) -> str:
        """Return the sizes of the averages, so that the stored probes of another normalisation are not reused."""
        return ", ".join(f"{name}: {len(value)}" for name, value in self.named_buffers() if value.dim())

    def _update(self, x: Tensor) -> None:
        """Add a batch to both averages. The variance is of deviations: beside a large mean, squares would lose it."""
        self.batches += 1
        momentum = (1 / self.batches).clamp(min=self.MOMENTUM)
        mean = x.mean(dim=0)
        step = mean - self.mean
        self.variance.lerp_((x - mean).square().mean(dim=0) + (1 - momentum) * step.square(), momentum)
        self.mean += momentum * step


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of the real frames of x (B, T, D); padding becomes 0.

    A single frame, which has no variance, is normalised by the running averages.
    """

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        frames, result = x[~padding_mask], torch.zeros_like(x)
        training = self.training and len(frames) > 1
        result[~padding_mask] = F.batch_norm(
            frames, self.running_mean, self.running_var, self.weight, self.bias, training, self.momentum, self.eps
        )
        return result


class MeanPooling(nn.Module):
    """A linear layer over the mean of an utterance's frames, normalised: (B, T, D) to (B, outputs)."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.norm = RunningNorm(width)
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        return self.output(self.norm(masked_mean(x, padding_mask).squeeze(1)))


class AttentiveStatistics(nn.Module):
    """A linear layer over mean and standard deviation of an utterance's frames, weighted by attention (Okabe et al.
    2018) and normalised: (B, T, D) to (B, outputs)."""

    def __init__(self, width: int, outputs: int, hidden_size: int):
        super().__init__()
        self.attention = nn.Sequential(nn.Linear(width, hidden_size), nn.Tanh(), nn.Linear(hidden_size, 1))
        self.norm = RunningNorm(2 * width)
        self.output = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        scores = self.attention(x).masked_fill(padding_mask.unsqueeze(-1), float("-inf"))
        return self.output(self.norm(statistics(x, scores.softmax(dim=1))))


class XVector(nn.Module):
    """Speaker embeddings of a time-delay network with statistics pooling (Snyder et al. 2018), and a class for each
    training speaker. Batch normalisation, of real frames alone, follows every ReLU, as in the authors' recipe; in
    a batch of one utterance it would remove the mean that distinguishes speakers.

    Args:
        outputs: training speakers.
        hidden_size: features of every layer, and of the embedding.
    """

    KERNELS = ((5, 1), (3, 2), (3, 3), (1, 1), (1, 1))  # and dilations
    FEWEST_IN_BATCH = 3  # utterances, on average

    def __init__(self, width: int, outputs: int, hidden_size: int):
        super().__init__()
        widths = [width] + [hidden_size] * len(self.KERNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, hidden_size, kernel, dilation=dilation, padding=kernel // 2 * dilation)
            for inputs, (kernel, dilation) in zip(widths, self.KERNELS)
        )
        self.norms = nn.ModuleList(BatchNorm(hidden_size) for _ in self.KERNELS)
        self.embedding = nn.Linear(2 * hidden_size, hidden_size)
        self.classes = nn.Parameter(torch.randn(outputs, hidden_size))

    def embed(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        """Compute the embeddings (B, hidden_size), of length 1, of x (B, T, D)."""
        x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        for convolution, norm in zip(self.convolutions, self.norms):
            x = norm(F.relu(convolution(x.transpose(1, 2)).transpose(1, 2)), padding_mask)
        real = (~padding_mask).unsqueeze(-1).to(x.dtype)
        x = statistics(x, real / real.sum(dim=1, keepdim=True))
        return F.normalize(self.embedding(x), dim=-1)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        """Compute the cosine (B, outputs) of each utterance's embedding and each training speaker's."""
        return self.embed(x, padding_mask) @ F.normalize(self.classes, dim=-1).transpose(0, 1)


def statistics(x: Tensor, shares: Tensor) -> Tensor:
    """Join the weighted mean and standard deviation over frames.

    x: (B, T, D); shares: (B, T, 1), which sum to 1 over an utterance's frames and are 0 for padding. Returns (B, 2 D).
    """
    mean = (shares * x).sum(dim=1, keepdim=True)
    variance = (shares * (x - mean).square()).sum(dim=1, keepdim=True)
    return torch.cat([mean, variance.clamp(min=1e-6).sqrt()], dim=-1).squeeze(1)
