"""Whether an exported model says what fairseq's says."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from ..modules.log_mel import padding_beyond
from .source import Source

TOLERANCE = 1e-5
CASES = {"alone": (27000,), "padded": (35000, 20000, 9000)}
"""Lengths in samples of the utterances of each batch."""

LAST = "last layer"
"""Name of the last layer's output, before the encoder's final norm where there is one."""

Outputs = dict[str, Tensor]


def example(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
    """Random utterances (B, samples), padded with zeros; padding_mask (B, samples), or None for one utterance."""
    generator = torch.Generator().manual_seed(1)
    padding_mask = padding_beyond(torch.tensor(lengths), max(lengths))
    wave = torch.randn(len(lengths), max(lengths), generator=generator).masked_fill(padding_mask, 0)
    return wave, padding_mask if len(lengths) > 1 else None


@torch.no_grad()
def fairseq_outputs(source: Source, wave: Tensor, padding_mask: Tensor | None) -> tuple[Outputs, Tensor | None]:
    """What fairseq's model computes, as Hugging Face would name it, and the frames' padding mask (B, T).

    ``hidden_states.K``: (B, T, D) each, the last one behind the final norm, and :data:`LAST`; ``logits`` (B, T, V);
    ``projected_states`` and ``projected_quantized_states`` (B, T, D') before they are compared.
    """
    first: list[Tensor] = []
    layer = source.encoder.encoder.layers[0]
    hook = layer.register_forward_pre_hook(lambda module, inputs: first.append(inputs[0]))
    try:
        found = source.encoder.extract_features(wave, padding_mask, mask=False)
    finally:
        hook.remove()
    frames = found["x"].shape[1]
    # stock's layers are time first
    states = [first[0].transpose(0, 1) if source.is_stock else first[0]]
    states += [result[0].transpose(0, 1) for result in found["layer_results"]]
    outputs = {f"hidden_states.{index}": state[:, :frames] for index, state in enumerate(states)}
    outputs[LAST] = outputs[f"hidden_states.{len(states) - 1}"]
    outputs[f"hidden_states.{len(states) - 1}"] = found["x"]
    if source.is_ctc:
        result = source.model.w2v_encoder(source=wave, padding_mask=padding_mask)
        outputs["logits"] = result["encoder_out"].transpose(0, 1)
    elif source.has_quantizer:
        outputs["projected_states"] = source.encoder.final_proj(found["x"])
        outputs["projected_quantized_states"] = _quantized(source, found["features"])
    return outputs, found["padding_mask"]


def _quantized(source: Source, features: Tensor) -> Tensor:
    if source.is_stock:
        quantized = source.encoder.quantizer(features, produce_targets=False)["x"]
    else:
        quantized = source.encoder.quantizer(features.flatten(0, 1)).x.unflatten(0, features.shape[:2])
    return source.encoder.project_q(quantized)


def compare(
    expected: Outputs, found: Outputs, padding_mask: Tensor | None, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Largest difference of each output over real frames, over its largest magnitude where that is above 1.

    Raises:
        UserError: an output is missing, has another shape, or differs by more than ``tolerance``.
    """
    differences = {}
    for name, one in expected.items():
        other = found.get(name)
        if other is None or other.shape != one.shape:
            shape = None if other is None else tuple(other.shape)
            raise UserError(f"the exported model's {name} has shape {shape}, fairseq's {tuple(one.shape)}")
        if padding_mask is not None:
            one, other = one[~padding_mask], other[~padding_mask]
        difference = ((one - other.float()).abs().max() / one.abs().max().clamp(min=1)).item()
        if not difference <= tolerance:
            raise UserError(
                f"the exported model's {name} differs from fairseq's by {difference:.1e}, more than {tolerance:g}: "
                "nothing was written"
            )
        differences[name] = difference
    return differences


def summary(differences: dict[str, dict[str, float]]) -> str:
    """One line of figures for each case."""
    lines = []
    for case, found in differences.items():
        states = [value for name, value in found.items() if name.startswith("hidden_states")]
        others = [f"{name} {value:.1e}" for name, value in found.items() if not name.startswith("hidden_states")]
        told = [f"{len(states)} hidden states {max(states):.1e}"] if states else []
        lines.append(f"largest difference from fairseq, {case}: " + ", ".join(told + others))
    return "\n".join(lines)
