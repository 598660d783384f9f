"""Build the fairseq model of a checkpoint, as fairseq itself builds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from ..checkpoints import Checkpoint
from ..checkpoints.for_fairseq import state_for_fairseq
from ..checkpoints.misfit import misfit
from ..compat import quiet_fairseq
from ..errors import UserError
from ..plugin.messages import is_about


class Restored(NamedTuple):
    """A fairseq model in evaluation mode, and what belongs to it."""

    model: torch.nn.Module
    config: Any
    """fairseq's, an omegaconf DictConfig."""
    task: Any


def restore(checkpoint: Checkpoint, overrides: Mapping[str, Any] | None = None) -> Restored:
    """Build the model of a checkpoint and load its parameters, strictly.

    Args:
        overrides: values by field name, set wherever the configuration has a field of that name.

    Raises:
        UserError: the model, or the model inside it, is unknown here, or does not fit its parameters.
    """
    path = checkpoint.path
    with quiet_fairseq():
        from fairseq import checkpoint_utils
        from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY

        from .. import models, tasks  # noqa: F401 (registers our names)

        for name in (checkpoint.name, checkpoint.encoder_name):
            if name is not None and name not in MODEL_REGISTRY and name not in ARCH_MODEL_REGISTRY:
                raise UserError(f"{path} needs the model {name!r}, which is not installed here")
        prepared = state_for_fairseq(checkpoint, overrides or {})
        if "target_dictionary" not in (prepared.get("task_state") or {}):
            prepared.pop("task_state", None)
        try:
            (model,), config, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], state=prepared)
        except Exception as error:  # of any kind, by the values that the configuration holds
            do_not_fit = is_about(error, "parameters that do not fit")
            reason = f"{'its parameters and its configuration do not fit: ' if do_not_fit else ''}{misfit(error)}"
            raise UserError(f"the model in {path} cannot be built: {reason}") from error
    return Restored(model.eval(), config, task)
