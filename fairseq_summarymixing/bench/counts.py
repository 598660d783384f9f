"""Count what a training step costs, the same on every machine, and compare it with earlier counts."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import UserError, counted
from ..files import atomic_write
from ..modules.config import EncoderConfig, FrontendConfig, MaskingConfig, ObjectiveConfig
from ..modules.lean.activation_memory import count_activation_bytes
from ..tables import aligned
from .candidates import SHAPES, Shape, build
from .flops import flop_counter

FILE = Path(__file__).with_name("counts.json")
MIXERS = ("summary_mixing", "self_attention")
SECONDS = (10, 30)
LAYERS = 2  # what layers cost beyond the first is the same for each
BATCH = 2
WORSE = 1.01

Counts = dict[str, dict[str, int]]

_PAPER = SHAPES["155m"]
_NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}


def _tiny(masking: MaskingConfig, **encoder: int) -> Shape:
    """Return the sizes of a log-mel recipe of quickstart or study."""
    return Shape(
        FrontendConfig(frontend="log_mel", mel_conv_layers=((128, 3, 2), (128, 3, 1))),
        dataclasses.replace(_PAPER.encoder, encoder_attention_heads=4, **encoder, **_NO_DROPOUT),
        masking,
        ObjectiveConfig(quantize_targets=True, final_dim=64, latent_vars=32, latent_temp=(2, 0.5, 0.995)),
    )


RECIPES = {
    **SHAPES,
    "small": Shape(
        FrontendConfig(frontend="log_mel", mel_conv_layers=((256, 3, 2), (256, 3, 1))),
        dataclasses.replace(_PAPER.encoder, encoder_embed_dim=256, encoder_ffn_embed_dim=1536),
        _PAPER.masking,
        dataclasses.replace(_PAPER.objective, latent_temp=(2, 0.25, 0.99998)),
    ),
    "large": Shape(
        FrontendConfig(extractor_mode="layer_norm", conv_bias=True),
        EncoderConfig(
            layer_norm_first=True,
            encoder_layers=24,
            encoder_embed_dim=1024,
            encoder_ffn_embed_dim=4096,
            encoder_attention_heads=16,
            **_NO_DROPOUT,
        ),
        MaskingConfig(),
        ObjectiveConfig(quantize_targets=True, final_dim=768, latent_temp=(2, 0.1, 0.999995)),
    ),
    "quickstart": _tiny(
        MaskingConfig(),
        encoder_layers=4,
        encoder_embed_dim=128,
        encoder_ffn_embed_dim=512,
        depthwise_conv_kernel_size=15,
    ),
    "read_english": _tiny(
        MaskingConfig(require_same_masks=False),
        encoder_layers=6,
        encoder_embed_dim=192,
        encoder_ffn_embed_dim=768,
    ),
}
"""The sizes of every pre-training recipe of our model and of the log-mel ones of quickstart and study; a test compares
every field. Stock ``wav2vec2`` asks for values, which the meta device lacks; what it costs is fairseq's to change."""


class _Calls(TorchDispatchMode):
    """A counter of the operations that compute something, as a GPU would launch kernels for them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += not function.is_view
        return function(*args, **(kwargs or {}))


def count() -> Counts:
    """Count the operations, the bytes stored for the backward pass and the calls of torch's operators of one step.

    Without values, on the meta device, of :data:`RECIPES` with :data:`LAYERS` layers in fp32.

    Returns:
        by "recipe, mixer, seconds" the counts by name.
    """
    return {
        f"{recipe}, {mixer}, {BATCH} x {seconds} s": count_step(recipe, mixer, seconds)
        for recipe in RECIPES
        for mixer in MIXERS
        for seconds in SECONDS
    }


def count_step(recipe: str, mixer: str, seconds: float, layers: int = LAYERS) -> dict[str, int]:
    """Count one step of :data:`BATCH` utterances: operations, bytes stored for the backward pass, and calls."""
    sizes = RECIPES[recipe]
    few = sizes._replace(encoder=dataclasses.replace(sizes.encoder, encoder_layers=layers))
    with mock.patch.dict(SHAPES, {recipe: few}), _without_autocast():
        candidate = build("step", recipe, mixer, BATCH, seconds, "meta", torch.float32)
        with count_activation_bytes(candidate.module) as saved:
            candidate.forward()
        with _Calls() as calls, flop_counter() as operations:
            candidate.forward().backward()
    return {
        "operations": operations.get_total_flops(),
        "activation_bytes": saved.total,
        "calls": calls.calls,
    }


def _without_autocast() -> Any:
    """Leave out ``torch.autocast``, which knows no meta device."""
    return mock.patch.object(torch, "autocast", lambda *args, **options: contextlib.nullcontext())


def check(path: Path = FILE, write: bool = False) -> str:
    """Compare the counts with those in a file, and say what is better; with ``write`` replace the file by them.

    Raises:
        UserError: a count is above the file's by more than 1 %, the file holds other steps than are counted, or it
            cannot be read; every such count or step is named.
    """
    found = count()
    if write:
        with atomic_write(path) as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        return f"{path} holds {len(found)} steps"
    before = _read_counts(path)
    others = [step for step in {**before, **found} if before.get(step, {}).keys() != found.get(step, {}).keys()]
    changes = [
        [step, name, before[step][name], value, f"{value / before[step][name]:.3f}"]
        for step, counts in found.items()
        for name, value in counts.items()
        if step not in others and value != before[step][name]
    ]
    headings = ["step", "count", "before", "now", "ratio"]
    table = aligned(headings, [[str(cell) for cell in row] for row in changes]) if changes else ""
    if others:
        raise UserError(
            f"{path.name} holds other steps than are counted (bench check --write replaces them): {'; '.join(others)}",
            table,
        )
    worse = [f"{step}: {name}" for step, name, old, new, _ in changes if new / old > WORSE]
    if worse:
        raise UserError(f"a step costs more than 1 % more than in {path.name}: {'; '.join(worse)}", table)
    return table or f"{counted(len(found), 'step')} cost as much as the file says"


def _read_counts(path: Path) -> Counts:
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
        if all(type(value) is int and value > 0 for of_step in counts.values() for value in of_step.values()):
            return counts
        reason = None
    except (OSError, ValueError, AttributeError) as error:
        reason = error
    raise UserError(f"{path} holds no counts of these steps; write them: bench check --write") from reason
