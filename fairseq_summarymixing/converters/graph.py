"""Run ``export onnx`` and ``export torch``: write a checkpoint as one graph from waveforms to features or logits."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints import Checkpoint
from ..compat import require
from ..downstream.load_encoder import load_encoder
from ..errors import UserError
from ..files import atomic_file
from ..modules.log_mel import SAMPLE_RATE, normalise
from ..modules.speech_encoder import SpeechEncoder
from . import parity
from .export_source import ExportSource, read_export_source

INPUTS = ["input_values", "attention_mask"]
LENGTHS = "output_lengths"
OPSET = 18
CASES = {**parity.CASES, "short": (9000, 6000, 8000, 5000)}
ONNX_TOLERANCE = 1e-4  # onnxruntime's group norm sums a whole utterance in fp32


class WaveformModel(nn.Module):
    """A model of waveforms: normalisation, where it is wanted, encoder, and a fine-tuned model's CTC head."""

    def __init__(self, model: SpeechEncoder, normalize: bool, head: nn.Module | None):
        super().__init__()
        self.model, self.normalize, self.head = model, normalize, head

    def forward(self, input_values: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features or logits. input_values: (B, samples), 16 kHz; attention_mask: (B, samples), int64,
        0 = padding.

        Returns:
            Features (B, T, D) or logits (B, T, V), and the number of real frames of each utterance (B,).
        """
        padding_mask = attention_mask == 0
        if self.normalize:
            input_values = normalise(input_values.unsqueeze(-1), padding_mask, eps=1e-5).squeeze(-1)
        features = self.model.extract_normalised(input_values, padding_mask)
        x = self.model.encoder(features.projected, features.padding_mask).x
        lengths = (~features.padding_mask).sum(dim=1)
        return (x if self.head is None else self.head(x)), lengths


def export_onnx(checkpoint: str | Path, file: str | Path, data: str | Path | None = None) -> str:
    """Write an ONNX model (opset 18) of dynamic batch and length, checked with onnxruntime at several lengths (1e-4).

    Its metadata hold ``sample_rate``, ``min_samples`` and, of a CTC model, ``symbols``, the first of them the blank.
    ``data``: as of :func:`.export_hf.export_hf`.

    Raises:
        UserError: a package is missing, the checkpoint cannot be exported, or the outputs differ from fairseq's.
    """
    require("onnx", "onnx", "onnxscript", "onnxruntime", purpose="export onnx")
    return _export(checkpoint, file, data, write_onnx, open_onnx, ONNX_TOLERANCE)


def export_torch(checkpoint: str | Path, file: str | Path, data: str | Path | None = None) -> str:
    """Write a ``torch.export`` program of dynamic batch and length, checked at several lengths (1e-5).

    Its extra file ``metadata.json`` holds what the metadata of :func:`export_onnx` do.

    Raises:
        UserError: the checkpoint cannot be exported, or the outputs differ from fairseq's.
    """
    return _export(checkpoint, file, data, write_torch, open_torch, parity.TOLERANCE)


def shortest(model: SpeechEncoder) -> int:
    """Return the number of samples of two frames, the shortest input of a graph; one frame would need another graph."""
    return model.feature_extractor.receptive_field + model.feature_extractor.hop


def _export(
    checkpoint: str | Path,
    file: str | Path,
    data: str | Path | None,
    write: Callable,
    open_written: Callable,
    tolerance: float,
) -> str:
    if not hasattr(torch, "export") or not hasattr(torch.export, "Dim"):
        raise UserError(f"this needs torch.export with dynamic shapes, of torch 2.5; here is {torch.__version__}")
    with atomic_file(file) as temporary:
        source = read_export_source(Checkpoint.read(checkpoint), data)
        with _quiet():
            model = waveform_model(source)
            metadata = {"sample_rate": str(SAMPLE_RATE), "min_samples": str(shortest(model.model))}
            if source.symbols is not None:
                metadata["symbols"] = json.dumps(source.symbols)
            write(model, temporary, metadata)
            differences = check_parity(source, open_written(temporary), tolerance)
    output = "logits" if source.is_ctc else "features"
    return f"{parity.summary(differences)}\n{file}: {', '.join(INPUTS)} to {output}, {LENGTHS}"


def waveform_model(source: ExportSource) -> WaveformModel:
    """Build the model in evaluation mode, fp32, without gradients."""
    encoder = load_encoder(source.checkpoint, torch.device("cpu"))
    head = source.model.w2v_encoder.proj if source.is_ctc else None
    return WaveformModel(encoder.model, source.checkpoint.normalize, head).float().eval().requires_grad_(False)


def check_parity(
    source: ExportSource, run: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], tolerance: float
) -> dict[str, dict[str, float]]:
    """Compare with fairseq for several batches and lengths. Raises UserError where they differ."""
    name = "logits" if source.is_ctc else f"hidden_states.{source.fields['encoder_layers']}"
    differences = {}
    for case, lengths in CASES.items():
        wave, padding_mask = parity.example(lengths)
        prepared = wave
        if source.checkpoint.normalize:
            prepared = normalise(wave.unsqueeze(-1), padding_mask, eps=1e-5).squeeze(-1)
        expected, frames_mask = parity.fairseq_outputs(source, prepared, padding_mask)
        mask = torch.ones(wave.shape, dtype=torch.int64) if padding_mask is None else (~padding_mask).long()
        output, frames = run(wave, mask)
        real = expected[name].shape[1] if frames_mask is None else (~frames_mask).sum(dim=1)
        if not torch.equal(frames, torch.as_tensor(real).expand_as(frames)):
            raise UserError(f"the exported model counts {frames.tolist()} frames, fairseq {real.tolist()}")
        found = parity.compare({name: expected[name]}, {name: output}, frames_mask, tolerance)
        differences[case] = {"logits" if source.is_ctc else "features": found[name]}
    return differences


def _arguments(model: WaveformModel) -> tuple[tuple[Tensor, Tensor], Any]:
    wave, padding_mask = parity.example(parity.CASES["padded"])
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("samples", min=shortest(model.model))}
    return (wave, (~padding_mask).long()), {name: shape for name in INPUTS}


def _program(model: WaveformModel) -> Any:
    arguments, shapes = _arguments(model)
    with torch.no_grad():
        # whether tensors of odd strides may be viewed cannot be proven for all lengths: asked at run time
        return torch.export.export(
            model, arguments, dynamic_shapes=shapes, prefer_deferred_runtime_asserts_over_guards=True
        )


def write_torch(model: WaveformModel, file: Path, metadata: dict[str, str]) -> None:
    """Write a ``torch.export`` program with ``metadata`` as its extra file ``metadata.json``."""
    encoded = io.BytesIO()  # writing to a full disk itself, torch aborts the process
    torch.export.save(_program(model), encoded, extra_files={"metadata.json": json.dumps(metadata)})
    file.write_bytes(encoded.getbuffer())


def open_torch(file: Path) -> Callable:
    """Return the program of :func:`write_torch` as a function from waveforms and mask to output and lengths."""
    return torch.export.load(str(file)).module()


def write_onnx(model: WaveformModel, file: Path, metadata: dict[str, str]) -> None:
    """Write an ONNX model, parameters included, with ``metadata`` as its metadata properties."""
    output = "features" if model.head is None else "logits"
    program = torch.onnx.export(
        _program(model),
        input_names=INPUTS,
        output_names=[output, LENGTHS],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    program.model.metadata_props.update(metadata)
    program.save(str(file), external_data=False)


def onnx_session(file: Path) -> Any:
    """Return onnxruntime's session of a file, on the CPU, with torch's number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting is no work of the processor
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def open_onnx(file: Path) -> Callable:
    """Return the model of :func:`write_onnx` as a function from waveforms and mask to output and lengths."""
    session = onnx_session(file)

    def run(wave: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        inputs = dict(zip(INPUTS, (wave.numpy(), mask.numpy())))
        return tuple(map(torch.from_numpy, session.run(None, inputs)))

    return run


class _quiet(warnings.catch_warnings):
    """A context that hides what the exporters log and warn of."""

    def __enter__(self):
        super().__enter__()
        warnings.simplefilter("ignore")
        self._disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *error):
        logging.disable(self._disabled)
        super().__exit__(*error)
