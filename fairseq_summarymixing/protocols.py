"""The protocols by which task and model call each other, and defaults for tasks and models that do not define them."""

from typing import Any, Dict, List, Optional, Protocol, runtime_checkable


@runtime_checkable
class PretrainingModel(Protocol):
    """The protocol that the task ``wav2vec2_summarymixing`` asks of a model that it trains."""

    takes_utterance_seeds: bool
    """Whether its ``forward`` takes ``utterance_seeds``, one for each utterance, for all that it draws."""
    needs_fp32_source: bool
    """Whether waveforms must reach it as they were read, and at 16 kHz, whatever its precision."""
    num_negatives: Optional[int]
    """Distractors per masked frame, which give the loss of guessing; None where there are none."""

    def warm_start(self) -> None:
        """Take the parameters that its configuration names; called once, before training, not for a checkpoint."""


@runtime_checkable
class PretrainingTask(Protocol):
    """The protocol that a model, and the plugin, ask of a task."""

    starts_warm: bool
    """Whether it calls :meth:`PretrainingModel.warm_start`."""

    def explain_not_finite(self, trainer: Any, samples: List[Dict[str, Any]]) -> Optional[str]:
        """Name what made the gradients of an update NaN or infinite, in one line; None where nothing is found."""


class OtherModel:
    """The answers for a model that gives none, such as stock ``wav2vec2``: it is trained as fairseq's own task does."""

    takes_utterance_seeds = False
    needs_fp32_source = False

    def __init__(self, model: Any):
        self.num_negatives: Optional[int] = getattr(model, "n_negatives", None)  # as stock wav2vec2 calls it

    def warm_start(self) -> None:
        """Do nothing: such a model has no ``init_from``."""


def as_pretraining_model(model: Any) -> PretrainingModel:
    return model if isinstance(model, PretrainingModel) else OtherModel(model)
