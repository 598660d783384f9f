"""Run ``fairseq-summarymixing features --codes``: write the quantiser's choices for recordings of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints import Checkpoint
from ..data.audio import SAMPLE_RATE
from ..errors import UserError, counted, printable
from ..files import atomic_write, check_folder
from ..modules.long_form_frontend import features_in_chunks
from .devices import pick_device
from .encoder import RecordingEncoder, memory_for_recording
from .inputs import ReportFailure, find_recordings
from .load_encoder import load_quantising_model
from .long_form_options import CHUNK_SECONDS
from .progress import AudioProgress, warn_of
from .usable import read_usable, usable_lengths

CODES = "codes.tsv"


def extract_codes(
    checkpoint: str | Path,
    audio: Sequence[str | Path],
    out: str | Path,
    chunk_seconds: float = CHUNK_SECONDS,
    device: str = "auto",
    report: ReportFailure = warn_of,
) -> str:
    """Write OUT/codes.tsv, a line for each recording: its name, a tab, and a code for each frame.

    A code is the indices of the codebook entries that the quantiser of pre-training chooses without noise, one for each
    group, joined by "-" as in fairseq's vq-wav2vec: "12-301".

    Args:
        checkpoint: pre-trained with a quantiser, ours or stock ``wav2vec2``'s.
        audio, chunk_seconds, report: as of :func:`.features.extract`.

    Returns:
        One line for people.

    Raises:
        UserError: an argument or the checkpoint cannot be used, or the disk is full.
    """
    check_folder(out)
    if Path(out).suffix == ".tsv" and not Path(out).exists():
        raise UserError(f"`out` {out}: codes are written to {CODES} in a folder; name the folder")
    recordings = find_recordings(audio, report)
    read = Checkpoint.read(checkpoint)
    encoder = RecordingEncoder(load_quantising_model(read, pick_device(device)), read.normalize, chunk_seconds, None)
    lengths = usable_lengths(recordings, encoder.check_frames, report)
    path, written = Path(out) / CODES, 0
    with AudioProgress.of_recordings(lengths.values(), "codes") as progress, atomic_write(path) as file:
        for recording in lengths:
            with memory_for_recording(recording.path, encoder):
                wave = read_usable(recording, encoder.check_frames, report)
                if wave is None:
                    continue
                file.write(printable(recording.name) + "\t")
                wave = encoder.prepared(wave)
                file.writelines(_spelled(quantise(encoder, wave, recording.path)))
            file.write("\n")
            written += 1
            progress.add(len(wave) / SAMPLE_RATE)
    return f"{counted(written, 'recording')}: {path}"


@torch.no_grad()
def quantise(encoder: RecordingEncoder, wave: Tensor, name: str) -> Iterator[Tensor]:
    """Yield the indices (n, G) of the codebook entries of all frames of (samples,), chunk by chunk.

    Args:
        encoder: of :func:`.load_quantising_model`.
        wave: at 16 kHz, as :meth:`RecordingEncoder.prepared` gives it.
        name: of the recording, for the error.

    Raises:
        UserError: the features are not finite.
    """
    model, chunk = encoder.model, max(1, round(encoder.chunk_seconds * encoder.frames_per_second))
    for features in features_in_chunks(model, wave.to(model.mask_emb.device), chunk):
        if not torch.isfinite(features).all():
            raise UserError(
                f"the features of {name} are not finite: the checkpoint's training had diverged; use an earlier one. "
                "Nothing was written"
            )
        yield model.quantizer(features[0]).codes


def _spelled(chunks: Iterator[Tensor]) -> Iterator[str]:
    """Yield the text of codes (n, G), of chunks that follow each other."""
    space = ""
    for codes in chunks:
        yield space + " ".join("-".join(map(str, groups)) for groups in codes.tolist())
        space = " "
