"""Run ``fairseq-summarymixing features``: write hidden states of recordings of any length."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints import Checkpoint
from ..data.audio import SAMPLE_RATE
from ..errors import UserError, counted
from ..files import atomic_write
from ..modules.lean.derived import weights_unchanged
from .devices import pick_device, pick_dtype
from .encoder import RecordingEncoder, check_batch_seconds
from .feature_batches import Encode, encodes_of, group_recordings, memory_for_group
from .feature_files import FeatureFiles, refuse_conflicts, refuse_newcomer, refuse_other_dtype, version
from .feature_formats import FORMATS, FeatureFormat, Shape, Shapes
from .feature_store import store_of
from .inputs import Recording, ReportFailure, file_of, find_recordings
from .load_encoder import load_encoder
from .long_form_options import CHUNK_SECONDS
from .progress import AudioProgress, warn, warn_of
from .usable import usable_lengths

TIMES = "times"


def extract(
    checkpoint: str | Path,
    audio: Sequence[str | Path],
    out: str | Path,
    layers: Sequence[int] | str | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
    window_seconds: float | None = None,
    device: str = "auto",
    format: str = "npy",
    report: ReportFailure = warn_of,
    dtype: str = "fp32",
    batch_seconds: float = 0,
) -> str:
    """Write hidden states "layer-K", (T, D) fp32, for each layer asked for, and "times", (T,) fp64 seconds.

    With the format "npy" each is a file, OUT/NAME.layer-K.npy and OUT/NAME.times.npy; with "npz" and "safetensors" a
    recording has one file, OUT/NAME.npz; or all have one, of "NAME/layer-K" and "NAME/times", where ``out`` ends with
    .npz or .safetensors (:mod:`.feature_store`). OUT/NAME.json records what made a recording's files: audio,
    checkpoint, their sizes and times, and the window. Where it holds the same again, files that are whole are left as
    they are, and what is missing is added; where it holds something else, nothing at all is computed or changed.

    Args:
        checkpoint: pre-trained or fine-tuned, ours or stock ``wav2vec2``'s.
        audio: as :func:`.inputs.find_recordings` takes it.
        layers: hidden states, 0 = the first layer's input, k = the output of layer k; "all"; None = the last.
        chunk_seconds: of audio that is computed at a time; the result is the same whatever it is.
        window_seconds: let self-attention see windows of so much; the result is then not that of one pass.
        format: one of :data:`.feature_formats.FORMATS`.
        report: called with path and reason of each recording that cannot be used.
        dtype: of products' factors, as :func:`.devices.pick_dtype` takes it; what is written is fp32.
        batch_seconds: short recordings are computed together, padded, up to so much; values then differ by rounding.

    Returns:
        One line for people.

    Raises:
        UserError: an argument or the checkpoint cannot be used, features of something else stand in ``out`` under the
            same name, or of any recording in another dtype, features are not finite, or the disk is full.
    """
    if format not in FORMATS:
        raise UserError(f"`format` must be one of {', '.join(FORMATS)}; got {format}")
    check_batch_seconds(batch_seconds)
    store = store_of(out, format)
    recordings = find_recordings(audio, report)
    place = pick_device(device)
    dtype = pick_dtype(dtype, place)
    # the checkpoint's version as it is before it is read
    made_by = {"checkpoint": version(checkpoint), "window_seconds": window_seconds, "dtype": dtype}
    encoder = load_encoder(Checkpoint.read(checkpoint), place, chunk_seconds, window_seconds, dtype)
    wanted = _wanted(layers, encoder.num_layers)
    lengths = usable_lengths(recordings, encoder.check_length, report)
    folder = Path(out) if store is None else store.parts
    files = _files(folder, lengths, made_by, FORMATS[format])
    if store is not None and store.is_there({each.name: each.made_of for each in files.values()}, wanted, report):
        return f"0 recordings, {len(files)} were there: {out}"
    refuse_conflicts(list(files.values()))
    refuse_other_dtype(folder, dtype)
    missing = _all_missing(encoder, files, wanted, lengths)
    written, left_out = _write_all(encoder, lengths, files, missing, batch_seconds, report)
    if store is not None:
        store.gather(list(files.values()), wanted, left_out)
    kept = len(files) - len(missing)
    were_there = f", {kept} were there" if kept else ""
    return f"{counted(written, 'recording')}{were_there}: {out}"


def _wanted(layers: Sequence[int] | str | None, last: int) -> list[str]:
    """Return the names of the arrays to write."""
    if layers is None:
        layers = [last]
    elif layers == "all":
        layers = range(last + 1)
    for layer in layers:
        if not 0 <= layer <= last:
            raise UserError(f"`layers` go from 0, the first layer's input, to {last}; got {layer}")
    return [*(f"layer-{layer}" for layer in sorted(set(layers))), TIMES]


def _files(
    folder: Path, recordings: Iterable[Recording], made_by: Mapping[str, Any], format: FeatureFormat
) -> dict[Recording, FeatureFiles]:
    """Return the files of each recording, to be made of its present version."""
    files = {}
    for recording in recordings:
        made_of = {"audio": version(file_of(recording.path), recording.path), **made_by}
        files[recording] = FeatureFiles(folder, recording.name, made_of, format)
    return files


def _shapes(encoder: RecordingEncoder, samples: int) -> Shapes:
    """Return the shapes of all arrays of a recording."""
    frames, width = encoder.frames(samples), len(encoder.model.mask_emb)
    layers = {f"layer-{layer}": Shape((frames, width), "<f4") for layer in range(encoder.num_layers + 1)}
    return {**layers, TIMES: Shape((frames,), "<f8")}


def _all_missing(
    encoder: RecordingEncoder,
    files: Mapping[Recording, FeatureFiles],
    wanted: Sequence[str],
    lengths: Mapping[Recording, int],
) -> dict[Recording, list[str]]:
    """Return which arrays are still to be written, of the recordings that lack some."""
    missing = {recording: _missing(encoder, files[recording], wanted, length) for recording, length in lengths.items()}
    return {recording: arrays for recording, arrays in missing.items() if arrays}


def _missing(encoder: RecordingEncoder, files: FeatureFiles, wanted: Sequence[str], length: int) -> list[str]:
    """Return which arrays are still to be written of a recording of this length by its header.

    A file of several that lacks one is written with all that it holds.
    """
    if not files.are_begun():
        return list(wanted)
    shapes = _shapes(encoder, files.samples() or length)
    whole = files.format.whole(files.base, shapes)
    missing = [name for name in wanted if name not in whole]
    if not (files.format.is_one_file and whole):
        for path in dict.fromkeys(files.format.path(files.base, name) for name in missing):
            if path.exists():
                warn(f"{path} is damaged, and written again")
    elif missing:
        missing = [name for name in shapes if name in whole or name in missing]
    return missing


def _write_all(
    encoder: RecordingEncoder,
    lengths: Mapping[Recording, int],
    files: Mapping[Recording, FeatureFiles],
    missing: Mapping[Recording, Sequence[str]],
    batch_seconds: float,
    report: ReportFailure,
) -> tuple[int, dict[str, str]]:
    """Compute and write what is missing; returns of how many recordings that was, and by path why others cannot be
    used."""
    lengths = {recording: lengths[recording] for recording in missing}
    written, left_out = 0, {}

    def note(path: str, reason: str) -> None:
        left_out[path] = reason
        report(path, reason)

    with AudioProgress.of_recordings(lengths.values(), "features") as progress, weights_unchanged():
        for group in group_recordings(encoder, lengths, batch_seconds):
            with memory_for_group(encoder, group):
                for recording, samples, encode in encodes_of(encoder, group, note):
                    _write(encoder, samples, encode, recording, files[recording], missing[recording], progress)
                    written += 1
    return written, left_out


def _write(
    encoder: RecordingEncoder,
    samples: int,
    encode: Encode,
    recording: Recording,
    files: FeatureFiles,
    missing: Sequence[str],
    progress: AudioProgress,
) -> None:
    """Write what is missing of a recording, all of it or nothing."""
    refuse_newcomer(files)
    shapes = _shapes(encoder, samples)
    with ExitStack() as stack:
        write = stack.enter_context(files.format.writing(files.base, {array: shapes[array] for array in missing}))
        # Entered last, it is in place first: what a killed run leaves is known to be whose it is
        origin = None if files.are_begun() else stack.enter_context(atomic_write(files.origin))
        if TIMES in missing:
            write(TIMES, encoder.times(samples).numpy())
        count = progress.chunks_of(samples / SAMPLE_RATE, encoder.frames(samples), encoder.num_layers + 1)

        def take(number: int, first: int, x: Tensor) -> None:
            if f"layer-{number}" in missing:
                if not torch.isfinite(x).all():
                    raise UserError(
                        f"layer {number} of {recording.path} is not finite from frame {first} on: the checkpoint's "
                        "training had diverged; use an earlier one. Nothing was written of this recording"
                    )
                write(f"layer-{number}", x.float().cpu().numpy())
            count(number, first, x)

        if any(array != TIMES for array in missing):
            encode(take)
        refuse_newcomer(files)  # that has come while this was computed
        if origin is not None:
            json.dump({**files.made_of, "samples": samples}, origin, indent=2)
