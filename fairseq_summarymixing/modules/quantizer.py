"""The Gumbel product quantiser of wav2vec 2.0 (Section 2, "Quantization module")."""

from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuantizerOutput(NamedTuple):
    """The output of the quantiser: N quantised frames, G groups, V entries per group."""

    x: Tensor
    """(N, vq_dim): the chosen entries of the groups, joined."""
    codes: Tensor
    """(N, G): index of the chosen entry in each group."""
    prob_perplexity: Tensor
    """Scalar: exp of the entropy of the mean softmax, summed over groups; at most G * V (Eq. 4)."""
    code_perplexity: Tensor
    """Scalar: the same for the arg max of the logits, without noise or gradient: how many entries are in use."""


class GumbelVectorQuantizer(nn.Module):
    """A product quantiser: each group of each frame picks one codebook entry, straight-through in training (Eq. 1).

    Parameters are named as in fairseq's module of this name.

    Args:
        dim: features of the input.
        num_vars: entries V per group.
        groups: groups G.
        vq_dim: features of the output.
        temperature: (start, end, decay per update) of the Gumbel softmax.

    Raises:
        ValueError: ``groups`` does not divide ``vq_dim``.
    """

    def __init__(self, dim: int, num_vars: int, groups: int, vq_dim: int, temperature: Tuple[float, float, float]):
        super().__init__()
        if groups < 1 or vq_dim % groups:
            raise ValueError(f"latent_groups must divide latent_dim (or final_dim); got {groups} and {vq_dim}")
        self.groups = groups
        self.num_vars = num_vars
        self.vars = nn.Parameter(torch.rand(1, groups * num_vars, vq_dim // groups))
        self.weight_proj = nn.Linear(dim, groups * num_vars)
        nn.init.normal_(self.weight_proj.weight, mean=0, std=1)
        nn.init.zeros_(self.weight_proj.bias)
        self.start_temperature, self.end_temperature, self.decay = temperature
        self.temperature = self.start_temperature

    def set_num_updates(self, num_updates: int) -> None:
        """Anneal the temperature; fairseq calls it after each update."""
        self.temperature = max(self.start_temperature * self.decay**num_updates, self.end_temperature)

    def gumbel_noise(self, count: int, generator: Optional[torch.Generator] = None) -> Tensor:
        """Draw (count, G, V) values of -log(Exp(1)), on the generator's device."""
        device = "cpu" if generator is None else generator.device
        drawn = torch.empty(count, self.groups, self.num_vars, device=device)
        return -drawn.exponential_(generator=generator).log()

    def forward(self, x: Tensor, noise: Optional[Tensor] = None) -> QuantizerOutput:
        """Quantise frames. x: (N, dim); noise: (N, G, V), None = none, so the arg max is chosen."""
        # (N, G x V) -> (N, G, V)
        logits = self.weight_proj(x).view(-1, self.groups, self.num_vars).float()
        choice = self._choose(logits, noise)
        codebook = self.vars.view(self.groups, self.num_vars, -1)
        quantized = torch.einsum("ngv,gvd->ngd", choice.type_as(codebook), codebook).flatten(1)
        return QuantizerOutput(
            x=quantized,
            codes=choice.argmax(-1),
            prob_perplexity=perplexity(logits.softmax(-1)),
            code_perplexity=perplexity(F.one_hot(logits.argmax(-1), self.num_vars).float()),
        )

    def _choose(self, logits: Tensor, noise: Optional[Tensor]) -> Tensor:
        if noise is None:
            return F.one_hot(logits.argmax(-1), self.num_vars).type_as(logits)
        soft = ((logits + noise) / self.temperature).softmax(-1)
        hard = F.one_hot(soft.argmax(-1), self.num_vars).type_as(soft)
        return hard - soft.detach() + soft


def perplexity(probabilities: Tensor) -> Tensor:
    """Compute exp(entropy) of the mean distribution of each group, summed. probabilities: (N, G, V); N may be 0."""
    mean = probabilities.sum(dim=0) / max(len(probabilities), 1)
    return torch.exp(-(mean * torch.log(mean + 1e-7)).sum(-1)).sum()
