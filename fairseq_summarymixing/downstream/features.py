"""``fairseq-summarymixing features``: hidden states of recordings of any length, as NumPy files."""

from __future__ import annotations

import glob
import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..data.audio import BadAudio, probe, read_mono, resample
from ..errors import UserError
from ..files import atomic_write
from .encoder import SAMPLE_RATE, SpeechEncoder, load_encoder, normalised, pick_device


def extract(
    checkpoint: str | Path,
    audio: Sequence[str | Path],
    out: str | Path,
    layers: Sequence[int] | None = None,
    block_seconds: float = 60.0,
    window_seconds: float | None = None,
    device: str = "auto",
) -> str:
    """Write OUT/NAME.layer-K.npy, (T, D) fp32, for each layer asked for, and OUT/NAME.times.npy, (T,) fp64 seconds.

    OUT/NAME.json says what made a recording's files: audio, checkpoint, their sizes and times, and the window. Where it
    says the same again and the files are there, they are left as they are; otherwise they are written anew.

    Args:
        checkpoint: pre-trained or fine-tuned, ours or stock ``wav2vec2``'s.
        audio: files of any sample rate.
        layers: hidden states, 0 = the first layer's input, k = the output of layer k; None = the last.
        block_seconds: of audio that is computed at a time; the result is the same whatever it is.
        window_seconds: let self-attention see windows of so much; the result is then not that of one pass.

    Returns:
        One line for people.

    Raises:
        UserError: an argument, the checkpoint or a recording cannot be used, or the disk is full.
    """
    if not str(out):
        raise UserError("--out is empty: name a folder")
    names = name_outputs(audio)
    lengths = [_samples(path) for path in audio]
    encoder = load_encoder(checkpoint, pick_device(device), block_seconds, window_seconds)
    wanted = _wanted(layers, encoder.num_layers)
    for path, length in zip(audio, lengths):
        encoder.check_length(length, str(path))
    written = 0
    with tqdm(total=round(sum(lengths) / SAMPLE_RATE), unit="s", desc="features", disable=None) as progress:
        for path, name, length in zip(audio, names, lengths):
            files = {k: Path(out) / f"{name}.layer-{k}.npy" for k in wanted}
            times, origin = Path(out) / f"{name}.times.npy", Path(out) / f"{name}.json"
            made_of = {"audio": _identity(path), "checkpoint": _identity(checkpoint), "window_seconds": window_seconds}
            same = _read_origin(origin) == made_of
            if same:
                files = {k: file for k, file in files.items() if not file.exists()}
                if not files and times.exists():
                    progress.update(round(length / SAMPLE_RATE))
                    continue
            wave = _read(path)
            origin.unlink(missing_ok=True)
            _write(encoder, wave, str(path), files, times, progress)
            if not same:
                _forget(Path(out), name, files)
            with atomic_write(origin) as file:
                json.dump(made_of, file, indent=2)
            written += 1
    kept = f", {len(names) - written} were there" if written < len(names) else ""
    return f"{written} recordings{kept}: {out}"


def name_outputs(audio: Sequence[str | Path]) -> list[str]:
    """File names without endings; where two are the same, with the folders in which they differ.

    Raises:
        UserError: two files differ in nothing but their ending.
    """
    paths = [Path(os.path.abspath(path)).with_suffix("") for path in audio]
    stems = [path.name for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    common = os.path.commonpath([path.parent for path in paths])
    names = [os.path.relpath(path, common) for path in paths]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"two recordings would be written to {twice[0]}.*.npy: name one of them, or use two folders")
    return names


def _identity(path: str | Path) -> list[Any]:
    """Tells one file from another, and from itself after a change."""
    stat = os.stat(path)
    return [os.path.abspath(path), stat.st_size, stat.st_mtime_ns]


def _read_origin(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _forget(out: Path, name: str, written: dict[int, Path]) -> None:
    """Layers of another audio file or checkpoint must not stand beside what was written now."""
    for path in (out / name).parent.glob(f"{glob.escape(Path(name).name)}.layer-*.npy"):
        if path not in written.values():
            path.unlink()


def _wanted(layers: Sequence[int] | None, last: int) -> list[int]:
    if layers is None:
        return [last]
    for layer in layers:
        if not 0 <= layer <= last:
            raise UserError(f"--layers go from 0, the first layer's input, to {last}; got {layer}")
    return sorted(set(layers))


def _samples(path: str | Path) -> int:
    """At 16 kHz, by the header."""
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder: name the audio files in it")
    try:
        info = probe(path)
    except BadAudio as error:
        raise UserError(f"cannot use {path}: {error}") from error
    return -(-info.frames * SAMPLE_RATE // info.sample_rate)


def _read(path: str | Path) -> Tensor:
    try:
        samples, rate = read_mono(Path(path))
    except BadAudio as error:
        raise UserError(f"cannot use {path}: {error}") from error
    return torch.from_numpy(resample(samples, rate))


def _write(
    encoder: SpeechEncoder, wave: Tensor, name: str, files: dict[int, Path], times: Path, progress: tqdm
) -> None:
    encoder.check_length(len(wave), name)  # a header may only estimate it
    frames, states = encoder.frames(len(wave)), encoder.num_layers + 1
    shown, told = len(wave) / SAMPLE_RATE, 0.0
    with ExitStack() as stack:
        opened = {k: stack.enter_context(atomic_write(file, "wb")) for k, file in files.items()}
        for file in opened.values():
            header = {"descr": "<f4", "fortran_order": False, "shape": (frames, len(encoder.model.mask_emb))}
            np.lib.format.write_array_header_1_0(file, header)

        def hear(number: int, first: int, x: Tensor) -> None:
            nonlocal told
            if number in opened:
                opened[number].write(x.float().cpu().numpy().astype("<f4", copy=False).tobytes())
            before, told = told, told + shown * len(x) / frames / states
            progress.update(round(told) - round(before))

        encoder.represent(normalised(wave) if encoder.normalize else wave, hear)
        np.save(stack.enter_context(atomic_write(times, "wb")), encoder.times(len(wave)).numpy())
