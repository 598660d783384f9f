"""Run ``fairseq-summarymixing features``: write hidden states of recordings of any length as NumPy files."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoints import Checkpoint
from ..data.audio import BadAudio, probe, read_mono, resample
from ..errors import UserError
from ..files import atomic_write
from .encoder import SAMPLE_RATE, RecordingEncoder, load_encoder, normalised, pick_device
from .feature_files import FeatureFiles, is_whole, refuse_conflicts, refuse_newcomer, version


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

    OUT/NAME.json records what made a recording's files: audio, checkpoint, their sizes and times, and the window. Where
    it holds the same again, files that are whole are left as they are, and what is missing is added; where it holds
    something else, nothing at all is computed or changed.

    Args:
        checkpoint: pre-trained or fine-tuned, ours or stock ``wav2vec2``'s.
        audio: files of any sample rate.
        layers: hidden states, 0 = the first layer's input, k = the output of layer k; None = the last.
        block_seconds: of audio that is computed at a time; the result is the same whatever it is.
        window_seconds: let self-attention see windows of so much; the result is then not that of one pass.

    Returns:
        One line for people.

    Raises:
        UserError: an argument, the checkpoint or a recording cannot be used, features of something else stand in
            ``out`` under the same name, features are not finite, or the disk is full.
    """
    if not str(out):
        raise UserError("`out` is empty: name a folder")
    names = name_outputs(audio)
    lengths = [_samples(path) for path in audio]
    made_by = {"checkpoint": version(checkpoint), "window_seconds": window_seconds}  # as it is before it is read
    encoder = load_encoder(Checkpoint.read(checkpoint), pick_device(device), block_seconds, window_seconds)
    wanted = _wanted(layers, encoder.num_layers)
    for path, length in zip(audio, lengths):
        encoder.check_length(length, str(path))
    recordings = [
        FeatureFiles(Path(out), name, {"audio": version(path), **made_by}) for path, name in zip(audio, names)
    ]
    refuse_conflicts(recordings)
    written = 0
    with tqdm(total=round(sum(lengths) / SAMPLE_RATE), unit="s", desc="features", disable=None) as progress:
        for path, files, length in zip(audio, recordings, lengths):
            missing = _missing(encoder, files, wanted, length)
            if missing:
                _write(encoder, _read(path), str(path), files, missing, progress)
                written += 1
            else:
                progress.update(round(length / SAMPLE_RATE))
    kept = f", {len(names) - written} were there" if written < len(names) else ""
    return f"{written} recordings{kept}: {out}"


def name_outputs(audio: Sequence[str | Path]) -> list[str]:
    """Return file names without endings; where two are the same, with the folders in which they differ.

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


def _missing(encoder: RecordingEncoder, files: FeatureFiles, layers: Sequence[int], length: int) -> list[Path]:
    """Return what is still to be written of a recording of this length by its header: layers, times."""
    expected = [*map(files.layer, layers), files.times]
    if not files.are_begun():
        return expected
    frames, width = encoder.frames(files.samples() or length), len(encoder.model.mask_emb)
    missing = [path for path in expected[:-1] if not is_whole(path, (frames, width), "<f4")]
    missing += [] if is_whole(files.times, (frames,), "<f8") else [files.times]
    for path in missing:
        if path.exists():
            tqdm.write(f"{path} is damaged, and written again", file=sys.stderr)
    return missing


def _wanted(layers: Sequence[int] | None, last: int) -> list[int]:
    if layers is None:
        return [last]
    for layer in layers:
        if not 0 <= layer <= last:
            raise UserError(f"`layers` go from 0, the first layer's input, to {last}; got {layer}")
    return sorted(set(layers))


def _samples(path: str | Path) -> int:
    """Return the recording's length at 16 kHz, by its header."""
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
    encoder: RecordingEncoder, wave: Tensor, name: str, files: FeatureFiles, missing: Sequence[Path], progress: tqdm
) -> None:
    """Write what is missing of a recording, all of it or nothing."""
    encoder.check_length(len(wave), name)  # a header may only estimate it
    refuse_newcomer(files)
    with ExitStack() as stack:
        opened = {path: stack.enter_context(atomic_write(path, "wb")) for path in missing}
        # Entered last, it is in place first: what a killed run leaves is known to be whose it is
        origin = None if files.are_begun() else stack.enter_context(atomic_write(files.origin))
        if files.times in opened:
            np.save(opened[files.times], encoder.times(len(wave)).numpy().astype("<f8", copy=False))
        layers = {k: opened[files.layer(k)] for k in range(encoder.num_layers + 1) if files.layer(k) in opened}
        if layers:
            _compute(encoder, wave, name, layers, progress)
        refuse_newcomer(files)  # that has come while this was computed
        if origin is not None:
            json.dump({**files.made_of, "samples": len(wave)}, origin, indent=2)


def _compute(encoder: RecordingEncoder, wave: Tensor, name: str, layers: dict[int, IO[bytes]], progress: tqdm) -> None:
    """Write the hidden states of these layers as they are computed."""
    frames, states = encoder.frames(len(wave)), encoder.num_layers + 1
    for file in layers.values():
        header = {"descr": "<f4", "fortran_order": False, "shape": (frames, len(encoder.model.mask_emb))}
        np.lib.format.write_array_header_1_0(file, header)
    seconds, shown = len(wave) / SAMPLE_RATE, 0.0

    def take(number: int, first: int, x: Tensor) -> None:
        nonlocal shown
        if number in layers:
            if not torch.isfinite(x).all():
                raise UserError(
                    f"layer {number} of {name} is not finite from frame {first} on: nothing was written of it"
                )
            layers[number].write(x.float().cpu().numpy().astype("<f4", copy=False).tobytes())
        before, shown = shown, shown + seconds * len(x) / frames / states
        progress.update(round(shown) - round(before))

    encoder.encode(normalised(wave) if encoder.normalize else wave, take)
