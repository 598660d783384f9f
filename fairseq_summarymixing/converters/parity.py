"""Check whether an exported model's outputs equal fairseq's."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from ..modules.log_mel import padding_beyond
from .export_source import ExportSource

TOLERANCE = 1e-5
CASES = {"alone": (27000,), "padded": (35000, 20000, 9000)}
"""Lengths in samples of the utterances of each batch."""

LAST = "last layer"
"""Name of the last layer's output, before the encoder's final norm where there is one."""

Outputs = dict[str, Tensor]


def example(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
    """Return random utterances (B, samples), padded with zeros, and their padding_mask, None for one utterance."""
    generator = torch.Generator().manual_seed(1)
    padding_mask = padding_beyond(torch.tensor(lengths), max(lengths))
    wave = torch.randn(len(lengths), max(lengths), generator=generator).masked_fill(padding_mask, 0)
    return wave, padding_mask if len(lengths) > 1 else None


@torch.no_grad()
def fairseq_outputs(source: ExportSource, wave: Tensor, padding_mask: Tensor | None) -> tuple[Outputs, Tensor | None]:
    """Return the outputs of fairseq's model by Hugging Face's names, and the frames' padding mask (B, T).

    ``hidden_states.K``: (B, T, D) each, the last state after the final norm, and :data:`LAST`; ``logits`` (B, T, V);
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


def _quantized(source: ExportSource, features: Tensor) -> Tensor:
    if source.is_stock:
        quantized = source.encoder.quantizer(features, produce_targets=False)["x"]
    else:
        quantized = source.encoder.quantizer(features.flatten(0, 1)).x.unflatten(0, features.shape[:2])
    return source.encoder.project_q(quantized)


def compare(
    expected: Outputs, found: Outputs, padding_mask: Tensor | None, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Return the largest difference of each output over real frames, divided by its largest magnitude where that is
    above 1.

    Raises:
        UserError: an output is missing, has another shape, or differs by more than ``tolerance``.
    """
    differences = {}
    for name, output in expected.items():
        other = found.get(name)
        if other is None or other.shape != output.shape:
            shape = None if other is None else tuple(other.shape)
            raise UserError(
                f"the converted model's {name} has shape {shape}, fairseq's {tuple(output.shape)}: nothing was written"
            )
        if padding_mask is not None:
            output, other = output[~padding_mask], other[~padding_mask]
        difference = ((output - other.float()).abs().max() / output.abs().max().clamp(min=1)).item()
        if not difference <= tolerance:
            raise UserError(
                f"the converted model's {name} differs from fairseq's by {difference:.1e}, more than {tolerance:g}: "
                "nothing was written"
            )
        differences[name] = difference
    return differences


def summary(differences: dict[str, dict[str, float]]) -> str:
    """Return one line of figures for each case."""
    lines = []
    for case, found in differences.items():
        states = [value for name, value in found.items() if name.startswith("hidden_states")]
        others = [f"{name} {value:.1e}" for name, value in found.items() if not name.startswith("hidden_states")]
        figures = [f"{len(states)} hidden states {max(states):.1e}"] if states else []
        lines.append(f"largest difference from fairseq, {case}: " + ", ".join(figures + others))
    return "\n".join(lines)
