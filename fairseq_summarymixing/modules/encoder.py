"""The context encoder: positions, a stack of layers, a norm."""

from typing import List, NamedTuple, Optional, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class EncoderOutput(NamedTuple):
    """The output of the encoder."""

    x: Tensor
    """(B, T, D): the context representations."""
    hidden_states: Optional[List[Tensor]]
    """The input of the first layer, then the output of each layer: one more than layers, (B, T, D) each."""


def init_bert_params(module: nn.Module) -> None:
    """Initialise linear layers with N(0, 0.02) weights and zero biases, as wav2vec 2.0's encoder starts."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Encoder(nn.Module):
    """A context encoder of wav2vec 2.0 (Section 2, "Contextualized representations") over any layer.

    Args:
        positions: computes what is added to the input, (B, T, D) from (B, T, D); padding frames are 0 on input.
        layers: each called as ``layer(x, padding_mask)``.
        model_dim: features D.
        dropout: on the input of the first layer.
        layerdrop: probability of skipping a layer in training (Fan et al., ICLR 2020). Drawn from
            PyTorch's CPU generator, which fairseq seeds for each update: the same on every rank, and
            the same after a resume.
        layer_norm_first: the layers are pre-norm, so the norm comes last; otherwise it comes first.
        checkpoint_activations: store only each layer's input and recompute the rest in the backward pass.
    """

    computes_in_chunks = True

    def __init__(
        self,
        positions: nn.Module,
        layers: Sequence[nn.Module],
        model_dim: int,
        dropout: float = 0.1,
        layerdrop: float = 0.0,
        layer_norm_first: bool = False,
        checkpoint_activations: bool = False,
    ):
        super().__init__()
        self.pos_conv = positions
        self.layers = nn.ModuleList(layers)
        self.layer_norm = nn.LayerNorm(model_dim)
        self.dropout = nn.Dropout(dropout)
        self.layerdrop = layerdrop
        self.layer_norm_first = layer_norm_first
        self.checkpoint_activations = checkpoint_activations
        self.apply(init_bert_params)

    def forward(
        self,
        x: Tensor,
        padding_mask: Optional[Tensor] = None,
        last_layer: Optional[int] = None,
        return_hidden_states: bool = False,
    ) -> EncoderOutput:
        """Encode the frames. x: (B, T, D); padding_mask: (B, T), bool, True = padding.

        ``last_layer`` stops after that layer (0 = the first) and leaves out the final norm.
        """
        x = self._embed(x, padding_mask)
        hidden_states = [x]
        for layer in self.layers if last_layer is None else self.layers[: last_layer + 1]:
            if not self._drops_layer():
                x = self._run(layer, x, padding_mask)
            if return_hidden_states:
                hidden_states.append(x)
        if self.layer_norm_first and last_layer is None:
            x = self.layer_norm(x)
        return EncoderOutput(x, hidden_states if return_hidden_states else None)

    def _embed(self, x: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
        if padding_mask is not None:
            x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        return self.add_positions(x)

    def add_positions(self, x: Tensor, first: int = 0) -> Tensor:
        """Return the first layer's input: positions added to x (B, T, D), which begins at the utterance's frame
        ``first``; padding is 0."""
        x = x + self.pos_conv(x, first)
        if not self.layer_norm_first:
            x = self.layer_norm(x)
        return self.dropout(x)

    def _drops_layer(self) -> bool:
        return self.training and self.layerdrop > 0 and torch.rand(()).item() < self.layerdrop

    def _run(self, layer: nn.Module, x: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
        if self.checkpoint_activations and self.training:
            return checkpoint(layer, x, padding_mask, use_reentrant=False)
        return layer(x, padding_mask)
