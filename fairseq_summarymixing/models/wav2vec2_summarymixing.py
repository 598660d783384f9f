"""``wav2vec2_summarymixing``: fairseq's face of :class:`fairseq_summarymixing.modules.wav2vec2.Wav2Vec2`.

A stock ``wav2vec2`` recipe becomes ours by changing ``model._name``. fairseq's criterion ``wav2vec`` and
its fine-tuning models ``wav2vec_ctc`` and ``wav2vec_seq2seq`` use the model through the methods here.
"""

import logging
from dataclasses import dataclass, field, make_dataclass
from typing import Any, Dict, List, Optional

import torch
from fairseq.models import BaseFairseqModel, register_model
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config
from torch import Tensor

from ..checkpoints.former_lite import refuse_lite_with_combiner
from ..checkpoints.names import STOCK_LAYER_NAMES, rename
from ..errors import UserError, exits_in_one_line
from ..modules.contrastive import diversity_loss
from ..modules.lean.replace import make_lean
from ..modules.speech_encoder import Representations
from ..modules.wav2vec2 import ContrastiveOutput, Wav2Vec2
from ..protocols import PretrainingTask
from ._fields import CONFIGS, check_idle_fields, check_unread_fields, own_fields, translate
from ._stock_methods import StockMethods, refuse
from ._warm_start import warm_start

logger = logging.getLogger(__name__)


@dataclass
class Wav2Vec2SummaryMixingConfig(make_dataclass("OwnFields", own_fields(), bases=(Wav2Vec2Config,))):
    """All of stock ``wav2vec2``'s fields, those of ``modules/config.py`` that it lacks, and these."""

    init_from: Optional[str] = field(
        default=None,
        metadata={"help": "before training, take every parameter that is the same from this fairseq checkpoint or "
                  "Hugging Face directory; needs the task wav2vec2_summarymixing"},
    )  # fmt: skip


@register_model("wav2vec2_summarymixing", dataclass=Wav2Vec2SummaryMixingConfig)
class Wav2Vec2SummaryMixingModel(StockMethods, Wav2Vec2, BaseFairseqModel):
    """wav2vec 2.0 with the mixer of choice, under fairseq's calls.

    Raises:
        ValueError: a field of the configuration cannot be honoured; the message names it.
    """

    takes_utterance_seeds = True

    def __init__(self, cfg: Wav2Vec2SummaryMixingConfig):
        check_unread_fields(cfg, Wav2Vec2SummaryMixingConfig)
        configs = [translate(cfg, config) for config in CONFIGS]
        check_idle_fields(cfg, Wav2Vec2SummaryMixingConfig)
        super().__init__(*configs)
        make_lean(self)
        self.cfg = cfg
        self.needs_fp32_source = cfg.frontend == "log_mel"
        self._told_bf16 = False

    @classmethod
    @exits_in_one_line()
    def build_model(cls, cfg: Wav2Vec2SummaryMixingConfig, task=None):
        if cfg.init_from == "":
            raise ValueError("model.init_from is empty: name a checkpoint or a directory, or leave it out")
        if cfg.init_from and not isinstance(task, PretrainingTask):
            raise ValueError(
                f"model.init_from={cfg.init_from} needs task._name=wav2vec2_summarymixing: other tasks do not tell "
                "a model that starts from one that is loaded"
            )
        return cls(cfg)

    @property
    def num_negatives(self) -> int:
        return self.objective.num_negatives

    @exits_in_one_line()
    def warm_start(self) -> None:
        """Take what ``init_from``, where it is set, has and this model too. The task calls it before training."""
        if self.cfg.init_from:
            logger.info(f"model.init_from={self.cfg.init_from}\n" + warm_start(self, self.cfg.init_from))

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
        if self.needs_fp32_source and source.dtype == torch.bfloat16 and not self._told_bf16:
            self._told_bf16 = True
            logger.warning(
                "this task rounds waveforms to bf16, which changes log-mel features by some percent: use "
                "common.fp16=true (or amp) instead; the task wav2vec2_summarymixing keeps them exact"
            )
        if features_only:
            result = self.encode(source, padding_mask, mask, utterance_seeds, mask_indices, last_layer=layer)
            return self._features(result)
        if not mask:
            raise ValueError("mask=False needs features_only=True: wav2vec2_summarymixing is trained on masked frames")
        return self._net_output(super().forward(source, padding_mask, utterance_seeds, mask_indices))

    def extract_features(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor],
        mask: bool = False,
        layer: Optional[int] = None,
        corpus_key: Optional[str] = None,
    ) -> Dict[str, Any]:
        """``x`` (B, T, D), ``padding_mask`` (B, T), ``features`` (B, T, C); ``layer_results``: for each layer
        (output, None, output), outputs (T, B, D); and ``hidden_states``: the first layer's input and each
        layer's output, (B, T, D), which MP3S weighs."""
        return self.forward(source, padding_mask, mask=mask, features_only=True, layer=layer, corpus_key=corpus_key)

    @staticmethod
    def _features(result: Representations) -> Dict[str, Any]:
        # (B, T, D) -> (T, B, D)
        outputs = [state.transpose(0, 1) for state in result.hidden_states[1:]]
        return {
            "x": result.x,
            "padding_mask": result.padding_mask,
            "features": result.features,
            "layer_results": [(output, None, output) for output in outputs],
            "hidden_states": result.hidden_states,
        }

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
        """(N, 1 + K): one row per masked frame, the true target first."""
        return net_output["x"]

    def get_targets(self, sample: Dict[str, Any], net_output: Dict[str, Any], expand_steps: bool = True) -> Tensor:
        """(N,), all 0: the place of the true target."""
        return net_output["x"].new_zeros(len(net_output["x"])).long()

    def get_extra_losses(self, net_output: Dict[str, Any]) -> List[Tensor]:
        """The diversity loss, where targets are quantised, and the mean square of the features."""
        losses = [net_output["features_pen"]]
        if "prob_perplexity" in net_output:
            losses.insert(0, diversity_loss(net_output["prob_perplexity"], net_output["num_vars"]))
        return losses

    def remove_pretraining_modules(self, last_layer: Optional[int] = None) -> None:
        """Drop quantiser and projections; with ``last_layer``, also the layers after it."""
        super().remove_pretraining_modules()
        if last_layer is not None:
            self.encoder.layers = self.encoder.layers[: last_layer + 1]

    def upgrade_state_dict_named(self, state_dict: Dict[str, Tensor], name: str) -> None:
        """Accept stock ``wav2vec2`` weights: rename the parts that are the same.

        Raises:
            ValueError: the weights are of self-attention and the model is not, or of a SummaryMixing-lite that has a
                combiner.
        """
        super().upgrade_state_dict_named(state_dict, name)
        prefix = f"{name}." if name else ""
        own = {key[len(prefix) :]: key for key in state_dict if key.startswith(prefix)}
        ours = rename(own, STOCK_LAYER_NAMES, strict=False)
        self._refuse_another_mixer(ours)
        for key, whole in own.items():
            state_dict[prefix + ours[key]] = state_dict.pop(whole)

    @exits_in_one_line()
    def _refuse_another_mixer(self, names: Dict[str, str]) -> None:
        """names: ours, by those of the checkpoint."""
        if self.cfg.mixer != "self_attention" and any(
            ours != name and ".mixer." in ours for name, ours in names.items()
        ):
            raise ValueError(
                f"the checkpoint holds self-attention, the model has mixer={self.cfg.mixer}: "
                "load it with model.mixer=self_attention, or start from it with model.init_from"
            )
        if self.cfg.mixer == "summary_mixing_lite":
            try:
                refuse_lite_with_combiner(names)
            except ValueError as error:
                raise UserError(f"the checkpoint cannot be loaded: {error}") from error
