"""Keep the encoder of SpeechBrain's WeightedSSLModel as it was pre-trained while a probe is trained on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def freeze(weighted: nn.Module) -> None:
    """Compute a WeightedSSLModel's encoder in evaluation mode and without gradients, and leave it out of checkpoints.

    SpeechBrain puts all modules into training mode, in which dropout and SpecAugment act, propagates gradients through
    the encoder since 1.0.3, and stores it with each probe; its own ``freeze`` changes none of this. The weights of the
    layers are still trained and stored.
    """
    encoder = weighted.model
    encoder.requires_grad_(False).eval()
    encoder.train = lambda mode=True: encoder
    encoder.forward = torch.no_grad()(encoder.forward)
    weighted._register_state_dict_hook(_leave_encoder_out)
    weighted._register_load_state_dict_pre_hook(_keep_encoder, with_module=True)


def _leave_encoder_out(weighted: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}model.")]:
        del state[name]


def _keep_encoder(weighted: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    state.update({f"{prefix}model.{name}": value for name, value in weighted.model.state_dict().items()})
