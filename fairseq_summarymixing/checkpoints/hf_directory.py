"""Read a Hugging Face directory: its configuration and its parameters, without running any of its code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from ..compat import require
from ..errors import UserError
from ..input_files import check_file, no_folder
from ..json_files import read_json
from .field_names import NORMS
from .names import (
    HF_ENCODER_PREFIX,
    HF_HEADS,
    HF_MODELS,
    HF_OUR_MODEL,
    WEIGHT_NORM_NAMES,
    hf_names,
    rename,
    reverse,
)
from .torch_files import read_torch_file
from .weights import check_weights

# What both fairseq's models and ours do not let one choose
FIXED = {"feat_extract_activation": "gelu", "layer_norm_eps": 1e-5, "add_adapter": False, "adapter_attn_dim": None}


def is_directory(path: str | Path) -> bool:
    return (Path(path) / "config.json").is_file()


def read_config(folder: str | Path) -> dict[str, Any]:
    """Read ``config.json``.

    Raises:
        UserError: the folder holds none, or one of a model that is neither wav2vec 2.0 nor ours.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        there = f"{folder} holds no config.json" if Path(folder).is_dir() else no_folder(folder)
        raise UserError(
            f"{there}; expected a directory of Hugging Face (of a model on the hub: "
            "download it first, with hf download)"
        )
    config = read_json(path)
    if config.get("model_type") not in HF_MODELS:
        raise UserError(f"{path} is of a model {config.get('model_type')!r}; expected {' or '.join(HF_MODELS)}")
    for name, value in FIXED.items():
        if config.get(name, value) not in (value, str(value)):
            raise UserError(f"{path}: {name}={config[name]} cannot be imported: in fairseq it is {value} always")
    return config


def read_preprocessor(folder: str | Path) -> dict[str, Any]:
    """Read how waveforms are prepared: preprocessor_config.json, or a part of transformers 5's processor_config.json.

    Raises:
        UserError: there is neither.
    """
    alone, whole = Path(folder) / "preprocessor_config.json", Path(folder) / "processor_config.json"
    if alone.is_file():
        return read_json(alone)
    found = read_json(whole).get("feature_extractor") if whole.is_file() else None
    if not isinstance(found, dict):
        raise UserError(
            f"{folder} holds neither preprocessor_config.json nor processor_config.json, which hold whether waveforms "
            "are normalised: save the feature extractor (or processor) there too"
        )
    return found


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """Read all parameters, by their names in the file or files.

    Raises:
        UserError: there is none, or a file is damaged, wants to run code, or holds what no model can use. Of
            safetensors, which keep no checksums, a flipped bit shows only where it makes a value absurd.
    """
    folder = Path(folder)
    for name, read in (("model.safetensors", _read_safetensors), ("pytorch_model.bin", _read_pickle)):
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return _checked(folder / name, read)
        if index.is_file():
            parts = sorted(_parts(index))
            return {key: value for part in parts for key, value in _checked(folder / Path(part).name, read).items()}
    raise UserError(f"{folder} holds neither model.safetensors nor pytorch_model.bin, the parameters: copy one there")


def _parts(index: Path) -> set[str]:
    """Return the names of the files over which parameters are spread."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(part, str) for part in places.values()):
        raise UserError(f"{index} holds no weight_map from parameters to files; copy it again")
    return set(places.values())


def split_weights(weights: dict[str, Tensor], config: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the pre-trained model's parameters under fairseq's names, and a head's under Hugging Face's.

    Raises:
        ValueError: lists the parameters that no table knows.
    """
    if not any(name.startswith(HF_ENCODER_PREFIX) for name in weights):  # saved from the model without a head
        weights = {HF_ENCODER_PREFIX + name: value for name, value in weights.items()}
    new = rename(weights, WEIGHT_NORM_NAMES, strict=False)
    weights = {new[name]: value for name, value in weights.items()}
    heads = {name: value for name, value in weights.items() if name.startswith(HF_HEADS)}
    encoder = {name: value for name, value in weights.items() if name not in heads}
    ours, extractor_mode = config["model_type"] == HF_OUR_MODEL, NORMS[config.get("feat_extract_norm", "group")]
    names = rename(encoder, reverse(hf_names(ours, extractor_mode)))
    return {names[name]: value for name, value in encoder.items()}, heads


def _checked(path: Path, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    weights = read(path)
    check_weights(path, weights)
    return weights


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    require("hf", "safetensors", purpose=str(path))
    from safetensors.torch import load_file

    check_file(path)
    try:
        return load_file(str(path))
    except Exception as error:  # a header that is damaged may hold anything
        raise UserError(f"{path} is damaged, cut short or no safetensors file; copy it again") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    state = read_torch_file(path)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds something else than parameters by name; save the model again")
    return state
