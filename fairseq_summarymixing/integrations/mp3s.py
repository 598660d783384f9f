"""SpeechBrain's MP3S benchmark, unmodified, over exported directories.

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

import torch
from torch import Tensor

from ..errors import UserError, exit_status

OPTION = "--use-lengths"


def lengths_of_padded(wav: Tensor) -> Tensor:
    """(B, samples), padded with zeros, to (B,): samples up to the last that is not zero, at least 1."""
    places = torch.arange(1, wav.shape[1] + 1, device=wav.device)
    return ((wav != 0) * places).amax(dim=1).clamp(min=1)


def use_lengths() -> None:
    """Let SpeechBrain's wav2vec 2.0 interfaces tell the model which samples are padding."""
    from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
    from speechbrain.integrations.huggingface.weighted_ssl import WeightedSSLModel

    for interface in (WeightedSSLModel, Wav2Vec2):
        build = interface.__init__

        def __init__(self, *args, build=build, **kwargs):
            build(self, *args, **kwargs)
            self.model.register_forward_pre_hook(_add_mask, with_kwargs=True)

        interface.__init__ = __init__


def _add_mask(model, inputs, named):
    if named.get("attention_mask") is None:
        wav = inputs[0] if inputs else named["input_values"]
        lengths = lengths_of_padded(wav)
        named["attention_mask"] = (torch.arange(wav.shape[1], device=wav.device) < lengths.unsqueeze(1)).long()
    return inputs, named


def main() -> None:
    arguments = [one for one in sys.argv[1:] if one != OPTION]
    if not arguments or not Path(arguments[0]).is_file():
        raise UserError(
            f"expected an MP3S script, such as LibriSpeech/LSTM/train.py; found {arguments[:1] or 'nothing'}"
        )
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
