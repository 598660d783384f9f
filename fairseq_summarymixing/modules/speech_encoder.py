"""The half of a pre-trained model that fine-tuning keeps: front end, masking and context encoder.

An objective is a subclass: its ``forward`` calls :meth:`SpeechEncoder.encode_masked` and makes a loss of what that
returns. :mod:`.wav2vec2` is one.
"""

import contextlib
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .build import build_encoder, build_frontend
from .config import EncoderConfig, FrontendConfig, MaskingConfig
from .log_mel import padding_beyond
from .masking import sample_channel_mask, sample_time_mask, utterance_generators


class Features(NamedTuple):
    """The encoder's input. T frames after the front end."""

    projected: Tensor
    """(B, T, D): normalised features in the encoder's width."""
    normalised: Tensor
    """(B, T, C): normalised features, of which targets are made."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding; None where the waveforms came without."""
    penalty: Tensor
    """Scalar: mean square of the features before normalisation, over real frames."""


class Masks(NamedTuple):
    """The masks of a batch, on the CPU."""

    time: Tensor
    """(B, T), bool, True = masked."""
    channels: Optional[Tensor]
    """(B, D), bool, True = the channel is zeroed."""


class Representations(NamedTuple):
    """The encoder's output."""

    x: Tensor
    """(B, T, D)."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding."""
    hidden_states: List[Tensor]
    """The first layer's input and each layer's output, (B, T, D) each."""
    features: Tensor
    """(B, T, C): normalised features of the front end."""


class MaskedFrames(NamedTuple):
    """The N masked frames that an objective predicts, and what it predicts them from: utterance by utterance, then by
    time."""

    context: Tensor
    """(N, D): the encoder's output, which has not seen these frames."""
    features: Tensor
    """(N, C): their normalised features, not masked."""
    counts: List[int]
    """Masked frames of each utterance; they sum to N."""
    generators: List[torch.Generator]
    """One for each utterance, for further draws where the model is: what is large is drawn where it is used."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding."""
    features_penalty: Tensor
    """Scalar: mean square of the features before normalisation, over real frames."""


class _ScaleGradient(torch.autograd.Function):
    """An identity that multiplies its gradient by a factor."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


class SpeechEncoder(nn.Module):
    """A model from waveforms to context representations, over any mixer; calling it runs :meth:`encode`.

    Parts that are the same as in fairseq's ``wav2vec2`` keep its parameter names.

    Raises:
        ValueError: from the parts, where the configurations do not fit together.
    """

    def __init__(self, frontend: FrontendConfig, encoder: EncoderConfig, masking: MaskingConfig):
        super().__init__()
        self.masking = masking
        self.feature_grad_mult = frontend.feature_grad_mult
        self.checkpoint_activations = encoder.checkpoint_activations
        model_dim = encoder.encoder_embed_dim
        self.feature_extractor = build_frontend(frontend)
        feature_dim = self.feature_extractor.output_dim
        self.layer_norm = nn.LayerNorm(feature_dim)
        self.post_extract_proj = nn.Linear(feature_dim, model_dim) if feature_dim != model_dim else None
        self.dropout_input = nn.Dropout(masking.dropout_input)
        self.dropout_features = nn.Dropout(masking.dropout_features)
        self.mask_emb = nn.Parameter(torch.rand(model_dim))
        self.encoder = build_encoder(encoder)

    def encode(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        mask: bool = False,
        seeds: Optional[Sequence[int]] = None,
        mask_indices: Optional[Tensor] = None,
        last_layer: Optional[int] = None,
    ) -> Representations:
        """Compute the context representations of waveforms; an objective's ``forward`` may compute something else.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            mask: mask spans of frames and channels, as fine-tuning does.
            seeds: one for each utterance, for its masks; None = drawn from PyTorch's CPU generator.
            mask_indices: (B, T), bool, True = masked, where ``mask``; None = sampled.
            last_layer: stop after this layer (0 = the first).
        """
        masks = None
        if mask:
            masks = self.sample_masks(source, padding_mask, self._generators(seeds, len(source)), mask_indices)
        features = self.extract_normalised(source, padding_mask)
        x = features.projected if masks is None else self.apply_masks(features.projected, masks)
        x, hidden_states = self.encoder(x, features.padding_mask, last_layer, return_hidden_states=True)
        return Representations(x, features.padding_mask, hidden_states, features.normalised)

    forward = encode  # an objective has a ``forward`` of its own, and ``encode`` beside it

    def encode_masked(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        seeds: Optional[Sequence[int]] = None,
        mask_indices: Optional[Tensor] = None,
    ) -> MaskedFrames:
        """Mask, encode and gather the masked frames: the part of a pre-training step that objectives share.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            seeds: one for each utterance, for its masks and all further draws; None = drawn from PyTorch's CPU
                generator.
            mask_indices: (B, T), bool, True = masked; None = sampled.
        """
        generators = self._generators(seeds, len(source))
        masks = self.sample_masks(source, padding_mask, generators, mask_indices)
        counts = masks.time.sum(dim=1).tolist()
        masked = _send(masks.time.flatten().nonzero().squeeze(1), source.device)
        generators = self._move(generators, source.device)
        features = self.extract_normalised(source, padding_mask)
        x = self.encoder(self.apply_masks(features.projected, masks), features.padding_mask).x
        rows = (part.flatten(0, 1).index_select(0, masked) for part in (x, features.normalised))
        return MaskedFrames(*rows, counts, generators, features.padding_mask, features.penalty)

    def extract_normalised(self, source: Tensor, padding_mask: Optional[Tensor]) -> Features:
        """Run front end, LayerNorm, projection and dropout. Shapes as in :class:`Features`."""
        raw, padding_mask = self._extract(source, padding_mask)
        normalised = self.layer_norm(raw)
        projected = normalised if self.post_extract_proj is None else self.post_extract_proj(normalised)
        return Features(
            self.dropout_input(projected),
            self.dropout_features(normalised),
            padding_mask,
            _mean_square(raw, padding_mask),
        )

    def _extract(self, source: Tensor, padding_mask: Optional[Tensor]) -> Tuple[Tensor, Optional[Tensor]]:
        """Compute the front end's (B, T, C) and (B, T) from (B, samples) and its mask."""
        lengths = None if padding_mask is None else (~padding_mask).sum(dim=1)
        trained = self.feature_grad_mult > 0
        with contextlib.nullcontext() if trained else torch.no_grad():
            if self.checkpoint_activations and self.training:
                raw, lengths = checkpoint(self.feature_extractor, source, lengths, use_reentrant=False)
            else:
                raw, lengths = self.feature_extractor(source, lengths)
        if trained and self.feature_grad_mult != 1:
            raw = _ScaleGradient.apply(raw, self.feature_grad_mult)
        return raw, padding_beyond(lengths, raw.shape[1])

    def sample_masks(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor],
        generators: Sequence[torch.Generator],
        mask_indices: Optional[Tensor] = None,
    ) -> Masks:
        """Sample which frames and channels are masked, on the CPU; given ``mask_indices`` replace sampled frames.

        The lengths are the only values that a step reads back from the device, before there is work to wait for.
        """
        samples = torch.full((len(source),), source.shape[1])
        frames = int(self.feature_extractor.output_lengths(samples)[0])
        if mask_indices is None and self.masking.mask_prob > 0 and padding_mask is not None:
            samples = (~padding_mask).sum(dim=1).cpu()
        lengths = self.feature_extractor.output_lengths(samples).tolist()
        return self.sample_frame_masks(lengths, frames, generators, mask_indices)

    def sample_frame_masks(
        self,
        lengths: Sequence[int],
        frames: int,
        generators: Sequence[torch.Generator],
        mask_indices: Optional[Tensor] = None,
    ) -> Masks:
        """Sample masks of B utterances, whose numbers of real frames are ``lengths``, padded to ``frames``."""
        config = self.masking
        if mask_indices is None and config.mask_prob > 0:
            mask_indices = sample_time_mask(
                lengths,
                frames,
                config.mask_prob,
                config.mask_length,
                generators,
                config.require_same_masks,
                config.mask_dropout,
            )
        elif mask_indices is None:
            mask_indices = torch.zeros(len(lengths), frames, dtype=torch.bool)
        channels = None
        if config.mask_channel_prob > 0:
            channels = sample_channel_mask(
                len(self.mask_emb), config.mask_channel_prob, config.mask_channel_length, generators
            )
        return Masks(mask_indices, channels)

    def apply_masks(self, x: Tensor, masks: Masks) -> Tensor:
        """Replace masked frames by ``mask_emb`` and masked channels by 0. x: (B, T, D)."""
        x = torch.where(_send(masks.time, x.device).unsqueeze(-1), self.mask_emb.to(x.dtype), x)
        if masks.channels is not None:
            x = x.masked_fill(_send(masks.channels, x.device).unsqueeze(1), 0)
        return x

    def remove_pretraining_modules(self) -> None:
        """Drop what only the objective needs: here nothing."""

    @staticmethod
    def _generators(seeds: Optional[Sequence[int]], batch: int) -> List[torch.Generator]:
        if seeds is None:
            seeds = torch.randint(2**62, (batch,)).tolist()
        if len(seeds) != batch:
            raise ValueError(f"seeds must be one for each of the {batch} utterances; got {len(seeds)}")
        return utterance_generators(seeds)

    @staticmethod
    def _move(generators: List[torch.Generator], device: torch.device) -> List[torch.Generator]:
        if device.type != "cuda":
            return generators
        return utterance_generators([generator.initial_seed() for generator in generators], device)


def _send(x: Tensor, device: torch.device) -> Tensor:
    """Copy to the model's device without waiting for the work that it has still to do."""
    return x.to(device, non_blocking=True)


def _mean_square(x: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
    """Compute the mean of x**2 in fp32, over real frames. x: (B, T, C); padding_mask: (B, T), bool, True = padding."""
    squares = x.float().pow(2)
    if padding_mask is None:
        return squares.mean()
    real = ~padding_mask
    return squares.masked_fill(padding_mask.unsqueeze(-1), 0).sum() / (real.sum() * x.shape[-1])
