"""Load the encoder of a checkpoint, ours or stock ``wav2vec2``'s, for inference."""

from __future__ import annotations

import importlib
import logging
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from ..checkpoints import Checkpoint
from ..checkpoints.misfit import Misfit, misfit
from ..checkpoints.names import PRETRAINED_MODELS, STOCK_MODEL
from ..compat import quiet_fairseq
from ..errors import UserError, one_line
from ..plugin.reading import reading_checkpoint
from .encoder import RecordingEncoder
from .long_form_options import CHUNK_SECONDS

logger = logging.getLogger(__name__)


def load_encoder(
    checkpoint: Checkpoint,
    device: torch.device,
    chunk_seconds: float = CHUNK_SECONDS,
    window_seconds: float | None = None,
    dtype: str = "fp32",
) -> RecordingEncoder:
    """Build the encoder of a pre-trained or fine-tuned checkpoint, ours or stock ``wav2vec2``'s.

    Raises:
        UserError: it is of another model, or its parameters do not fit its configuration.
    """
    model = _build(checkpoint)
    model.remove_pretraining_modules()
    _load_weights(model, checkpoint, checkpoint.encoder_weights)
    return RecordingEncoder(model.to(device).eval(), checkpoint.normalize, chunk_seconds, window_seconds, dtype)


def load_quantising_model(checkpoint: Checkpoint, device: torch.device) -> Any:
    """Build the model of a checkpoint that was pre-trained with a quantiser, ours or stock ``wav2vec2``'s.

    Raises:
        UserError: it is of another model, fine-tuned or without a quantiser, or its parameters do not fit its
            configuration.
    """
    if checkpoint.is_finetuned:
        raise UserError(f"{checkpoint.path} is fine-tuned and holds no quantiser: name the pre-trained checkpoint")
    model = _build(checkpoint)
    if model.quantizer is None:
        raise UserError(f"{checkpoint.path} was pre-trained without a quantiser: codes need model.quantize_targets")
    _load_weights(model, checkpoint, checkpoint.pretrained_weights)
    return model.to(device).eval()


def _load_weights(model: Any, checkpoint: Checkpoint, weights: dict[str, Tensor]) -> None:
    try:
        model.upgrade_state_dict_named(weights, "")
        model.load_state_dict(weights, strict=True)
    except Misfit as error:
        raise UserError(f"{checkpoint.path}: {error}") from error
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{checkpoint.path}: parameters and configuration do not fit: {misfit(error)}") from error


def _build(checkpoint: Checkpoint) -> Any:
    with quiet_fairseq():
        ours = importlib.import_module("fairseq_summarymixing.models.wav2vec2_summarymixing")
    path, name = checkpoint.path, checkpoint.encoder_name
    if name not in PRETRAINED_MODELS:
        raise UserError(
            f"{path} is a checkpoint of the model {name!r}; expected wav2vec2_summarymixing or wav2vec2, pre-trained "
            "or fine-tuned"
        )
    known = {field.name for field in fields(ours.Wav2Vec2SummaryMixingConfig)}
    values = {key: value for key, value in checkpoint.encoder_fields.items() if key in known}
    unknown = sorted(checkpoint.encoder_fields.keys() - known)
    if unknown and "arch" not in checkpoint.encoder_fields:  # of old files, which hold all options of a training
        logger.warning(f"{path}: unknown fields of the model are left unread: {', '.join(unknown)}")
    if name == STOCK_MODEL:
        values["mixer"] = "self_attention"
        values["activation_fn"] = str(values.get("activation_fn", "gelu"))
    try:
        with reading_checkpoint():
            model = ours.Wav2Vec2SummaryMixingModel(ours.Wav2Vec2SummaryMixingConfig(**values))
    except Exception as error:  # of any kind, by the values that the configuration holds
        raise UserError(f"{path}: no model can be built of its configuration: {one_line(error)}") from error
    return model
