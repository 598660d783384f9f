"""Check that a device computes the right results, with fresh random inputs, before it is timed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import one_line
from ..modules.build import MIXERS, build_encoder
from ..modules.lean.replace import make_lean
from ..modules.wav2vec2 import Wav2Vec2
from .candidates import SHAPES, Shape, build
from .timing import synchronise

PRECISIONS: dict[str, tuple[torch.dtype, torch.dtype | None, float]] = {
    "fp32": (torch.float32, None, 1e-5),
    "bf16": (torch.bfloat16, None, 3e-2),
    "fp16": (torch.float16, None, 5e-3),
    "autocast bf16": (torch.float32, torch.bfloat16, 3e-2),
}
"""By name: the type of the weights, that of autocast, and how far results may be from fp64's: ||x - y|| / ||y||."""
LARGEST_ERROR = 0.1


def check(
    shapes: Sequence[str] = tuple(SHAPES),
    device: str = "cuda",
    seconds: float = 2.0,
    long_seconds: Sequence[float] = (30.0, 1800.0),
) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each check, as ``{check, error, limit, held}`` or ``{check, failure, held}``.

    Lean and plain layers give the values and gradients of fp64 within the precision's rounding; an utterance has the
    same outputs padded as alone; a step never waits for a value from the GPU; losses and gradients are finite at any
    length.
    """
    for shape in shapes:
        for mixer in MIXERS:
            for precision in PRECISIONS:
                name = f"lean, {shape} encoder, {mixer}, {precision}"
                yield _attempt(name, _lean_error, shape, mixer, device, seconds, precision)
            yield _attempt(f"padded = alone, {shape}, {mixer}", _padding_error, shape, mixer, device, seconds)
        for mixer in ("summary_mixing", "self_attention"):
            name = f"{shape} step, {mixer}"
            if device == "cuda":
                yield _attempt(f"no value asked for, {name}", _synchronisations, shape, mixer, device, seconds)
            for length in long_seconds:
                yield _attempt(f"finite, {name} of {length:g} s in bf16", _not_finite, shape, mixer, device, length)


def _attempt(name: str, function: Callable[..., tuple[float, float]], *arguments: Any) -> dict[str, Any]:
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            error, limit = function(*arguments)
    except RuntimeError as failure:  # lacking memory among them
        return {"check": name, "failure": one_line(failure), "held": False}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return {"check": name, "error": error, "limit": limit, "held": error <= limit}


def _two_layers(shape: str, mixer: str) -> Shape:
    """Return the sizes of a recipe with two layers, which are quick to compute in fp64, and without dropout."""
    sizes = SHAPES[shape]
    encoder = dataclasses.replace(
        sizes.encoder, encoder_layers=2, mixer=mixer, dropout=0.0, attention_dropout=0.0, activation_dropout=0.0
    )
    return sizes._replace(encoder=encoder)


def _lean_error(shape: str, mixer: str, device: str, seconds: float, precision: str) -> tuple[float, float]:
    """Return the larger error of output and gradients against plain layers in fp64, and the error that is allowed.

    In half precision the limit is twice the plain layers' own error, or the limit in the table.
    """
    dtype, autocast, limit = PRECISIONS[precision]
    with torch.device(device):
        plain = build_encoder(_two_layers(shape, mixer).encoder)
    frames = round(seconds * 50)
    x = torch.randn(2, frames, plain.layer_norm.weight.shape[0], device=device)
    exact = _values_and_gradients(copy.deepcopy(plain).double(), x.double(), None)
    errors = []
    for model in (plain, make_lean(copy.deepcopy(plain))):
        found = _values_and_gradients(model.to(dtype), x.to(dtype), autocast)
        errors.append(max(_distance(one, other) for one, other in zip(found, exact)))
    return errors[1], max(limit, min(2 * errors[0], LARGEST_ERROR))


def _values_and_gradients(model: nn.Module, x: Tensor, autocast: torch.dtype | None) -> list[Tensor]:
    """Return the output of an encoder in training mode, the input's gradient, and all parameters' as one vector."""
    x = x.clone().requires_grad_()
    parameters = list(model.train().parameters())
    with torch.autocast(x.device.type, autocast) if autocast else contextlib.nullcontext():
        out = model(x).x
    generator = torch.Generator(x.device).manual_seed(0)
    weights = torch.randn(out.shape, generator=generator, device=x.device)
    gradients = torch.autograd.grad((out * weights.to(out.dtype)).sum(), [x, *parameters], allow_unused=True)
    return [out, gradients[0], torch.cat([g.double().flatten() for g in gradients[1:] if g is not None])]


def _distance(x: Tensor, y: Tensor) -> float:
    difference = ((x.double() - y.double()).norm() / y.double().norm()).item()
    return difference if difference == difference else float("inf")


def _padding_error(shape: str, mixer: str, device: str, seconds: float) -> tuple[float, float]:
    """Compare an encoder's output of an utterance alone with that beside one of twice its length."""
    with torch.device(device):
        encoder = make_lean(build_encoder(_two_layers(shape, mixer).encoder)).eval()
    short, long = round(seconds * 50), round(2 * seconds * 50)
    x = torch.randn(2, long, encoder.layer_norm.weight.shape[0], device=device)
    padding_mask = torch.arange(long, device=device) >= torch.tensor([[short], [long]], device=device)
    with torch.no_grad():
        padded = encoder(x, padding_mask).x[:1, :short]
        alone = encoder(x[:1, :short]).x
    return _distance(padded, alone), 1e-5


def _step(shape: str, mixer: str, device: str, seconds: float) -> Wav2Vec2:
    return build("step", shape, mixer, 1 if seconds > 100 else 2, seconds, device, torch.bfloat16)


def _synchronisations(shape: str, mixer: str, device: str, seconds: float) -> tuple[float, float]:
    """Run a step where torch raises an error as soon as the CPU waits for the GPU."""
    candidate = _step(shape, mixer, device, seconds)
    candidate.forward().backward()  # loads libraries
    synchronise(device)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        candidate.forward().backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return 0.0, 0.0


def _not_finite(shape: str, mixer: str, device: str, seconds: float) -> tuple[float, float]:
    """Count what is not finite in a step's loss and gradients."""
    candidate = _step(shape, mixer, device, seconds)
    loss = candidate.forward()
    loss.backward()
    gradients = [p.grad for p in candidate.module.parameters() if p.grad is not None]
    bad = sum((~torch.isfinite(x)).sum() for x in [loss, *gradients])
    return float(bad), 0.0
