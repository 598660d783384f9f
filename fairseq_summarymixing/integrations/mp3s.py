"""Run SpeechBrain's MP3S benchmark, unmodified, over exported directories.

    python -m fairseq_summarymixing.integrations.mp3s [--use-lengths] TRAIN.py HPARAMS.yaml --ssl_hub=DIR ...

runs the recipe's own script with its own arguments. Our classes are registered, so that no code of the directory is
run, and what current torchaudio versions lack is filled in. The scripts pass zero-padded batches without lengths, so
padding enters SummaryMixing's averages (and attention); ``--use-lengths`` gives the model the lengths, as the papers'
experiments did.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError, exit_status

OPTION = "--use-lengths"
SHORTEST = 1600  # samples; enough for a frame of every front end


def lengths_of_padded(wav: Tensor) -> Tensor:
    """Return the lengths (B,) of (B, samples), padded with zeros: samples up to the last that is not zero, at least
    0.1 s.

    Zeros at the end of a recording are indistinguishable from padding; they count as padding alone and in a batch.
    """
    places = torch.arange(1, wav.shape[1] + 1, device=wav.device)
    return ((wav != 0) * places).amax(dim=1).clamp(min=min(SHORTEST, wav.shape[1]))


def use_lengths() -> None:
    """Let each WeightedSSLModel that is built from now on give its model the padding mask of the samples."""
    try:
        from speechbrain.integrations.huggingface import huggingface
    except ImportError:  # before 1.1
        from speechbrain.lobes.models.huggingface_transformers import huggingface

    # SpeechBrain 1.1 loads WeightedSSLModel once more for each old name of its module; the base class exists once.
    base = huggingface.HFTransformersInterface
    build = base.__init__

    def __init__(self, *args, **kwargs):
        build(self, *args, **kwargs)
        if type(self).__name__ == "WeightedSSLModel":
            self.model.register_forward_pre_hook(_add_mask, with_kwargs=True)

    base.__init__ = __init__


def _add_mask(model: nn.Module, inputs: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    wav = inputs[0] if inputs else named["input_values"]
    if named.get("attention_mask") is not None:
        return inputs, named
    places = torch.arange(wav.shape[1], device=wav.device)
    return inputs, {**named, "attention_mask": (places < lengths_of_padded(wav).unsqueeze(1)).long()}


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != OPTION]
    if not arguments or not Path(arguments[0]).is_file():
        found = arguments[0] if arguments else "nothing"
        raise UserError(f"expected an MP3S script, such as LibriSpeech/LSTM/train.py; found {found}")
    try:
        from .torchaudio_shim import install

        install()
        import speechbrain  # noqa: F401

        from .. import hf  # noqa: F401 (registers our classes)
    except ImportError as error:
        raise UserError(f"this needs speechbrain and transformers: {error}") from error
    if OPTION in sys.argv[1:]:
        use_lengths()
    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    sys.exit(exit_status(main))
