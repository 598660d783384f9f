"""Handle gradients that are NaN or infinite: let fairseq search for them, and ask the task for their cause."""

import contextlib
from typing import Any, Iterator

from ..errors import UserError
from ..modules.lean.recompute import store_everything
from ..protocols import PretrainingTask
from .guard import guard


def install() -> None:
    """Guard a step of the trainer, and let its search for NaN work with recomputation."""
    from fairseq.trainer import Trainer

    guard(Trainer, "train_step", finite_gradients)
    store_everything_while_looking_for_nan()


@contextlib.contextmanager
def finite_gradients(trainer: Any, samples: Any, *args, **kwargs) -> Iterator[None]:
    """Ask the task for the cause of gradients that are NaN or infinite, where it knows to name it."""
    try:
        yield
    except FloatingPointError as error:
        knows = isinstance(trainer.task, PretrainingTask)
        message = trainer.task.explain_not_finite(trainer, samples) if knows else None
        if message is None:
            raise
        raise UserError(message) from error


def store_everything_while_looking_for_nan() -> None:
    """Store everything while fairseq looks for NaN: when gradients are not finite, its trainer repeats the step inside
    a NanDetector, whose hooks keep tensors the first time that they print and not the second, which torch's
    checkpointing refuses."""
    from fairseq.nan_detector import NanDetector

    enter, leave = NanDetector.__enter__, NanDetector.__exit__

    def __enter__(self):
        self.keeping = store_everything()
        self.keeping.__enter__()
        return enter(self)

    def __exit__(self, kind, error, trace):
        self.keeping.__exit__(None, None, None)
        return leave(self, kind, error, trace)

    NanDetector.__enter__, NanDetector.__exit__ = __enter__, __exit__
