"""Check the pre-trained model that fine-tuning starts from, and let fine-tuning skip recordings that cannot be used."""

import contextlib
from typing import Any, Iterator

from ..checkpoints import Checkpoint
from ..checkpoints.misfit import Misfit, misfit
from ..checkpoints.names import PRETRAINED_MODELS
from ..errors import UserError
from .configuration import complete_config
from .guard import guard
from .messages import is_about

STOCK_TASK = "audio_finetuning"


def install() -> None:
    """Guard the functions by which fairseq builds models and tasks."""
    from fairseq import models, tasks

    guard(models, "build_model", fitting_pretrained_model)
    guard(tasks, "setup_task", resilient_task)


@contextlib.contextmanager
def resilient_task(*args, **kwargs) -> Iterator[None]:
    """Let fairseq's task of fine-tuning be ours of a similar name; the configuration stays stock's."""
    from fairseq.tasks import TASK_REGISTRY

    TASK_REGISTRY[STOCK_TASK] = TASK_REGISTRY.get(f"{STOCK_TASK}_summarymixing", TASK_REGISTRY[STOCK_TASK])
    yield


@contextlib.contextmanager
def fitting_pretrained_model(cfg: Any, task: Any = None, from_checkpoint: bool = False) -> Iterator[None]:
    """Check that ``w2v_path`` names a pre-trained encoder whose parameters fit its configuration."""
    with complete_config():
        path = getattr(cfg, "w2v_path", None)
        fields = cfg if hasattr(cfg, "keys") else vars(cfg)  # omegaconf 2.0 has every attribute, None
        if "w2v_path" in fields and not path and not getattr(cfg, "w2v_args", None):
            raise UserError("model.w2v_path is empty: name the pre-trained checkpoint to fine-tune")
        try:
            yield
        except Misfit as error:
            raise UserError(f"model.w2v_path={path}: {error}") from error
        except (AssertionError, AttributeError, KeyError, RuntimeError) as error:
            if not path:
                raise
            name = Checkpoint.read(path).name
            if name not in PRETRAINED_MODELS:
                raise UserError(
                    f"model.w2v_path={path} holds a model of type {name}; expected a pre-trained encoder, "
                    f"{' or '.join(PRETRAINED_MODELS)}"
                ) from error
            if is_about(error, "another normalisation"):
                raise UserError(
                    f"task.normalize differs from that of model.w2v_path={path}: set it as the pre-training did"
                ) from error
            if is_about(error, "parameters that do not fit"):
                raise UserError(
                    f"model.w2v_path={path}: its parameters and its configuration do not fit: {misfit(error)}"
                ) from error
            raise
