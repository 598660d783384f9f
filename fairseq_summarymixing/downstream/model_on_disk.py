"""Read a pre-trained or fine-tuned model of either world: a fairseq checkpoint, or a Hugging Face directory."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from ..checkpoints import Checkpoint
from ..checkpoints.hf_directory import is_directory, read_config, read_preprocessor, read_weights, split_weights
from ..checkpoints.names import HF_OUR_MODEL, OUR_MODEL, STOCK_MODEL
from ..compat import quiet_fairseq
from ..errors import UserError


def read_model(path: str | Path) -> Checkpoint:
    """Read a fairseq checkpoint, or a Hugging Face directory as the checkpoint of its encoder, without a head.

    Raises:
        UserError: it is neither, or damaged; names the file and what is wrong with it.
    """
    if not is_directory(path):
        return Checkpoint.read(path)
    config = read_config(path)
    try:
        weights, _ = split_weights(read_weights(path), config)
        model = _fields(config)
    except UserError:
        raise
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as a wav2vec 2.0: {error}") from error
    # transformers leaves it out where a configuration masks nothing, and an encoder in evaluation mode never reads it
    weights.setdefault("mask_emb", torch.zeros(model["encoder_embed_dim"]))
    task = {"normalize": bool(read_preprocessor(path).get("do_normalize", True))}
    return Checkpoint(Path(path), {"cfg": {"model": model, "task": task}, "model": weights})


def _fields(config: dict[str, Any]) -> dict[str, Any]:
    """Return the model's fields; of a directory of ``export hf``, those that it was trained with."""
    with quiet_fairseq():
        from ..models._hf_config import from_hf
        from ..models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig

    trained_with = (config.get("fairseq") or {}).get("model")
    if trained_with:
        return dict(trained_with)
    ours = config["model_type"] == HF_OUR_MODEL
    known = {field.name for field in fields(Wav2Vec2SummaryMixingConfig)}
    found = {name: value for name, value in from_hf(config, ours).items() if name in known}
    return {**found, "_name": OUR_MODEL if ours else STOCK_MODEL}
