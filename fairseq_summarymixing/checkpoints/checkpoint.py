"""A fairseq checkpoint that is read once."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .layers import check_layers
from .names import CTC_MODEL, ENCODER_PREFIXES, PRETRAINED_MODELS, PRETRAINING_HEADS, STOCK_LAYER_NAMES, rename
from .state import read_state

Fields = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A fairseq checkpoint that was checked when it was read, by ``Checkpoint.read(path)``.

    A pre-trained checkpoint holds one model. A fine-tuned checkpoint holds a model around the pre-trained model, and
    the fields of both.

    Attributes:
        path: of the file.
        state: what fairseq saved; nobody may change it.
    """

    path: Path
    state: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> Checkpoint:
        """Read and check a file.

        Raises:
            UserError: names the file and what is wrong with it; see :func:`~.state.read_state`.
        """
        checkpoint = cls(Path(path), read_state(path))
        layers = checkpoint.encoder_fields.get("encoder_layers")
        if checkpoint.encoder_name in PRETRAINED_MODELS and layers is not None:
            check_layers(path, layers, checkpoint.weights)
        return checkpoint

    @property
    def fields(self) -> Fields:
        """The model's fields; ``_name`` is fairseq's name for the model, of old files the ``arch``."""
        return _fields(self.state, "model", "arch")

    @property
    def task_fields(self) -> Fields:
        """The task's fields; ``_name`` is fairseq's name for the task."""
        return _fields(self.state, "task", "task")

    @property
    def name(self) -> str | None:
        """fairseq's name for the model."""
        return self.fields.get("_name")

    @property
    def pretrained_fields(self) -> Fields | None:
        """The fields of the pre-trained model inside a fine-tuned model; else None."""
        return None if self._inner is None else _fields(self._inner, "model", "arch")

    @property
    def pretraining_task_fields(self) -> Fields | None:
        """The fields of the task of the pre-training, inside a fine-tuned checkpoint; else None."""
        return None if self._inner is None else _fields(self._inner, "task", "task")

    @property
    def encoder_fields(self) -> Fields:
        """The fields of the pre-trained model: of this model, or of the model inside it."""
        return self.fields if self._inner is None else self.pretrained_fields

    @property
    def encoder_name(self) -> str | None:
        """fairseq's name for the pre-trained model."""
        return self.encoder_fields.get("_name")

    @property
    def is_finetuned(self) -> bool:
        """Whether the checkpoint is of a fine-tuned model, with a pre-trained model inside."""
        return self._inner is not None

    @property
    def is_ctc(self) -> bool:
        """Whether the model was fine-tuned with CTC."""
        return self.name == CTC_MODEL

    @property
    def normalize(self) -> bool:
        """Whether the training's waveforms had mean 0 and variance 1."""
        return bool(self.task_fields.get("normalize"))

    @property
    def labels(self) -> str | None:
        """The ending of the label files that the model was fine-tuned on, such as ``ltr``."""
        return self.task_fields.get("labels")

    @property
    def symbols(self) -> list[str] | None:
        """The symbols of the dictionary that the model was fine-tuned with, by class; None without a dictionary."""
        dictionary = (self.state.get("task_state") or {}).get("target_dictionary")
        return None if dictionary is None else dictionary.symbols

    @property
    def post_process(self) -> str | None:
        """fairseq's name for how symbols were joined into words, ``criterion.post_process``; "letter" unless known."""
        return _fields(self.state, "criterion", "criterion").get("post_process", "letter")

    @property
    def num_updates(self) -> int | None:
        """The number of updates of the training; None where the file does not hold it."""
        history = self.state.get("optimizer_history") or [{}]
        return history[-1].get("num_updates")

    @property
    def num_processes(self) -> int:
        """The number of processes that trained the model."""
        distributed = self.state.get("args")
        if not isinstance(distributed, Namespace):
            distributed = Namespace(**dict((self.state.get("cfg") or {}).get("distributed_training") or {}))
        return getattr(distributed, "distributed_world_size", 1)

    @property
    def weights(self) -> dict[str, Tensor]:
        """All parameters, by the names in the file."""
        return self.state["model"]

    @property
    def dtype(self) -> str:
        """The precision of the parameters, such as ``float32``; mixed precisions count as ``float32``."""
        tensors = [value for value in self.weights.values() if isinstance(value, Tensor)]
        kinds = {str(value.dtype)[len("torch.") :] for value in tensors if value.is_floating_point()}
        return kinds.pop() if len(kinds) == 1 else "float32"

    @property
    def pretrained_weights(self) -> dict[str, Tensor]:
        """The pre-trained model's parameters under our names, without the prefix of a fine-tuned checkpoint."""
        prefix = self._encoder_prefix
        weights = {name[len(prefix) :]: value for name, value in self.weights.items() if name.startswith(prefix)}
        names = rename(weights, STOCK_LAYER_NAMES, strict=False)
        return {names[name]: value for name, value in weights.items()}

    @property
    def encoder_weights(self) -> dict[str, Tensor]:
        """The parameters of front end and encoder among :attr:`pretrained_weights`."""
        found = self.pretrained_weights.items()
        return {name: value for name, value in found if not name.startswith(PRETRAINING_HEADS)}

    @property
    def _inner(self) -> Mapping[str, Any] | None:
        """The configuration of the pre-training, laid out as a state."""
        inner = self.fields.get("w2v_args")
        if inner is None:
            return None
        return {"args": inner} if isinstance(inner, Namespace) else {"cfg": inner}

    @property
    def _encoder_prefix(self) -> str:
        if not self.is_finetuned:
            return ""
        found = (prefix for prefix in ENCODER_PREFIXES if any(name.startswith(prefix) for name in self.weights))
        return next(found, ENCODER_PREFIXES[0])


def _fields(state: Mapping[str, Any], group: str, name: str) -> Fields:
    """Return a group's fields from ``cfg``, or in old files from ``args``, which holds all groups together and the
    group's name as ``name``."""
    if state.get("args") is not None:
        fields = dict(vars(state["args"]))
        return {**fields, "_name": fields.get(name)}
    return dict((state.get("cfg") or {}).get(group) or {})
