"""Start a model from another model's parameters: copy those that both have, leave the others as initialised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..checkpoints import Checkpoint
from ..checkpoints.former_lite import refuse_lite_with_combiner
from ..checkpoints.hf_directory import is_directory, read_config, read_weights, split_weights
from ..checkpoints.names import PRETRAINED_MODELS, STOCK_LAYER_NAMES, rename
from ..errors import UserError, first_of
from ..modules.summary_mixing import SummaryMixingLite
from ..tables import aligned

MIXER = ".mixer."


def read_encoder(path: str | Path) -> dict[str, Tensor]:
    """Read the pre-trained model's parameters, under our names.

    Args:
        path: a fairseq checkpoint, stock ``wav2vec2``'s or ours, pre-trained or fine-tuned; or a directory of Hugging
            Face, of wav2vec 2.0 or of ``export hf``.

    Raises:
        UserError: it is something else.
    """
    if Path(path).is_dir() and is_directory(path):
        return _read_directory(path)
    try:
        checkpoint = Checkpoint.read(path)
    except UserError as error:
        raise UserError(f"model.init_from: {error}") from error
    name = checkpoint.encoder_name
    if name not in PRETRAINED_MODELS:
        expected = " or ".join(PRETRAINED_MODELS)
        raise UserError(f"model.init_from={path} is a checkpoint of {name!r}; expected {expected}")
    return checkpoint.pretrained_weights


def _read_directory(path: str | Path) -> dict[str, Tensor]:
    try:
        weights, _ = split_weights(read_weights(path), read_config(path))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"model.init_from={path}: {error}") from error
    names = rename(weights, STOCK_LAYER_NAMES, strict=False)
    return {names[name]: value for name, value in weights.items()}


def warm_start(model: nn.Module, path: str | Path) -> str:
    """Copy every parameter of ``path`` that the model has under the same name; the others stay as they are.

    Of mixers of another kind, whose parameters have other names, those of another shape stay as they are, too.

    Returns:
        A table of the parameters that were copied, are new, and were left out, by parts of the model.

    Raises:
        UserError: parameters of one name have two shapes, all of them listed; nothing could be taken; or the mixers of
            both are SummaryMixing-lite, and those of the path have a combiner.
    """
    found, own = read_encoder(path), model.state_dict()
    if any(isinstance(module, SummaryMixingLite) for module in model.modules()):
        try:
            refuse_lite_with_combiner(found)
        except ValueError as error:
            raise UserError(f"model.init_from={path}: {error}") from error
    if _mixer_names(found) != _mixer_names(own):
        found = {name: value for name, value in found.items() if not (MIXER in name and _differ(value, own.get(name)))}
    wrong = [
        f"{name} {tuple(found[name].shape)}, here {tuple(value.shape)}"
        for name, value in own.items()
        if _differ(value, found.get(name))
    ]
    if wrong:
        raise UserError(
            f"model.init_from={path} has other sizes: {first_of(wrong, '; ')}. The recipe's sizes must be the "
            "checkpoint's"
        )
    taken = [name for name in own if name in found]
    if not taken:
        raise UserError(f"model.init_from={path}: no parameter has a name of this model's")
    with torch.no_grad():
        for name in taken:
            own[name].copy_(found[name])
    report = table(own, found, taken)
    share = sum(own[name].numel() for name in taken) / sum(value.numel() for value in own.values())
    if share < 0.5:
        report += f"\nonly {share:.0%} of the model was taken: is this the checkpoint that was meant?"
    return report


def _mixer_names(state: Mapping[str, Tensor]) -> set[str]:
    return {name.partition(MIXER)[2] for name in state if MIXER in name}


def _differ(value: Tensor, other: Tensor | None) -> bool:
    return other is not None and other.shape != value.shape


def table(own: Mapping[str, Tensor], found: Mapping[str, Tensor], taken: Iterable[str]) -> str:
    """Tabulate the parameters of each part: taken, new, left."""
    columns = {
        "taken": _sizes(own, taken),
        "new": _sizes(own, own.keys() - set(taken)),
        "left": _sizes(found, found.keys() - set(own)),
    }
    parts = list(dict.fromkeys(part_of(name) for name in [*own, *found]))
    rows = [[part, *(f"{sizes[part]:,}" if sizes[part] else "" for sizes in columns.values())] for part in parts]
    rows.append(["total", *(f"{sum(sizes.values()):,}" for sizes in columns.values())])
    return aligned(["parameters", *columns], rows)


def part_of(name: str) -> str:
    """Return a parameter's part: ``encoder.layers.3.mixer.q_proj.weight`` is of ``encoder.layers.*.mixer``."""
    pieces = name.split(".")
    if pieces[:2] == ["encoder", "layers"]:
        return f"encoder.layers.*.{pieces[3]}"
    return ".".join(pieces[:2]) if pieces[0] == "encoder" else pieces[0]


def _sizes(tensors: Mapping[str, Tensor], names: Iterable[str]) -> Counter:
    sizes: Counter = Counter()
    for name in names:
        sizes[part_of(name)] += tensors[name].numel()
    return sizes
