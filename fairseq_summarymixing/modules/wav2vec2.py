"""wav2vec 2.0 around any mixer: front end, context encoder and contrastive pre-training.

Baevski, Zhou, Mohamed, Auli, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech
Representations", NeurIPS 2020.
"""

import contextlib
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .config import QUANTIZER, EncoderConfig, FrontendConfig, ObjectiveConfig, build_encoder, build_frontend
from .contrastive import contrastive_logits, sample_distractors
from .log_mel import padding_beyond
from .masking import sample_channel_mask, sample_time_mask, utterance_generators
from .quantizer import QuantizerOutput


class Features(NamedTuple):
    """What the encoder hears. T frames after the front end."""

    projected: Tensor
    """(B, T, D): normalised features in the encoder's width."""
    normalised: Tensor
    """(B, T, C): normalised features, of which targets are made."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding; None where the waveforms came without."""
    penalty: Tensor
    """Scalar: mean square of the features before normalisation, over real frames."""


class Masks(NamedTuple):
    """What is masked, on the CPU."""

    time: Tensor
    """(B, T), bool, True = masked."""
    channels: Optional[Tensor]
    """(B, D), bool, True = the channel is zeroed."""


class Representations(NamedTuple):
    """What the encoder says."""

    x: Tensor
    """(B, T, D)."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding."""
    hidden_states: List[Tensor]
    """The first layer's input and each layer's output, (B, T, D) each."""
    features: Tensor
    """(B, T, C): normalised features of the front end."""


class ContrastiveOutput(NamedTuple):
    """One pre-training step: N masked frames, K distractors."""

    logits: Tensor
    """(N, 1 + K), fp32, the true target first; rows in the order of utterances, then of frames."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding."""
    features_penalty: Tensor
    quantized: Optional[QuantizerOutput]
    """None without ``quantize_targets``."""


class _ScaleGradient(torch.autograd.Function):
    """Identity forward; the gradient times a factor backward."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


class Wav2Vec2(nn.Module):
    """Parts that are the same as in fairseq's ``wav2vec2`` keep its parameter names.

    Raises:
        ValueError: from the parts, where the three configurations do not fit together.
    """

    def __init__(self, frontend: FrontendConfig, encoder: EncoderConfig, objective: ObjectiveConfig):
        super().__init__()
        self.objective = objective
        self.checkpoint_activations = encoder.checkpoint_activations
        model_dim = encoder.encoder_embed_dim
        final_dim = objective.final_dim or model_dim

        self.feature_extractor = build_frontend(frontend)
        feature_dim = self.feature_extractor.output_dim
        self.layer_norm = nn.LayerNorm(feature_dim)
        self.post_extract_proj = nn.Linear(feature_dim, model_dim) if feature_dim != model_dim else None
        self.dropout_input = nn.Dropout(objective.dropout_input)
        self.dropout_features = nn.Dropout(objective.dropout_features)
        self.mask_emb = nn.Parameter(torch.rand(model_dim))
        self.encoder = build_encoder(encoder)
        self.quantizer, target_dim = None, feature_dim
        if objective.quantize_targets:
            target_dim = objective.latent_dim or final_dim
            self.quantizer = QUANTIZER(objective, dim=feature_dim, vq_dim=target_dim)
        self.project_q = nn.Linear(target_dim, final_dim)
        self.final_proj = nn.Linear(model_dim, final_dim)

    def remove_pretraining_modules(self) -> None:
        """Drop what only pre-training needs. The names stay as None, so that a full checkpoint still loads."""
        self.quantizer = self.project_q = self.final_proj = None

    def represent(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        mask: bool = False,
        seeds: Optional[Sequence[int]] = None,
        last_layer: Optional[int] = None,
    ) -> Representations:
        """Context representations of waveforms.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            mask: mask spans of frames and channels, as fine-tuning does.
            seeds: one for each utterance, for its masks; None = drawn from PyTorch's CPU generator.
            last_layer: stop behind this layer (0 = the first).
        """
        masks = self.sample_masks(source, padding_mask, self._generators(seeds, len(source))) if mask else None
        features = self.extract_normalised(source, padding_mask)
        x = features.projected if masks is None else self.apply_masks(features.projected, masks)
        x, hidden_states = self.encoder(x, features.padding_mask, last_layer, return_hidden_states=True)
        return Representations(x, features.padding_mask, hidden_states, features.normalised)

    def contrast(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        seeds: Optional[Sequence[int]] = None,
        mask_indices: Optional[Tensor] = None,
        distractors: Optional[Tensor] = None,
    ) -> ContrastiveOutput:
        """One pre-training step: mask, encode, and compare with targets and distractors.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            seeds: one for each utterance, for masks, distractors and Gumbel noise; None = drawn from
                PyTorch's CPU generator.
            mask_indices: (B, T), bool, True = masked; None = sampled.
            distractors: (N, K), as :func:`~.contrastive.sample_distractors` gives; None = sampled.
        """
        generators = self._generators(seeds, len(source))
        masks = self.sample_masks(source, padding_mask, generators, mask_indices)
        counts = masks.time.sum(dim=1).tolist()
        masked = masks.time.flatten().nonzero().squeeze(1).to(source.device)
        samplers = self._samplers(generators, source.device)
        features = self.extract_normalised(source, padding_mask)
        x = self.apply_masks(features.projected, masks)
        if distractors is None:
            distractors = sample_distractors(counts, self.objective.num_negatives, samplers)
        context = self.final_proj(_rows(self.encoder(x, features.padding_mask).x, masked))
        targets, target_ids, quantized = self.make_targets(_rows(features.normalised, masked), counts, samplers)
        logits = contrastive_logits(
            context, targets, target_ids, distractors.to(context.device), counts, self.objective.logit_temp
        )
        return ContrastiveOutput(logits, features.padding_mask, features.penalty, quantized)

    def extract_normalised(self, source: Tensor, padding_mask: Optional[Tensor]) -> Features:
        """Front end, LayerNorm and projection. Shapes as in :class:`Features`."""
        lengths = None if padding_mask is None else (~padding_mask).sum(dim=1)
        trained = self.objective.feature_grad_mult > 0
        with contextlib.nullcontext() if trained else torch.no_grad():
            if self.checkpoint_activations and self.training:
                raw, lengths = checkpoint(self.feature_extractor, source, lengths, use_reentrant=False)
            else:
                raw, lengths = self.feature_extractor(source, lengths)
        if trained and self.objective.feature_grad_mult != 1:
            raw = _ScaleGradient.apply(raw, self.objective.feature_grad_mult)
        frame_mask = padding_beyond(lengths, raw.shape[1])
        normalised = self.layer_norm(raw)
        projected = normalised if self.post_extract_proj is None else self.post_extract_proj(normalised)
        return Features(
            self.dropout_input(projected), self.dropout_features(normalised), frame_mask, _mean_square(raw, frame_mask)
        )

    def sample_masks(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor],
        generators: Sequence[torch.Generator],
        mask_indices: Optional[Tensor] = None,
    ) -> Masks:
        """Which frames and channels are masked, on the CPU.

        The lengths are the one thing that a step asks the device for, before there is work to wait for.
        """
        config = self.objective
        samples = torch.full((len(source),), source.shape[1])
        frames = int(self.feature_extractor.output_lengths(samples)[0])
        if mask_indices is None and config.mask_prob > 0:
            real = samples if padding_mask is None else (~padding_mask).sum(dim=1).cpu()
            mask_indices = sample_time_mask(
                self.feature_extractor.output_lengths(real).tolist(), frames, config.mask_prob, config.mask_length,
                generators, config.require_same_masks, config.mask_dropout,
            )  # fmt: skip
        elif mask_indices is None:
            mask_indices = torch.zeros(len(source), frames, dtype=torch.bool)
        channels = None
        if config.mask_channel_prob > 0:
            channels = sample_channel_mask(
                len(self.mask_emb), config.mask_channel_prob, config.mask_channel_length, generators
            )
        return Masks(mask_indices, channels)

    def apply_masks(self, x: Tensor, masks: Masks) -> Tensor:
        """Masked frames become ``mask_emb``, masked channels 0. x: (B, T, D)."""
        x = torch.where(masks.time.to(x.device).unsqueeze(-1), self.mask_emb.to(x.dtype), x)
        if masks.channels is not None:
            x = x.masked_fill(masks.channels.to(x.device).unsqueeze(1), 0)
        return x

    def make_targets(
        self, features: Tensor, counts: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Tuple[Tensor, Tensor, Optional[QuantizerOutput]]:
        """features: (N, C) at masked frames. Returns targets (N, final_dim), ids (N,) that are equal where
        two targets are, and what the quantiser said."""
        if self.quantizer is None:
            ids = torch.unique(features.detach(), dim=0, return_inverse=True)[1]
            return self.project_q(features), ids, None
        noise = None
        if self.training:
            noise = torch.cat([self.quantizer.gumbel_noise(n, g) for n, g in zip(counts, generators)])
            noise = noise.to(features.device)
        quantized = self.quantizer(features, noise)
        ids = torch.zeros_like(quantized.codes[:, 0])
        for group in quantized.codes.unbind(1):
            ids = ids * self.quantizer.num_vars + group
        return self.project_q(quantized.x), ids, quantized

    @staticmethod
    def _generators(seeds: Optional[Sequence[int]], batch: int) -> List[torch.Generator]:
        if seeds is None:
            seeds = torch.randint(2**62, (batch,)).tolist()
        if len(seeds) != batch:
            raise ValueError(f"seeds must be one for each of the {batch} utterances; got {len(seeds)}")
        return utterance_generators(seeds)

    @staticmethod
    def _samplers(generators: List[torch.Generator], device: torch.device) -> List[torch.Generator]:
        """What is large is drawn where it is used: distractors and Gumbel noise."""
        if device.type != "cuda":
            return generators
        return utterance_generators([generator.initial_seed() for generator in generators], device)


def _rows(x: Tensor, indices: Tensor) -> Tensor:
    """(B, T, C) to the (N, C) of these places among B x T."""
    return x.flatten(0, 1).index_select(0, indices)


def _mean_square(x: Tensor, padding_mask: Optional[Tensor]) -> Tensor:
    """Mean of x**2 in fp32, over real frames. x: (B, T, C); padding_mask: (B, T), True = padding."""
    squares = x.float().pow(2)
    if padding_mask is None:
        return squares.mean()
    real = ~padding_mask
    return squares.masked_fill(padding_mask.unsqueeze(-1), 0).sum() / (real.sum() * x.shape[-1])
