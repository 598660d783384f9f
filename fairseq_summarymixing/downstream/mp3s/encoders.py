"""The encoders that are probed: checkpoints as directories of Hugging Face, each exported once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...checkpoints.hf_directory import read_preprocessor
from ...errors import UserError
from ...files import atomic_write
from ...input_files import check_file
from ...json_files import read_json


@dataclass(frozen=True)
class Encoder:
    """An exported checkpoint.

    Attributes:
        dim: of its hidden states.
        states: their number, layers and one.
        normalise: whether its waveforms have mean 0 and variance 1.
        digest: of its files.
    """

    name: str
    folder: Path
    dim: int
    states: int
    normalise: bool
    digest: str


def export(checkpoint: str | Path, name: str, out: Path) -> Encoder:
    """Export a checkpoint to OUT/NAME without SpecAugment, unless that is there; a directory of Hugging Face is used as
    it is.

    Raises:
        UserError: it cannot be exported, or OUT/NAME was made of another checkpoint.
    """
    checkpoint = Path(checkpoint).absolute()
    if (checkpoint / "config.json").is_file():
        return read_encoder(name, checkpoint)
    folder, note = out / name, out / f"{name}.source.json"
    source = {"checkpoint": str(checkpoint), **_stamp(checkpoint)}
    if folder.is_dir():
        if not note.is_file() or read_json(note) != source:
            raise UserError(f"{folder} was not made of {checkpoint} as it is now: remove it, or name another folder")
        return read_encoder(name, folder)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(note) as file:
        json.dump(source, file)
    # In a process of its own, whose memory is free again while probes are trained
    command = [sys.executable, "-m", "fairseq_summarymixing", "export", "hf", str(checkpoint), str(folder)]
    result = subprocess.run([*command, "--spec-augment", "off"], capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{checkpoint} cannot be exported: {reason.replace('error: ', '', 1)}")
    return read_encoder(name, folder)


def _stamp(checkpoint: Path) -> dict[str, int]:
    try:
        status = os.stat(checkpoint)
    except OSError as error:
        raise UserError(f"cannot read {checkpoint}: {error.strerror}") from error
    return {"bytes": status.st_size, "changed": status.st_mtime_ns}


def read_encoder(name: str, folder: Path) -> Encoder:
    """Return the facts of an exported directory that the recipes take as options.

    Raises:
        UserError: its configuration is of no speech encoder, or it lacks that of the feature extractor.
    """
    config = read_json(folder / "config.json")
    for field in ("hidden_size", "num_hidden_layers"):
        if not isinstance(config.get(field), int):
            raise UserError(f"{folder / 'config.json'} has no {field}: expected a speech encoder of Hugging Face")
    normalise = bool(read_preprocessor(folder).get("do_normalize"))
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]):
        check_file(path)
        with open(path, "rb") as file:
            for block in iter(lambda file=file: file.read(1 << 20), b""):
                digest.update(block)
    states = config["num_hidden_layers"] + 1
    return Encoder(name, folder, config["hidden_size"], states, normalise, digest.hexdigest()[:16])


def name_checkpoints(checkpoints: Sequence[str | Path], names: Sequence[str] | None) -> dict[str, Path]:
    """Return {name: path}; without names, the folders' around ``checkpoints/checkpoint_best.pt``.

    Raises:
        UserError: another number of names than checkpoints, or a name that two have or no folder can have.
    """
    paths = [Path(checkpoint).absolute() for checkpoint in checkpoints]
    if names is None:
        names = [_name(path) for path in paths]
    if len(names) != len(paths):
        raise UserError(f"`names`: expected {len(paths)}, one per checkpoint, with commas between; found {len(names)}")
    for name in names:
        if names.count(name) > 1 or not name or name.startswith(".") or "/" in name:
            raise UserError(
                f"every checkpoint needs a name of its own, for a folder; found {name!r}: choose with `names`"
            )
    return dict(zip(names, paths))


def _name(path: Path) -> str:
    parts = path.parts if path.is_dir() else [*path.parts[:-1], path.stem]
    return next((part for part in reversed(parts) if not part.startswith("checkpoint")), path.stem)
