"""Use exported directories in s3prl: an upstream expert, and ``run_downstream`` with it.

    python -m fairseq_summarymixing.integrations.s3prl -u summarymixing_local -k DIR -d asr -m train -n NAME

runs s3prl's own ``run_downstream`` with its own arguments. In Python, :func:`register` and then
``S3PRLUpstream("summarymixing_local", path_or_url=DIR)``.
"""

from __future__ import annotations

import argparse
import sys
import types
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ..checkpoints.hf_directory import read_config, read_preprocessor
from ..errors import UserError, exit_status

NAME = "summarymixing_local"


class UpstreamExpert(nn.Module):
    """An s3prl upstream over a directory of ``export hf``, ours or stock wav2vec 2.0.

    Raises:
        UserError: ``ckpt`` is no such directory.
    """

    def __init__(self, ckpt: str, model_config: Any = None, **_: Any):
        super().__init__()
        from transformers import AutoModel

        from .. import hf  # noqa: F401 (registers our classes: no code of the directory is run)

        read_config(ckpt)
        self.model = AutoModel.from_pretrained(ckpt, trust_remote_code=False, layerdrop=0.0, apply_spec_augment=False)
        preprocessor = read_preprocessor(ckpt)
        self.normalize = preprocessor.get("do_normalize", True)  # transformers' own defaults
        self.masked = preprocessor.get("return_attention_mask", False)

    def get_downsample_rates(self, key: str) -> int:
        """Return the samples per frame, the same for all layers."""
        return self.model.config.inputs_to_logits_ratio

    def forward(self, wavs: list[Tensor]) -> dict[str, list[Tensor]]:
        """Compute the hidden states of a list of waveforms. wavs: (samples,) each, 16 kHz.

        ``hidden_states``: (B, T, D) for the first layer's input and each layer's output, their number always the
        same; ``last_hidden_state``: (B, T, D), the encoder's output.
        """
        if self.normalize:
            wavs = [F.layer_norm(wave, wave.shape) for wave in wavs]
        lengths = torch.tensor([len(wave) for wave in wavs], device=wavs[0].device)
        padded = pad_sequence(wavs, batch_first=True)
        mask = (torch.arange(padded.shape[1], device=padded.device) < lengths.unsqueeze(1)).long()
        output = self.model(padded, attention_mask=mask if self.masked else None, output_hidden_states=True)
        return {"hidden_states": list(output.hidden_states), "last_hidden_state": output.last_hidden_state}


def summarymixing_local(ckpt: str, *args: Any, **kwargs: Any) -> UpstreamExpert:
    """Return the upstream expert of a directory, as the entry in ``s3prl.hub``."""
    return UpstreamExpert(ckpt, *args, **kwargs)


def register() -> None:
    """Make ``s3prl.hub`` importable beside current packages and put :data:`NAME` there."""
    from .torchaudio_shim import install

    install()
    _fill_huggingface_hub()
    _trust_arguments()
    import s3prl.hub

    setattr(s3prl.hub, NAME, summarymixing_local)


def _fill_huggingface_hub() -> None:
    """Add to huggingface_hub the names, for uploads alone, that s3prl 0.4.18 imports and 1.0 removed."""
    import huggingface_hub

    for name in ("HfFolder", "Repository"):
        if not hasattr(huggingface_hub, name):
            setattr(huggingface_hub, name, types.SimpleNamespace(get_token=lambda: None))


def _trust_arguments() -> None:
    """Declare the arguments that s3prl 0.4.18 keeps in checkpoints safe: it reads them back without ``weights_only``,
    which is true by default from torch 2.6 on."""
    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals([argparse.Namespace])


def main() -> None:
    try:
        register()
        from s3prl.run_downstream import main as run_downstream
    except ImportError as error:
        raise UserError(f"this needs s3prl ({error}): pip install -r tests/ecosystem/requirements-s3prl.txt") from error
    run_downstream()


if __name__ == "__main__":
    sys.exit(exit_status(main))
