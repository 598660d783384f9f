"""Provide, by soundfile, functions that tools call in torchaudio and that torchaudio 2.9 and newer lack."""

from __future__ import annotations

import sys
import types
from collections import namedtuple
from typing import Any

import torch

from ..compat import mend_torchaudio

AudioMetaData = namedtuple("AudioMetaData", "sample_rate num_frames num_channels bits_per_sample encoding")


def info(path: Any, **_: Any) -> AudioMetaData:
    """Return a file's rate, length in samples of one channel, and channels."""
    import soundfile

    found = soundfile.info(str(path))
    return AudioMetaData(found.samplerate, found.frames, found.channels, 16, found.subtype)


def load(
    path: Any,
    frame_offset: int = 0,
    num_frames: int = -1,
    normalize: bool = True,
    channels_first: bool = True,
    **_: Any,
) -> tuple[torch.Tensor, int]:
    """Return (channels, samples) in [-1, 1], fp32, and the sample rate."""
    import soundfile

    path = path if hasattr(path, "read") else str(path)
    samples, rate = soundfile.read(path, start=frame_offset, frames=num_frames, dtype="float32", always_2d=True)
    wave = torch.from_numpy(samples)
    return (wave.t() if channels_first else wave), rate


def install() -> None:
    """Make ``import torchaudio`` work and fill the gaps of the installed version; what it has stays.

    Raises:
        ImportError: torchaudio is not installed.
    """
    mend_torchaudio()
    import torchaudio

    since_2_9 = not hasattr(torchaudio, "list_audio_backends")
    gaps = {
        "set_audio_backend": lambda backend: None,
        "get_audio_backend": lambda: "soundfile",
        "list_audio_backends": lambda: ["soundfile"],
        "info": info,
        "AudioMetaData": AudioMetaData,
    }
    for name, stand_in in gaps.items():
        if not hasattr(torchaudio, name):
            setattr(torchaudio, name, stand_in)
    if since_2_9 and not _has_torchcodec():
        torchaudio.load = load
    if "torchaudio.sox_effects" not in sys.modules and not hasattr(torchaudio, "sox_effects"):
        module = types.ModuleType("torchaudio.sox_effects")
        module.apply_effects_tensor = module.apply_effects_file = _no_sox
        sys.modules["torchaudio.sox_effects"] = torchaudio.sox_effects = module


def _has_torchcodec() -> bool:
    """Return whether torchcodec is installed, which ``torchaudio.load`` calls from 2.9 on."""
    try:
        import torchcodec  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # the last two where FFmpeg's libraries are missing
        return False
    return True


def _no_sox(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("this torchaudio has no sox effects")
