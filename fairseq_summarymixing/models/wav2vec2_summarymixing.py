"""``wav2vec2_summarymixing``: fairseq's face of :class:`fairseq_summarymixing.modules.wav2vec2.Wav2Vec2`.

A stock ``wav2vec2`` recipe becomes ours by changing ``model._name``. fairseq's criterion ``wav2vec`` and
its fine-tuning models ``wav2vec_ctc`` and ``wav2vec_seq2seq`` use the model through the methods here.
"""

import ast
import logging
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Optional, Tuple

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config
from torch import Tensor

from ..checkpoints.former_lite import refuse_lite_with_combiner
from ..checkpoints.names import STOCK_LAYER_NAMES, rename
from ..errors import UserError, exits_in_one_line
from ..modules.config import MIXERS, EncoderConfig, FrontendConfig, ObjectiveConfig
from ..modules.contrastive import diversity_loss
from ..modules.lean.replace import make_lean
from ..modules.wav2vec2 import ContrastiveOutput, Wav2Vec2
from ._fields import check_idle_fields, check_unread_fields
from ._warm_start import warm_start

logger = logging.getLogger(__name__)


@dataclass
class Wav2Vec2SummaryMixingConfig(Wav2Vec2Config):
    """All of stock ``wav2vec2``'s fields, and what belongs to mixer, layer, front end and positions."""

    mixer: str = field(
        default="summary_mixing",
        metadata={"help": f"what mixes frames: {', '.join(MIXERS)}; "
                  "encoder_attention_heads applies to each, attention_dropout to all but lite, which drops nothing"},
    )  # fmt: skip
    summary_hidden_dim: Optional[int] = field(
        default=None,
        metadata={"help": "width of the SummaryMixing branches; default: encoder_embed_dim, lite's only one"},
    )
    summary_branch_norm: bool = field(
        default=True, metadata={"help": "LayerNorm on the output of both branches of summary_mixing"}
    )
    activation_fn: str = field(default="gelu", metadata={"help": "gelu, relu, swish or tanh, in layers and mixers"})
    encoder_layer: str = field(
        default="transformer",
        metadata={"help": "transformer, or conformer, which has depthwise_conv_kernel_size too"},
    )
    positions: str = field(
        default="conv", metadata={"help": "conv: relative, by a convolution (conv_pos); sinusoidal: absolute"}
    )
    frontend: str = field(
        default="waveform",
        metadata={"help": "waveform: convolutions (conv_feature_layers); log_mel: 80 log-mel bins and mel_conv_layers. "
                  "Both are given waveforms"},
    )  # fmt: skip
    num_mel_bins: int = field(default=80, metadata={"help": "mel filters, with frontend=log_mel"})
    mel_conv_layers: str = field(
        default="[(512, 3, 2), (512, 3, 1)]",
        metadata={"help": "(channels, kernel size, stride) of the convolutions on mel bins, 100 frames a second"},
    )
    init_from: Optional[str] = field(
        default=None,
        metadata={"help": "before training, take every parameter that is the same from this fairseq checkpoint or "
                  "Hugging Face directory; needs the task wav2vec2_summarymixing"},
    )  # fmt: skip


def parse_conv_layers(text: str, name: str = "conv_feature_layers") -> Tuple[Tuple[int, int, int], ...]:
    """Read fairseq's ``conv_feature_layers``, e.g. ``[(512, 10, 5)] + [(512, 3, 2)] * 4``, without ``eval``.

    Raises:
        ValueError: the text is anything but lists of integer triples, joined by + and repeated by *.
    """

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * value(node.right)
        return ast.literal_eval(node)

    try:
        layers = tuple(tuple(int(number) for number in layer) for layer in value(ast.parse(text, mode="eval").body))
        if layers and all(len(layer) == 3 for layer in layers):
            return layers
    except (SyntaxError, TypeError, ValueError):
        pass
    raise ValueError(f"{name} must be a list such as '[(512, 10, 5)] + [(512, 3, 2)] * 4'; got {text!r}")


def _translate(cfg: FairseqDataclass, to: type, **given: Any) -> Any:
    return to(**{f.name: given.get(f.name, getattr(cfg, f.name)) for f in fields(to)})


@register_model("wav2vec2_summarymixing", dataclass=Wav2Vec2SummaryMixingConfig)
class Wav2Vec2SummaryMixingModel(Wav2Vec2, BaseFairseqModel):
    """wav2vec 2.0 with the mixer of choice, under fairseq's calls.

    Raises:
        ValueError: a field of the configuration cannot be honoured; the message names it.
    """

    takes_utterance_seeds = True

    def __init__(self, cfg: Wav2Vec2SummaryMixingConfig):
        check_unread_fields(cfg, Wav2Vec2SummaryMixingConfig)
        frontend = _translate(
            cfg,
            FrontendConfig,
            conv_feature_layers=parse_conv_layers(cfg.conv_feature_layers),
            mel_conv_layers=parse_conv_layers(cfg.mel_conv_layers, "mel_conv_layers"),
        )
        encoder = _translate(cfg, EncoderConfig)
        objective = _translate(cfg, ObjectiveConfig, latent_temp=tuple(cfg.latent_temp))
        check_idle_fields(cfg, Wav2Vec2SummaryMixingConfig)
        super().__init__(frontend, encoder, objective)
        make_lean(self)
        self.cfg = cfg
        self.needs_fp32_source = cfg.frontend == "log_mel"
        self._told_bf16 = False

    @classmethod
    @exits_in_one_line()
    def build_model(cls, cfg: Wav2Vec2SummaryMixingConfig, task=None):
        if cfg.init_from == "":
            raise ValueError("model.init_from is empty: name a checkpoint or a directory, or leave it out")
        if cfg.init_from and not hasattr(task, "starts_warm"):
            raise ValueError(
                f"model.init_from={cfg.init_from} needs task._name=wav2vec2_summarymixing: other tasks do not tell "
                "a model that starts from one that is loaded"
            )
        return cls(cfg)

    @exits_in_one_line()
    def warm_start(self) -> None:
        """Take what ``init_from`` has and this model too. The task calls it, before training alone."""
        logger.info(f"model.init_from={self.cfg.init_from}\n" + warm_start(self, self.cfg.init_from))

    def forward(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor] = None,
        mask: bool = True,
        features_only: bool = False,
        layer: Optional[int] = None,
        mask_indices: Optional[Tensor] = None,
        utterance_seeds: Optional[List[int]] = None,
    ) -> Dict[str, Any]:
        """Pre-training, or with ``features_only`` the representations. Arguments as stock ``wav2vec2``.

        Args:
            source: (B, samples), 16 kHz.
            padding_mask: (B, samples), bool, True = padding.
            mask_indices: (B, T), bool, True = masked; pre-training only.
            utterance_seeds: one for each utterance, for masks, distractors and Gumbel noise.
        """
        if self.needs_fp32_source and source.dtype == torch.bfloat16 and not self._told_bf16:
            self._told_bf16 = True
            logger.warning(
                "this task rounds waveforms to bf16, which changes log-mel features by some percent: use "
                "common.fp16=true (or amp) instead; the task wav2vec2_summarymixing keeps them exact"
            )
        if features_only:
            return self._representations(source, padding_mask, mask, layer, utterance_seeds)
        output = self.contrast(source, padding_mask, utterance_seeds, mask_indices)
        return self._net_output(output)

    def extract_features(
        self, source: Tensor, padding_mask: Optional[Tensor], mask: bool = False, layer: Optional[int] = None
    ) -> Dict[str, Any]:
        """``x`` (B, T, D), ``padding_mask`` (B, T), ``features`` (B, T, C); ``layer_results``: for each layer
        (output, None, output), outputs (T, B, D); and ``hidden_states``: the first layer's input and each
        layer's output, (B, T, D), which MP3S weighs."""
        return self.forward(source, padding_mask, mask=mask, features_only=True, layer=layer)

    def _representations(self, source, padding_mask, mask, layer, seeds) -> Dict[str, Any]:
        result = self.represent(source, padding_mask, mask, seeds, last_layer=layer)
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
        """Drop quantiser and projections; with ``last_layer``, also the layers behind it."""
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
