"""Run a recipe of SpeechBrain's MP3S benchmark, unmodified, over an exported directory.

    python -m fairseq_summarymixing.integrations.mp3s [--use-lengths] [--normalise] [--frozen] \\
        [--layer-weights FILE] TRAIN.py HPARAMS.yaml --ssl_hub=DIR ...

runs the recipe's own script with its own arguments. Our classes are registered, so that no code of the directory is
run; what current torchaudio versions lack is filled in, in worker processes too; and Python's own random numbers, which
split and crop VoxCeleb1, follow --seed as torch's do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError, exit_status
from ..files import atomic_write
from .frozen_encoder import freeze

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
    on_each_encoder(lambda weighted: weighted.model.register_forward_pre_hook(_add_mask, with_kwargs=True))


def normalise() -> None:
    """Let each WeightedSSLModel that is built from now on give its model waveforms of mean 0 and variance 1."""
    on_each_encoder(lambda weighted: weighted.model.register_forward_pre_hook(_normalise, with_kwargs=True))


def _normalise(model: nn.Module, inputs: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    wav = inputs[0] if inputs else named.pop("input_values")
    return (normalised(wav), *inputs[1:]), named


def normalised(wav: Tensor) -> Tensor:
    """Return (B, samples), padded with zeros, with mean 0 and variance 1 over the samples of each recording, as fairseq
    normalises; padding stays 0."""
    lengths = lengths_of_padded(wav).unsqueeze(1)
    padding = torch.arange(wav.shape[1], device=wav.device) >= lengths
    centred = (wav - wav.sum(dim=1, keepdim=True) / lengths).masked_fill(padding, 0)
    return centred * (centred.square().sum(dim=1, keepdim=True) / lengths + 1e-5).rsqrt()


def on_each_encoder(prepare: Callable[[nn.Module], Any]) -> None:
    """Call a function with each WeightedSSLModel that is built from now on."""
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
            prepare(self)

    base.__init__ = __init__


def _add_mask(model: nn.Module, inputs: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    wav = inputs[0] if inputs else named["input_values"]
    if named.get("attention_mask") is not None:
        return inputs, named
    places = torch.arange(wav.shape[1], device=wav.device)
    return inputs, {**named, "attention_mask": (places < lengths_of_padded(wav).unsqueeze(1)).long()}


def let_workers_inherit() -> None:
    """Start worker processes as copies of this one, with all that was filled in. Another start method, the default of
    macOS and of Python 3.14, imports everything anew, and cannot send the recipes' data sets."""
    if "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)


def write_layer_weights(encoders: list[nn.Module], path: str | Path) -> None:
    """Write the softmax of the layers' weights, from the input of the first layer to the output of the last, as JSON.
    After a recipe they are those of the tested probe."""
    with atomic_write(path) as file:
        json.dump(torch.softmax(encoders[-1].weights.detach().float(), dim=-1).tolist(), file)


def main() -> None:
    args = _parser().parse_args()
    if not args.script.is_file():
        raise UserError(f"expected an MP3S script, such as LibriSpeech/LSTM/train.py; found {args.script}")
    try:
        from .torchaudio_shim import install

        install()
        import speechbrain  # noqa: F401

        from .. import hf  # noqa: F401 (registers our classes)
    except ImportError as error:
        raise UserError(
            f"this needs speechbrain and transformers ({error}): "
            "pip install -r tests/ecosystem/requirements-speechbrain.txt"
        ) from error
    encoders: list[nn.Module] = []
    on_each_encoder(encoders.append)
    if args.use_lengths:
        use_lengths()
    if args.normalise:  # after the lengths, which are read off zeros that it keeps
        normalise()
    if args.frozen:
        on_each_encoder(freeze)
    let_workers_inherit()
    _run(args.script, args.arguments)
    if args.layer_weights and encoders:
        write_layer_weights(encoders, args.layer_weights)


def _run(script: Path, arguments: list[str]) -> None:
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    random.seed(next((argument for argument in arguments if argument.startswith("--seed=")), None))
    runpy.run_path(str(script), run_name="__main__")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--use-lengths",
        action="store_true",
        help="give the model the lengths of the recordings, as the papers' experiments did: the scripts pass zero-"
        "padded batches without, so that padding enters SummaryMixing's averages (and attention)",
    )
    parser.add_argument(
        "--normalise",
        action="store_true",
        help="give the model waveforms of mean 0 and variance 1; for one whose preprocessor_config.json has "
        "do_normalize, which SpeechBrain ignores",
    )
    parser.add_argument(
        "--frozen",
        action="store_true",
        help="compute the encoder in evaluation mode and without gradients, and do not store it with the probe",
    )
    parser.add_argument("--layer-weights", metavar="FILE", help="write the learned weights of the layers as JSON")
    parser.add_argument("script", type=Path, metavar="TRAIN.py")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="HPARAMS.yaml --ssl_hub=DIR ...")
    return parser


if __name__ == "__main__":
    sys.exit(exit_status(main))
