"""fairseq's calls on a speech encoder, whichever its objective."""

import logging
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from ..checkpoints.former_lite import refuse_lite_with_combiner
from ..checkpoints.misfit import Misfit
from ..checkpoints.names import STOCK_LAYER_NAMES, rename
from ..modules.compiling import compile_layers
from ..modules.lean.replace import make_lean
from ..plugin.exits import exits_in_one_line
from ..plugin.memory import check_memory_to_build
from ..plugin.reading import reads_checkpoint
from ..protocols import PretrainingTask
from ._fields import check_idle_fields, check_unread_fields, translate
from ._stock_methods import refuse
from ._warm_start import warm_start

logger = logging.getLogger(__name__)


class FairseqSpeechEncoder:
    """A mixin for a fairseq model of an objective: ``class Model(FairseqSpeechEncoder, Objective, BaseFairseqModel)``.

    Such a model adds ``forward`` and what its criterion calls.

    Attributes:
        config_class: the model's fairseq dataclass; it has the fields of ``configs`` (:func:`._fields.recipe_fields`).
        configs: the dataclasses that the objective's class is built of, in the order of its arguments.

    Raises:
        ValueError: a field of the configuration cannot be honoured; the message names it.
    """

    config_class: type
    configs: Tuple[type, ...]
    takes_utterance_seeds = True
    num_negatives: Optional[int] = None

    def __init__(self, cfg: Any):
        check_unread_fields(cfg, self.config_class, self.configs)
        configs = [translate(cfg, config) for config in self.configs]
        check_idle_fields(cfg, self.config_class)
        super().__init__(*configs)
        make_lean(self)
        self.cfg = cfg
        self.needs_fp32_source = cfg.frontend == "log_mel"
        self._warned_of_bf16 = False
        self._is_compiled = False

    @classmethod
    @exits_in_one_line()
    def build_model(cls, cfg: Any, task=None):
        if cfg.init_from == "":
            raise ValueError("model.init_from is empty: name a checkpoint or a directory, or leave it out")
        if cfg.init_from and not (isinstance(task, PretrainingTask) and task.starts_warm):
            raise ValueError(
                f"model.init_from={cfg.init_from} needs task._name=wav2vec2_summarymixing: other tasks do not "
                "distinguish a new model from a loaded model"
            )
        if task is not None and not reads_checkpoint():
            check_memory_to_build(lambda: cls(cfg))
        return cls(cfg)

    def train(self, mode: bool = True):
        """Set the mode, as ``nn.Module`` does, and before training compile, with ``compile_layers``.

        cuDNN's attention is turned off: it builds a kernel for each length, for a second, and batches have many.
        """
        if mode and self.cfg.mixer == "self_attention" and hasattr(torch.backends.cuda, "enable_cudnn_sdp"):
            torch.backends.cuda.enable_cudnn_sdp(False)
        if mode and self.cfg.compile_layers and not self._is_compiled:
            compile_layers(self.encoder)
            self._is_compiled = True
        return super().train(mode)

    @exits_in_one_line()
    def warm_start(self) -> None:
        """Copy the parameters that this model and ``init_from``, where it is set, share; the task calls it before
        training."""
        if self.cfg.init_from:
            logger.info(f"model.init_from={self.cfg.init_from}\n" + warm_start(self, self.cfg.init_from))

    def extract_features(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor],
        mask: bool = False,
        layer: Optional[int] = None,
        corpus_key: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Compute the representations of waveforms, under stock's keys: ``x`` (B, T, D), ``padding_mask`` (B, T),
        ``features`` (B, T, C); ``layer_results``: for each layer (output, None, output), outputs (T, B, D); and
        ``hidden_states``: the first layer's input and each layer's output, (B, T, D), which MP3S weighs."""
        refuse(corpus_key=corpus_key)
        return self.features(source, padding_mask, mask, layer)

    def features(
        self,
        source: Tensor,
        padding_mask: Optional[Tensor],
        mask: bool,
        layer: Optional[int],
        mask_indices: Optional[Tensor] = None,
        utterance_seeds: Optional[List[int]] = None,
    ) -> Dict[str, Any]:
        """Compute :meth:`extract_features` with given masks or seeds."""
        self.check_precision(source)
        result = self.encode(source, padding_mask, mask, utterance_seeds, mask_indices, last_layer=layer)
        # (B, T, D) -> (T, B, D)
        outputs = [state.transpose(0, 1) for state in result.hidden_states[1:]]
        return {
            "x": result.x,
            "padding_mask": result.padding_mask,
            "features": result.features,
            "layer_results": [(output, None, output) for output in outputs],
            "hidden_states": result.hidden_states,
        }

    def check_precision(self, source: Tensor) -> None:
        """Refuse integers, and warn, once, of waveforms that were rounded before they came here."""
        if not source.is_floating_point():
            raise ValueError(
                f"source must be waveforms in floats; got {source.dtype}: fairseq_summarymixing.tasks.unpack(batch) "
                "makes them of the batches that wav2vec2_summarymixing loads, as its train_step does"
            )
        if self.needs_fp32_source and source.dtype == torch.bfloat16 and not self._warned_of_bf16:
            self._warned_of_bf16 = True
            logger.warning(
                "this task rounds waveforms to bf16, which changes log-mel features by some percent: use "
                "common.fp16=true (or amp) instead, or our tasks, which keep them exact"
            )

    def remove_pretraining_modules(self, last_layer: Optional[int] = None) -> None:
        """Drop what only the objective needs; with ``last_layer``, also the layers after it."""
        super().remove_pretraining_modules()
        if last_layer is not None:
            self.encoder.layers = self.encoder.layers[: last_layer + 1]

    def upgrade_state_dict_named(self, state_dict: Dict[str, Tensor], name: str) -> None:
        """Accept stock ``wav2vec2`` weights: rename the parts that are the same.

        Raises:
            Misfit: the weights are of self-attention and the model is not, or of a SummaryMixing-lite that has a
                combiner.
        """
        super().upgrade_state_dict_named(state_dict, name)
        prefix = f"{name}." if name else ""
        own = {key[len(prefix) :]: key for key in state_dict if key.startswith(prefix)}
        ours = rename(own, STOCK_LAYER_NAMES, strict=False)
        self._refuse_another_mixer(ours)
        for key, whole in own.items():
            state_dict[prefix + ours[key]] = state_dict.pop(whole)

    def _refuse_another_mixer(self, names: Dict[str, str]) -> None:
        """Refuse the weights of another mixer; names: ours, by those of the checkpoint."""
        if self.cfg.mixer != "self_attention" and any(
            ours != name and ".mixer." in ours for name, ours in names.items()
        ):
            raise Misfit(
                f"the checkpoint holds self-attention, the model has mixer={self.cfg.mixer}: "
                "load it with model.mixer=self_attention, or start from it with model.init_from"
            )
        if self.cfg.mixer == "summary_mixing_lite":
            try:
                refuse_lite_with_combiner(names)
            except ValueError as error:
                raise Misfit(str(error)) from error
