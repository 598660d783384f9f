"""Register ``wav2vec2_summarymixing``, fairseq's face of :class:`fairseq_summarymixing.modules.wav2vec2.Wav2Vec2`.

A stock ``wav2vec2`` recipe becomes ours by changing ``model._name``. fairseq's criterion ``wav2vec`` and
its fine-tuning model ``wav2vec_ctc`` use the model through the methods here. ``wav2vec_seq2seq`` fails with its
defaults, around stock models, too; with 512 decoder features it trains, but not in fairseq 0.12.2, whose task batches
no ``prev_output_tokens``.
"""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from fairseq.models import BaseFairseqModel, register_model
from torch import Tensor

from ..checkpoints.names import OUR_MODEL
from ..modules.contrastive import diversity_loss
from ..modules.wav2vec2 import ContrastiveOutput, Wav2Vec2
from ._fields import CONFIGS, recipe_fields
from ._speech_encoder import FairseqSpeechEncoder
from ._stock_methods import StockMethods, refuse


@dataclass
class Wav2Vec2SummaryMixingConfig(recipe_fields(CONFIGS)):
    """All of stock ``wav2vec2``'s fields, those of ``modules/config.py`` that it lacks, and ``init_from``."""


@register_model(OUR_MODEL, dataclass=Wav2Vec2SummaryMixingConfig)
class Wav2Vec2SummaryMixingModel(StockMethods, FairseqSpeechEncoder, Wav2Vec2, BaseFairseqModel):
    """A wav2vec 2.0 with the mixer of choice, under fairseq's calls.

    Raises:
        ValueError: a field of the configuration cannot be honoured; the message names it.
    """

    config_class, configs = Wav2Vec2SummaryMixingConfig, CONFIGS

    @property
    def num_negatives(self) -> int:
        return self.objective.num_negatives

    def forward(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        mask: bool = True,
        features_only: bool = False,
        layer: Optional[int] = None,
        mask_indices: Optional[Tensor] = None,
        mask_channel_indices: Optional[Tensor] = None,
        padding_count: Optional[int] = None,
        corpus_key: Optional[str] = None,
        utterance_seeds: Optional[List[int]] = None,
    ) -> Dict[str, Any]:
        """Run a step of pre-training, or with ``features_only`` compute the representations, as stock ``wav2vec2``.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            mask: mask spans of frames and channels; pre-training always does.
            layer: stop after this layer (0 = the first), with ``features_only``.
            mask_indices: (B, T), bool, True = masked, where ``mask``.
            mask_channel_indices, padding_count, corpus_key: of stock, None.
            utterance_seeds: one for each utterance, for masks, distractors and Gumbel noise.

        Raises:
            ValueError: an argument of stock's that has no meaning here is given, or one of pre-training without masks.
        """
        refuse(mask_channel_indices=mask_channel_indices, padding_count=padding_count, corpus_key=corpus_key)
        if features_only:
            return self.features(source, padding_mask, mask, layer, mask_indices, utterance_seeds)
        if not mask:
            raise ValueError("mask=False needs features_only=True: wav2vec2_summarymixing is trained on masked frames")
        self.check_precision(source)
        return self._net_output(super().forward(source, padding_mask, utterance_seeds, mask_indices))

    def _net_output(self, output: ContrastiveOutput) -> Dict[str, Any]:
        net_output = {
            "x": output.logits,
            "padding_mask": output.padding_mask,
            "features_pen": output.features_penalty,
        }
        if output.quantized is not None:
            net_output["prob_perplexity"] = output.quantized.prob_perplexity
            net_output["code_perplexity"] = output.quantized.code_perplexity
            net_output["num_vars"] = self.quantizer.num_vars * self.quantizer.groups
            net_output["temp"] = self.quantizer.temperature
        return net_output

    def get_logits(self, net_output: Dict[str, Any]) -> Tensor:
        """Return the logits (N, 1 + K): one row per masked frame, the true target first."""
        return net_output["x"]

    def get_targets(self, sample: Dict[str, Any], net_output: Dict[str, Any], expand_steps: bool = True) -> Tensor:
        """Return (N,), all 0: the place of the true target."""
        return net_output["x"].new_zeros(len(net_output["x"])).long()

    def get_extra_losses(self, net_output: Dict[str, Any]) -> List[Tensor]:
        """Return the diversity loss, where targets are quantised, and the mean square of the features."""
        losses = [net_output["features_pen"]]
        if "prob_perplexity" in net_output:
            losses.insert(0, diversity_loss(net_output["prob_perplexity"], net_output["num_vars"]))
        return losses
