"""wav2vec 2.0: contrastive pre-training of a speech encoder.

Baevski, Zhou, Mohamed, Auli, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech
Representations", NeurIPS 2020.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from .build import Part
from .config import EncoderConfig, FrontendConfig, MaskingConfig, ObjectiveConfig
from .contrastive import contrastive_logits, sample_distractors
from .quantizer import GumbelVectorQuantizer, QuantizerOutput
from .speech_encoder import SpeechEncoder

QUANTIZER = Part(
    GumbelVectorQuantizer,
    num_vars="latent_vars",
    groups="latent_groups",
    vq_dim="latent_dim",
    temperature="latent_temp",
)


class ContrastiveOutput(NamedTuple):
    """One pre-training step: N masked frames, K distractors."""

    logits: Tensor
    """(N, 1 + K), fp32, the true target first; rows in the order of utterances, then of frames."""
    padding_mask: Optional[Tensor]
    """(B, T), bool, True = padding."""
    features_penalty: Tensor
    """Scalar: mean square of the front end's features."""
    quantized: Optional[QuantizerOutput]
    """None without ``quantize_targets``."""


class Wav2Vec2(SpeechEncoder):
    """A speech encoder with quantiser and projections; calling it gives one step's :class:`ContrastiveOutput`.

    Parts that are the same as in fairseq's ``wav2vec2`` keep its parameter names.

    Raises:
        ValueError: from the parts, where the configurations do not fit together.
    """

    def __init__(
        self, frontend: FrontendConfig, encoder: EncoderConfig, masking: MaskingConfig, objective: ObjectiveConfig
    ):
        super().__init__(frontend, encoder, masking)
        self.objective = objective
        feature_dim, model_dim = self.feature_extractor.output_dim, encoder.encoder_embed_dim
        final_dim = objective.final_dim or model_dim
        self.quantizer, target_dim = None, feature_dim
        if objective.quantize_targets:
            target_dim = objective.latent_dim or final_dim
            self.quantizer = QUANTIZER(objective, dim=feature_dim, vq_dim=target_dim)
        self.project_q = nn.Linear(target_dim, final_dim)
        self.final_proj = nn.Linear(model_dim, final_dim)

    def forward(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        seeds: Optional[Sequence[int]] = None,
        mask_indices: Optional[Tensor] = None,
        distractors: Optional[Tensor] = None,
    ) -> ContrastiveOutput:
        """Run one pre-training step: mask, encode, and compare with targets and distractors.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            seeds: one for each utterance, for masks, distractors and Gumbel noise; None = drawn from
                PyTorch's CPU generator.
            mask_indices: (B, T), bool, True = masked; None = sampled.
            distractors: (N, K), as :func:`~.contrastive.sample_distractors` gives; None = sampled.

        Raises:
            ValueError: the pre-training modules were removed.
        """
        if self.final_proj is None:
            raise ValueError("a pre-training step needs the pre-training modules, which were removed; call encode")
        masked = self.encode_masked(source, padding_mask, seeds, mask_indices)
        if distractors is None:
            distractors = sample_distractors(masked.counts, self.objective.num_negatives, masked.generators)
        context = self.final_proj(masked.context)
        targets, target_ids, quantized = self.make_targets(masked.features, masked.counts, masked.generators)
        logits = contrastive_logits(
            context, targets, target_ids, distractors.to(context.device), masked.counts, self.objective.logit_temp
        )
        return ContrastiveOutput(logits, masked.padding_mask, masked.features_penalty, quantized)

    def make_targets(
        self, features: Tensor, counts: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Tuple[Tensor, Tensor, Optional[QuantizerOutput]]:
        """Make the targets of masked frames, features (N, C).

        Returns:
            Targets (N, final_dim), ids (N,) that are equal where two targets are, and the quantiser's output.
        """
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

    def quantize(self, source: Tensor, padding_mask: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
        """Quantise every frame of waveforms (B, samples).

        Returns:
            The chosen codebook entries (B, T, latent_dim), and their indices in each of G groups (B, T, G). In training
            mode the choice is as random as it is in training.

        Raises:
            ValueError: the model has no quantiser.
        """
        if self.quantizer is None:
            raise ValueError("quantize needs a quantiser: quantize_targets, and no removal of pre-training modules")
        features = self.layer_norm(self._extract(source, padding_mask)[0])
        batch, frames, _ = features.shape
        noise = self.quantizer.gumbel_noise(batch * frames).to(features.device) if self.training else None
        quantized = self.quantizer(features.flatten(0, 1), noise)
        return quantized.x.unflatten(0, (batch, frames)), quantized.codes.unflatten(0, (batch, frames))

    def remove_pretraining_modules(self) -> None:
        """Drop what only pre-training needs. The names stay as None, so that a full checkpoint still loads."""
        self.quantizer = self.project_q = self.final_proj = None
