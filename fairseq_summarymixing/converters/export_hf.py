"""Run ``export hf``: write a checkpoint as a directory that Hugging Face's tools load."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import uuid
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from .. import __version__
from ..checkpoints import Checkpoint
from ..checkpoints.names import HF_OUR_MODEL, HF_STOCK_MODEL
from ..compat import require
from ..errors import UserError
from ..files import atomic_folder
from ..models._hf_config import mask_fields, to_hf
from ..modules.log_mel import SAMPLE_RATE
from . import parity
from .export_source import ExportSource, plain, read_export_source
from .model_card import model_card
from .tokenizer import check_texts, write_tokenizer

AUTO = {"Model": "AutoModel", "ForPreTraining": "AutoModelForPreTraining", "ForCTC": "AutoModelForCTC"}


def export_hf(
    checkpoint: str | Path, folder: str | Path, spec_augment: bool | None = None, data: str | Path | None = None
) -> str:
    """Write a directory that loads in ``transformers``, and check that its outputs and texts equal fairseq's.

    Args:
        checkpoint: pre-trained or fine-tuned with CTC; ours with any mixer, layer and front end, or stock.
        folder: to create; it stays absent unless the outputs of both models agree within 1e-5.
        spec_augment: whether the exported model masks its input in training; None = as it was fine-tuned, and
            pre-trained models as Hugging Face's own do.
        data: folder with the dictionary of a fine-tuned checkpoint that holds none.

    Returns:
        What was written and how far the outputs lie apart, for people.

    Raises:
        UserError: the checkpoint cannot be exported, transformers is missing, or outputs or texts differ.
    """
    require("hf", "transformers", "safetensors", purpose="export hf")
    with atomic_folder(folder) as temporary:
        source = read_export_source(Checkpoint.read(checkpoint), data)
        config = write(source, temporary, spec_augment)
        figures = check_outputs(source, load(source, temporary), temporary)
        (temporary / "README.md").write_text(model_card(source, config, AUTO[_kind(source)], figures), encoding="utf-8")
    flag = ", trust_remote_code=True" if source.ours else ""
    return f'{figures}\n{folder}: transformers.{AUTO[_kind(source)]}.from_pretrained("{folder}"{flag})'


def write(source: ExportSource, folder: Path, spec_augment: bool | None = None) -> dict[str, Any]:
    """Write all files but the model card; return what ``config.json`` holds."""
    from safetensors.torch import save_file

    from ..hf.code import write_code

    config = make_config(source, spec_augment)
    save_file(source.hf_state(), str(folder / "model.safetensors"), metadata={"format": "pt"})
    _write_json(folder / "config.json", config)
    _write_json(folder / "preprocessor_config.json", _preprocessor(source))
    if source.ours:
        write_code(folder, __version__, config)
    if source.symbols is not None:
        write_tokenizer(source, folder)
    return config


def make_config(source: ExportSource, spec_augment: bool | None) -> dict[str, Any]:
    """Return ``config.json``. Below ``fairseq`` are fairseq's own fields, without paths, for the way back."""
    from ..hf.code import AUTO_MAP

    config = {
        "architectures": [_class_name(source)],
        "model_type": HF_OUR_MODEL if source.ours else HF_STOCK_MODEL,
        "dtype": "float32",
        **to_hf(source.fields, source.conv_layers, source.ours),
    }
    if source.ours:
        config["auto_map"] = AUTO_MAP
    if source.is_ctc:
        config.update(mask_fields(source.recipe["ctc_model"]))
        config.update(vocab_size=len(source.symbols), pad_token_id=0, bos_token_id=1, eos_token_id=2)
        config.update(ctc_loss_reduction="mean", ctc_zero_infinity=True)
    if spec_augment is not None:
        config["apply_spec_augment"] = spec_augment
    checkpoint = source.checkpoint
    origin = {**source.recipe, "dtype": checkpoint.dtype, "num_updates": checkpoint.num_updates}
    if source.is_ctc:
        origin["post_process"] = checkpoint.post_process
    return plain({**config, "fairseq": origin})


def _preprocessor(source: ExportSource) -> dict[str, Any]:
    # Padding enters a group norm's statistics, mask or no mask; stock models of that kind are used without one
    masked = source.ours or source.fields["extractor_mode"] != "default"
    config = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE,
        "padding_value": 0.0,
        "padding_side": "right",
        "do_normalize": source.checkpoint.normalize,
        "return_attention_mask": masked,
    }
    return {**config, "processor_class": "Wav2Vec2Processor"} if source.symbols is not None else config


def check_outputs(source: ExportSource, model: torch.nn.Module, folder: Path) -> str:
    """Compare outputs with fairseq's, and of a CTC model texts; returns how far they differ and how many were compared.

    Raises:
        UserError: an output or a text differs.
    """
    figures = parity.summary(check_parity(source, model))
    if source.symbols is None:
        return figures
    with torch.no_grad():
        logits = [model(parity.example((samples,))[0]).logits[0] for samples in parity.CASES["padded"]]
    with quiet_transformers():
        return f"{figures}\n{check_texts(source, folder, logits)}"


def check_parity(source: ExportSource, model: torch.nn.Module) -> dict[str, dict[str, float]]:
    """Compare a model of transformers with fairseq's, with and without padding.

    Raises:
        UserError: an output differs.
    """
    import transformers

    differences = {}
    for case, lengths in parity.CASES.items():
        wave, padding_mask = parity.example(lengths)
        expected, frames_mask = parity.fairseq_outputs(source, wave, padding_mask)
        before_norm = expected.pop(parity.LAST)
        if not source.ours and int(transformers.__version__.split(".")[0]) > 4:  # 4 gives it after the norm
            expected[f"hidden_states.{source.fields['encoder_layers']}"] = before_norm
        attention_mask = None if padding_mask is None else (~padding_mask).long()
        with torch.no_grad():
            output = model(wave, attention_mask=attention_mask, output_hidden_states=True)
        differences[case] = parity.compare(expected, _named(output), frames_mask)
    return differences


def _named(output: Any) -> dict[str, torch.Tensor]:
    named = {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}
    return {**named, **{f"hidden_states.{index}": state for index, state in enumerate(output.hidden_states)}}


def load(source: ExportSource, folder: Path) -> torch.nn.Module:
    """Load the directory's model by the code that was written into it.

    Raises:
        UserError: parameters are missing or unknown.
    """
    import transformers

    code = import_code(folder) if source.ours else transformers
    with quiet_transformers():
        model, loading = getattr(code, _class_name(source)).from_pretrained(str(folder), output_loading_info=True)
    wrong = {kind: sorted(map(str, names)) for kind, names in loading.items() if names}
    if wrong:
        listed = "; ".join(f"{kind.replace('_', ' ')} {', '.join(names)}" for kind, names in wrong.items())
        raise UserError(f"transformers reads other parameters than were converted ({listed}): nothing was written")
    return model.eval()


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hide progress bars and reports while a model is loaded."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def import_code(folder: Path) -> ModuleType:
    """Import the modelling code that was written into the folder, not the modules that it was made of."""
    package = f"exported_{uuid.uuid4().hex}"
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[package] = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the folder is the user's
    try:
        return importlib.import_module(f"{package}.modeling_summarymixing")
    finally:
        sys.dont_write_bytecode = before


def _kind(source: ExportSource) -> str:
    return "ForCTC" if source.is_ctc else "ForPreTraining" if source.has_quantizer else "Model"


def _class_name(source: ExportSource) -> str:
    return ("SummaryMixing" if source.ours else "Wav2Vec2") + _kind(source)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
