"""Run ``import hf``: write a directory of Hugging Face as a fairseq checkpoint that trains on."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints import Checkpoint
from ..checkpoints.hf_directory import read_config, read_preprocessor, read_weights, split_weights
from ..checkpoints.layers import check_layers
from ..checkpoints.names import (
    CTC_HEAD,
    CTC_HEAD_NAMES,
    CTC_MODEL,
    ENCODER_PREFIX,
    HF_CTC_HEAD,
    HF_OUR_MODEL,
    HF_STOCK_MODEL,
    OUR_MODEL,
    PRETRAINING_HEADS,
    STOCK_LAYER_NAMES,
    STOCK_MODEL,
    Table,
    check_names,
    rename,
    reverse,
)
from ..compat import quiet_fairseq, require
from ..errors import UserError, counted, one_line
from ..files import atomic_file
from ..json_files import read_json
from ..models._hf_config import STOCK_CHOICES, codevector_sizes, field_names, from_hf, mask_fields_from_hf
from ..plugin.reading import reading_checkpoint
from . import parity
from .config_kinds import check_kinds
from .export_hf import check_parity, quiet_transformers
from .export_source import plain, read_export_source
from .tokenizer import symbol_of

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "dropout_input", "dropout_features")


def import_hf(folder: str | Path, checkpoint: str | Path) -> str:
    """Write the checkpoint of a directory: of ``export hf``, further trained or not, or a public wav2vec 2.0.

    Public models become stock ``wav2vec2`` checkpoints; our classes, ``wav2vec2_summarymixing``. With a CTC head it is
    a ``wav2vec_ctc`` checkpoint with its dictionary. Nothing is written unless fairseq's outputs and those of
    transformers agree within 1e-5.

    Returns:
        What was written, for people.

    Raises:
        UserError: the directory is no such model, its parameters do not fit its configuration, or its vocabulary
            does not begin as fairseq's.
    """
    require("hf", "transformers", "safetensors", purpose="import hf")
    folder = Path(folder)
    read_config(folder)
    with atomic_file(checkpoint) as temporary, quiet_fairseq():
        with _one_line(folder):
            state = make_state(folder, _config(folder))
        encoded = io.BytesIO()  # writing to a full disk itself, torch aborts the process
        torch.save(state, encoded)
        temporary.write_bytes(encoded.getbuffer())
        with _one_line(folder):
            figures = parity.summary(check_parity(read_export_source(Checkpoint.read(temporary)), _open(folder)))
    model = state["cfg"]["model"]
    name, use = model["_name"], f"fine-tune with model.w2v_path={checkpoint}"
    if "w2v_args" in model:
        name, use = f"{name} over {model['w2v_args']['model']['_name']}", "decode with fairseq-summarymixing decode"
    return (
        f"{figures}\n{checkpoint}: {name}, {len(state['model'])} parameters; {use}, train on with "
        f"checkpoint.finetune_from_model={checkpoint}, or start other models with model.init_from={checkpoint}"
    )


@contextlib.contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """Report in one line whatever odd values of a directory make the code raise that reads them."""
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # whose words are for programmers
        raise UserError(
            f"{folder} cannot be imported: a value in its JSON files is none that transformers writes there; save the "
            "model again"
        ) from error
    except Exception as error:
        raise UserError(f"{folder} cannot be imported: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return an error's message as a line; of transformers' own about a field, which field it is."""
    field = re.search(r"[Ff]ield '(\w+)'", str(error))
    return f"config.json: {field[1]} is of a kind that transformers does not take" if field else one_line(error)


def _config(folder: Path) -> dict[str, Any]:
    """Return ``config.json``, and of fields that it leaves out the defaults."""
    import transformers

    importlib.import_module("fairseq_summarymixing.hf")
    given = read_config(folder)
    check_kinds(given, ours=given["model_type"] == HF_OUR_MODEL)
    return {**transformers.AutoConfig.for_model(given["model_type"]).to_dict(), **given}


def _open(folder: Path) -> torch.nn.Module:
    """Open the model as transformers has it, with our registered classes, not with code of the folder."""
    import transformers

    has_head = any(name.startswith(HF_CTC_HEAD) for name in read_weights(folder))
    auto = transformers.AutoModelForCTC if has_head else transformers.AutoModelForPreTraining
    with quiet_transformers():
        return auto.from_pretrained(str(folder), trust_remote_code=False, dtype=torch.float32).eval()


def make_state(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the state that fairseq would have saved."""
    origin = config.get("fairseq") or {}
    check_layers(folder, config["num_hidden_layers"], weights := read_weights(folder))
    model, task = _model(config, origin), {"_name": "audio_pretraining", **(origin.get("task") or {}), "data": ""}
    task["normalize"] = _normalizes(folder)
    weights, head = split_weights(weights, config)
    stock_names, is_stock = config["model_type"] == HF_STOCK_MODEL, model["_name"] == STOCK_MODEL
    if stock_names != is_stock:
        weights = _renamed(weights, STOCK_LAYER_NAMES if stock_names else reverse(STOCK_LAYER_NAMES), strict=False)
    is_ctc = any(name.startswith(HF_CTC_HEAD) for name in head)
    head = _renamed(head, reverse(CTC_HEAD_NAMES)) if is_ctc else {}
    expected = _expected(model, is_ctc)
    _check_heads(folder, weights, expected)
    check_names(weights, expected, "the encoder")
    _check_shapes(weights, expected)
    task_state, criterion = {}, None
    if is_ctc:
        weights = {**{ENCODER_PREFIX + name: value for name, value in weights.items()}, **head}
        criterion = {"_name": "ctc", "post_process": _post_process(folder, origin)}
        dictionary = _dictionary(folder, len(head[CTC_HEAD + "weight"]), criterion["post_process"])
        model, task = _ctc_model(config, origin, model, task), _ctc_task(origin, task)
        task_state = {"target_dictionary": dictionary}
    dtype = getattr(torch, origin.get("dtype") or "float32")
    groups = {"model": model, "task": task, "criterion": criterion, "optimizer": None, "lr_scheduler": None}
    return {
        "args": None,
        "cfg": {"common": {}, **groups},
        "model": {name: value.to(dtype) for name, value in weights.items()},
        "criterion": None,
        "optimizer_history": [
            {"optimizer_name": "", "lr_scheduler_state": {}, "num_updates": origin.get("num_updates") or 0}
        ],
        "task_state": task_state,
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        "last_optimizer_state": None,
    }


def _renamed(weights: dict[str, Tensor], table: Table, **options: bool) -> dict[str, Tensor]:
    names = rename(weights, table, **options)
    return {names[name]: value for name, value in weights.items()}


def _model(config: dict[str, Any], origin: dict[str, Any]) -> dict[str, Any]:
    """Return fairseq's fields: those of the export, with dropout as it is now; of public models, those of their
    configuration."""
    ours = config["model_type"] == HF_OUR_MODEL
    found = from_hf(config, ours)
    if origin.get("model"):
        _check_sizes(found, origin["model"], field_names(ours))
        return {**origin["model"], **{name: found[name] for name in DROPOUTS if name in found}}
    if not ours:
        del found["mixer"]
    return {"_name": OUR_MODEL if ours else STOCK_MODEL, **found}


def _check_sizes(found: dict[str, Any], origin: dict[str, Any], names: dict[str, str]) -> None:
    """Refuse a configuration whose sizes are not those of the export that it was made by."""
    sizes = {**origin, **{name: size for name, size in codevector_sizes(origin).items() if name in origin}}
    for name, value in found.items():
        if type(value) is int and sizes.get(name, value) != value:
            raise ValueError(
                f"config.json: {names[name]} is {value}, and fairseq.model.{name} {sizes[name]}: expected one number"
            )


def _expected(model: dict[str, Any], is_ctc: bool) -> dict[str, torch.Size]:
    """Return the parameters' names and shapes of the model that fairseq would build, without their memory."""
    from ..models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig, Wav2Vec2SummaryMixingModel

    is_stock = model["_name"] == STOCK_MODEL
    known = {field.name: model[field.name] for field in fields(Wav2Vec2SummaryMixingConfig) if field.name in model}
    if is_stock:
        known["mixer"] = STOCK_CHOICES["mixer"]
    with torch.device("meta"), reading_checkpoint():
        built = Wav2Vec2SummaryMixingModel(Wav2Vec2SummaryMixingConfig(**known))
    if is_ctc:
        built.remove_pretraining_modules()
    shapes = {name: value.shape for name, value in built.state_dict().items()}
    names = rename(shapes, reverse(STOCK_LAYER_NAMES) if is_stock else (), strict=False)
    return {names[name]: shape for name, shape in shapes.items()}


def _check_shapes(weights: dict[str, Tensor], expected: dict[str, torch.Size]) -> None:
    wrong = [name for name, shape in expected.items() if weights[name].shape != shape]
    if wrong:
        found, shape = tuple(weights[wrong[0]].shape), tuple(expected[wrong[0]])
        more = f", and {len(wrong) - 1} more likewise" if len(wrong) > 1 else ""
        raise ValueError(f"the parameter {wrong[0]} has shape {found}, config.json makes it {shape}{more}")


def _check_heads(folder: Path, weights: dict[str, Tensor], expected: Collection[str]) -> None:
    missing = set(expected) - set(weights)
    if missing and all(name.startswith(PRETRAINING_HEADS) for name in missing):
        raise UserError(
            f"{folder} holds the encoder alone, not the quantiser and projections that pre-training needs: start a "
            f"model from it with model.init_from={folder}"
        )


def _ctc_model(
    config: dict[str, Any], origin: dict[str, Any], model: dict[str, Any], task: dict[str, Any]
) -> dict[str, Any]:
    """Return the fields around the pre-trained model; of public checkpoints, fairseq's defaults and the masks."""
    outer = origin.get("ctc_model") or {**_ctc_defaults(), **mask_fields_from_hf(config)}
    inner = {"model": model, "task": task, "criterion": None, "optimizer": None, "lr_scheduler": None}
    own = {"_name": CTC_MODEL, "w2v_path": "", "data": "", "normalize": task["normalize"], "w2v_args": inner}
    return {**outer, **own}


def _ctc_defaults() -> dict[str, Any]:
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig

    defaults = {field.name: field.default for field in fields(Wav2Vec2CtcConfig) if field.default is not MISSING}
    # what other parts of a training run would fill in
    known = {name: None if str(value).startswith("${") else plain(value) for name, value in defaults.items()}
    return {**known, "ddp_backend": "legacy_ddp"}


def _ctc_task(origin: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    known = {"labels": "ltr", **(origin.get("ctc_task") or {})}
    return {**known, "_name": "audio_finetuning", "data": "", "normalize": task["normalize"]}


def _normalizes(folder: Path) -> bool:
    return bool(read_preprocessor(folder).get("do_normalize", True))


def _post_process(folder: Path, origin: dict[str, Any]) -> str | None:
    """Return how fairseq is to join symbols: as in the checkpoint of which the directory was made, or as its tokenizer
    does."""
    path = folder / "tokenizer_config.json"
    tokenizer = read_json(path).get("tokenizer_class") if path.is_file() else None
    return origin.get("post_process", "none" if "Phoneme" in str(tokenizer) else "letter")


def _dictionary(folder: Path, classes: int, rule: str | None) -> Any:
    """Return fairseq's dictionary of ``vocab.json``: the first four symbols are special, and the first is the blank."""
    from fairseq.data import Dictionary

    path = folder / "vocab.json"
    if not path.is_file():
        raise UserError(f"{folder} has a CTC head but no vocab.json: save the tokenizer there too")
    ids = read_json(path)
    odd = [symbol for symbol, number in ids.items() if not isinstance(number, int)]
    if odd:
        raise UserError(f"{path} must give each symbol a number; found {ids[odd[0]]!r:.60} for {odd[0]!r:.60}")
    symbols = sorted(ids, key=ids.get)
    if symbols[:4] != SPECIAL or [ids[symbol] for symbol in symbols] != list(range(classes)):
        raise UserError(
            f"{path} must number {classes} symbols from 0 on, first {', '.join(SPECIAL)}, as fairseq does; "
            f"found {', '.join(symbols[:4])} first, {counted(len(symbols), 'symbol')} up to number "
            f"{max(ids.values(), default=0)}. The encoder alone: model.init_from={folder}"
        )
    dictionary = Dictionary()
    for symbol in symbols[4:]:
        dictionary.add_symbol(symbol_of(symbol, rule))
    return dictionary
