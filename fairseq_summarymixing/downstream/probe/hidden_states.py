"""Keep the hidden states of a frozen encoder on disk: computed once, read as often as probes are trained on them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ... import __version__
from ...checkpoints import Checkpoint
from ...data.audio import SAMPLE_RATE, BadAudio
from ...errors import UserError
from ...files import atomic_write, make_folder
from ...json_files import read_json
from ..devices import pick_device
from ..encoder import RecordingEncoder
from ..feature_files import version
from ..inputs import file_of, read_wave
from ..load_encoder import load_encoder
from ..long_form_options import CHUNK_SECONDS
from ..progress import AudioProgress

PART_SECONDS = 600  # of audio in one file: what is lost where a run is killed
DTYPE = np.dtype("<f2")


@dataclass(frozen=True)
class LongForm:
    """How long recordings are computed, and where; as :class:`..encoder.RecordingEncoder` takes it."""

    chunk_seconds: float = CHUNK_SECONDS
    window_seconds: float | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Part:
    """A file of hidden states of some recordings, one after the other, and the JSON file that describes it."""

    base: Path
    paths: Sequence[str]

    @property
    def states(self) -> Path:
        return self.base.with_suffix(".f16")

    @property
    def description(self) -> Path:
        return self.base.with_suffix(".json")

    def shapes(self) -> list[tuple[int, int, int]] | None:
        """Return the shape (states, frames, features) of each recording; None where the part is not whole."""
        try:
            found = read_json(self.description)
            shapes = [(found["states"], frames, found["width"]) for frames in found["frames"]]
            is_whole = os.path.getsize(self.states) == DTYPE.itemsize * sum(map(np.prod, shapes))
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return shapes if is_whole and len(shapes) == len(self.paths) else None


@dataclass(frozen=True)
class HiddenStates:
    """The hidden states of recordings, on disk.

    Each recording has (L + 1, T, D) fp16, the input of the first layer and the output of each of the L layers; every
    frame is normalised to mean 0 and variance 1 over its D features, so that no layer outweighs another by its scale.

    Attributes:
        num_states: L + 1.
        width: D.
    """

    num_states: int
    width: int
    _places: Mapping[str, tuple[Path, int, tuple[int, int, int]]]
    _files: dict[Path, np.memmap] = field(default_factory=dict)

    def __getitem__(self, path: str) -> np.ndarray:
        """Return the states of a recording, mapped into memory."""
        file, start, shape = self._places[path]
        if file not in self._files:
            self._files[file] = np.memmap(file, DTYPE, "r")
        return self._files[file][start : start + int(np.prod(shape))].reshape(shape)

    def frames(self, path: str) -> int:
        return self._places[path][2][1]


def compute_hidden_states(
    checkpoint: Checkpoint,
    digest: str,
    recordings: Mapping[str, int],
    folder: Path,
    name: str,
    long_form: LongForm,
) -> HiddenStates:
    """Compute what is missing of the hidden states of a split, and open them.

    They stand in ``folder/ENCODER/NAME-RECORDINGS``, where ENCODER depends on the encoder's fields and parameters and
    RECORDINGS on the paths, sizes and times of the files: nothing that was made of something else is taken for them.

    Args:
        digest: of :func:`encoder_digest`.
        recordings: length in samples by path, as far as it is known.
        name: of the split.

    Raises:
        UserError: a recording cannot be read, is too short for a frame or too long for self-attention, states are not
            finite, or the disk is too small.
    """
    made_of = _digest([digest, long_form.window_seconds, __version__])
    parts = plan_parts(folder / made_of / f"{name}-{recordings_digest(recordings)}", recordings)
    missing = [part for part in parts if part.shapes() is None]
    if missing:
        encoder = load_encoder(
            checkpoint, pick_device(long_form.device), long_form.chunk_seconds, long_form.window_seconds
        )
        seconds = sum(recordings[path] for part in missing for path in part.paths) / SAMPLE_RATE
        _check_disk(encoder, seconds, folder)
        with AudioProgress(seconds, f"hidden states of {name}") as progress:
            for part in missing:
                _write_part(encoder, part, checkpoint, progress)
    return _open(parts)


def encoder_digest(checkpoint: Checkpoint) -> str:
    """Return a digest of all that an encoder's hidden states depend on: its fields, parameters and normalisation."""
    fields = {name: str(value) for name, value in checkpoint.encoder_fields.items()}
    digest = hashlib.sha256(json.dumps([fields, checkpoint.normalize], sort_keys=True).encode())
    for name, value in sorted(checkpoint.encoder_weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def recordings_digest(paths: Iterable[str]) -> str:
    """Return a digest of the paths, sizes and times of recordings; raises UserError where a file is not there."""
    return _digest([version(file_of(path), path) for path in paths])


def plan_parts(folder: Path, recordings: Mapping[str, int]) -> list[Part]:
    """Distribute recordings over files of :data:`PART_SECONDS` of audio at most, or of one recording."""
    groups: list[list[str]] = []
    total = 0
    for path, samples in recordings.items():
        if not groups or total + samples > PART_SECONDS * SAMPLE_RATE:
            groups.append([])
            total = 0
        groups[-1].append(path)
        total += samples
    return [Part(folder / f"{number:05d}", paths) for number, paths in enumerate(groups)]


def _open(parts: Sequence[Part]) -> HiddenStates:
    places, shape = {}, (0, 0, 0)
    for part in parts:
        start = 0
        for path, shape in zip(part.paths, part.shapes()):
            places[path] = (part.states, start, shape)
            start += int(np.prod(shape))
    return HiddenStates(shape[0], shape[2], places)


def _write_part(encoder: RecordingEncoder, part: Part, checkpoint: Checkpoint, progress: AudioProgress) -> None:
    states, width, frames = encoder.num_layers + 1, len(encoder.model.mask_emb), []
    with ExitStack() as stack:
        file = stack.enter_context(atomic_write(part.states, "wb"))
        description = stack.enter_context(atomic_write(part.description))
        start = 0
        for path in part.paths:
            wave = _read(encoder, path)
            length = encoder.frames(len(wave))
            count = progress.chunks_of(len(wave) / SAMPLE_RATE, length, states)

            def take(number: int, first: int, x: Tensor, path=path, start=start, length=length, count=count) -> None:
                x = F.layer_norm(x.float(), x.shape[-1:])
                if not torch.isfinite(x).all():
                    raise UserError(
                        f"{checkpoint.path}: layer {number} of {path} is not finite: its training had diverged; use an "
                        "earlier checkpoint"
                    )
                file.seek(start + (number * length + first) * width * DTYPE.itemsize)
                file.write(x.cpu().numpy().astype(DTYPE).tobytes())
                count(number, first, x)

            encoder.encode(encoder.prepared(wave), take)
            frames.append(length)
            start += states * length * width * DTYPE.itemsize
        origin = {"checkpoint": str(checkpoint.path), "recordings": list(part.paths)}
        json.dump({"states": states, "width": width, "frames": frames, **origin}, description)


def _read(encoder: RecordingEncoder, path: str) -> Tensor:
    try:
        wave = read_wave(path)
    except BadAudio as error:
        raise UserError(f"cannot use {path}: {error}; mend it, or leave it out of the manifest") from error
    encoder.check_length(len(wave), path)
    return wave


def _check_disk(encoder: RecordingEncoder, seconds: float, folder: Path) -> None:
    states, width = encoder.num_layers + 1, len(encoder.model.mask_emb)
    needed = int(seconds * encoder.frames_per_second * states * width * DTYPE.itemsize)
    make_folder(folder)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"the hidden states of {seconds / 3600:.1f} h need {needed / 1e9:.1f} GB, and {folder} has "
            f"{free / 1e9:.1f} GB left: name another folder in `states`"
        )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
