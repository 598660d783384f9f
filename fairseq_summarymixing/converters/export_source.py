"""Read a fairseq checkpoint for an export."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..checkpoints import Checkpoint
from ..checkpoints.names import (
    CTC_HEAD_NAMES,
    CTC_MODEL,
    ENCODER_PREFIX,
    HF_PRETRAINING_HEADS,
    PRETRAINED_MODELS,
    STOCK_LAYER_NAMES,
    STOCK_MODEL,
    hf_names,
    rename,
    reverse,
)
from ..compat import quiet_fairseq
from ..downstream.recogniser import check_checkpoint, check_dictionary
from ..downstream.restore import restore
from ..errors import UserError
from ..models._hf_config import STOCK_CHOICES
from ..plugin.reading import reading_checkpoint

PATHS = {"data", "w2v_path", "init_from", "tensorboard_logdir", "eval_wer_config", "precompute_mask_config"}
ACTIVATIONS = ("gelu", "relu", "swish", "tanh")


@dataclass
class ExportSource:
    """A fairseq model in evaluation mode, and what an export needs to know of it.

    Attributes:
        checkpoint: that was read.
        recipe: fairseq's fields without paths: of the pre-trained ``model`` and its ``task``; after fine-tuning also of
            ``ctc_model`` and ``ctc_task``.
        model: fairseq's.
        encoder: the pre-trained model: ``model`` itself, or the model inside.
        dictionary: fairseq's, of a CTC model.
        ours: whether it becomes our class; else Hugging Face's own ``Wav2Vec2Model`` is the same.
    """

    checkpoint: Checkpoint
    recipe: dict[str, dict[str, Any]]
    model: nn.Module
    encoder: nn.Module
    dictionary: Any
    ours: bool

    @property
    def symbols(self) -> list[str] | None:
        """Of a CTC model, one for each class."""
        return None if self.dictionary is None else list(self.dictionary.symbols)

    @property
    def fields(self) -> dict[str, Any]:
        """fairseq's fields of the pre-trained model, with defaults for those that the checkpoint does not name."""
        return dict(self.encoder.cfg.items()) if hasattr(self.encoder.cfg, "items") else dict(vars(self.encoder.cfg))

    @property
    def is_ctc(self) -> bool:
        return self.checkpoint.is_ctc

    @property
    def is_stock(self) -> bool:
        return self.checkpoint.encoder_name == STOCK_MODEL

    @property
    def has_quantizer(self) -> bool:
        return getattr(self.encoder, "quantizer", None) is not None

    @property
    def conv_layers(self) -> tuple[tuple[int, int, int], ...]:
        """(channels, kernel size, stride) of the front end's convolutions."""
        from ..models._fields import parse_conv_layers

        name = "mel_conv_layers" if self.fields.get("frontend") == "log_mel" else "conv_feature_layers"
        return parse_conv_layers(self.fields[name], name)

    def hf_state(self) -> dict[str, Tensor]:
        """Return fp32 parameters under Hugging Face's names.

        Raises:
            UserError: lists the parameters that no table knows.
        """
        weights = {name: value.float() for name, value in self.model.state_dict().items()}
        prefix = ENCODER_PREFIX if self.is_ctc else ""
        encoder = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        try:
            head = rename((name for name in weights if not name.startswith(prefix)), CTC_HEAD_NAMES)
            inner = rename(encoder, self._layer_table(), strict=False)
            final = rename(inner.values(), hf_names(self.ours, str(self.fields["extractor_mode"])))
        except ValueError as error:
            raise UserError(f"{self.checkpoint.path} cannot be exported: {error}") from error
        left_out = () if self.has_quantizer else HF_PRETRAINING_HEADS
        named = {final[inner[name]]: value for name, value in encoder.items()}
        named = {name: value.clone() for name, value in named.items() if not name.startswith(left_out)}
        return {**named, **{head[name]: weights[name].clone() for name in head}}

    def _layer_table(self):
        if self.is_stock:
            return STOCK_LAYER_NAMES if self.ours else ()
        return () if self.ours else reverse(STOCK_LAYER_NAMES)


def read_export_source(checkpoint: Checkpoint, data: str | Path | None = None) -> ExportSource:
    """Read what an export needs of a pre-trained or CTC checkpoint, ours or stock ``wav2vec2``'s.

    Args:
        data: folder with the dictionary of a CTC checkpoint that holds none; None = there is none.

    Raises:
        UserError: it is something else, a stock model has parts that have no counterpart, or a CTC model no dictionary.
    """
    name, encoder_name = checkpoint.name, checkpoint.encoder_name
    if encoder_name not in PRETRAINED_MODELS or checkpoint.is_finetuned != checkpoint.is_ctc:
        over = f" over {encoder_name!r}" if checkpoint.is_finetuned else ""
        raise UserError(
            f"{checkpoint.path} is a checkpoint of the model {name!r}{over}; expected "
            f"{' or '.join(PRETRAINED_MODELS)}, or {CTC_MODEL} over one of these, with its w2v_args"
        )
    if checkpoint.is_ctc:
        check_checkpoint(checkpoint)
        check_dictionary(checkpoint, data)
    recipe, restored = _recipe(checkpoint), restore(checkpoint, None if data is None else {"data": str(data)})
    encoder = restored.model.w2v_encoder.w2v_model if checkpoint.is_ctc else restored.model
    dictionary = restored.task.target_dictionary if checkpoint.is_ctc else None
    source = ExportSource(checkpoint, recipe, restored.model, encoder, dictionary, ours=True)
    _check_stock(source)
    source.ours = not _is_wav2vec2(source)
    return source


def _check_stock(source: ExportSource) -> None:
    from ..models._fields import check_unread_fields
    from ..models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig

    path, activation = source.checkpoint.path, str(source.fields["activation_fn"])
    try:
        with reading_checkpoint():
            check_unread_fields(source.encoder.cfg, Wav2Vec2SummaryMixingConfig)
    except ValueError as error:
        raise UserError(f"{path} cannot be exported: {str(error).split(':')[0]}") from error
    if activation not in ACTIVATIONS:
        raise UserError(
            f"{path} cannot be exported: expected an activation_fn that Hugging Face has too, "
            f"{', '.join(ACTIVATIONS)}; found {activation}"
        )


def _is_wav2vec2(source: ExportSource) -> bool:
    """Return whether Hugging Face's own class computes the same."""
    return (
        all(source.fields.get(name, value) == value for name, value in STOCK_CHOICES.items())
        and source.conv_layers[-1][0] != source.fields["encoder_embed_dim"]  # theirs always projects
    )


def _recipe(checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    """Return only fields of model and task: old checkpoints also hold everything else of the command line."""
    with quiet_fairseq():
        from fairseq.models import MODEL_DATACLASS_REGISTRY
        from fairseq.tasks import TASK_DATACLASS_REGISTRY

        from .. import models, tasks  # noqa: F401 (registers our names)

    def known(values: dict[str, Any], registry: dict[str, Any]) -> dict[str, Any]:
        if values.get("_name") not in registry:
            what = "model" if registry is MODEL_DATACLASS_REGISTRY else "task"
            raise UserError(
                f"{checkpoint.path} was trained with the {what} {values.get('_name', 'without a name')}, which fairseq "
                "does not know here: install the package that brings it"
            )
        names = {field.name for field in fields(registry[values["_name"]])} - PATHS | {"_name"}
        return {name: value for name, value in plain(values).items() if name in names}

    model, task = checkpoint.fields, checkpoint.task_fields
    if not checkpoint.is_ctc:
        return {"model": known(model, MODEL_DATACLASS_REGISTRY), "task": known(task, TASK_DATACLASS_REGISTRY)}
    return {
        "model": known(checkpoint.pretrained_fields, MODEL_DATACLASS_REGISTRY),
        "task": known(checkpoint.pretraining_task_fields, TASK_DATACLASS_REGISTRY),
        "ctc_model": known({**model, "w2v_args": None}, MODEL_DATACLASS_REGISTRY),
        "ctc_task": known(task, TASK_DATACLASS_REGISTRY),
    }


def plain(values: Any) -> Any:
    """Return only what JSON holds; enums and other objects become their text."""
    return json.loads(json.dumps(values, default=str))
