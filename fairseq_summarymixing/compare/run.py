"""One training run: what was logged and decoded, and the figures that follow from it."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoints.names import FINETUNED_PREFIX, STOCK_MODEL

PRETRAINING, FINETUNING = "pre-training", "fine-tuning"
NOT_WAV2VEC2 = ("conformer", "log_mel")  # layers and front end to be named beside the mixer
LARGEST = 1e30  # beyond, a value is no loss, rate or size, and no axis can show it

Series = dict[int, dict[str, float]]


@dataclass
class Run:
    """One training run, as its folder describes it.

    Attributes:
        name: for tables and legends.
        train: fairseq's running averages, by update: loss, accuracy, ups...
        valid: the same keys on the validation set, by update.
        valid_subset: which validation set that is.
        model: fields of the model's configuration as far as known; ``_name`` is fairseq's name.
        inner_model: of a fine-tuned model, the fields of the pre-trained model inside; else empty.
        parameters: trainable or not, quantizer and projections included; None if unknown.
        total_memory_gb: of the GPU, in units of 2^30 bytes as fairseq logs it; None on CPU.
        decodes: ``result.json`` of every decode below the folder.
        notes: what a reader of the numbers should know.
        about: of curves that were kept as text, the line that describes them.
    """

    name: str
    folder: Path
    train: Series = field(default_factory=dict)
    valid: Series = field(default_factory=dict)
    valid_subset: str = "valid"
    model: dict[str, Any] = field(default_factory=dict)
    inner_model: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    total_memory_gb: float | None = None
    decodes: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def is_reference(self) -> bool:
        """Whether the run is only there as a reference for others."""
        return bool(self.about)

    @property
    def kind(self) -> str:
        """The kind of training by the model's name, and where that is unknown by what was logged."""
        if self.kind_by_name is not None:
            return self.kind_by_name
        keys = {key for series in (self.train, self.valid) for record in series.values() for key in record}
        return PRETRAINING if keys & {"code_perplexity", "accuracy", "prob_perplexity"} else FINETUNING

    @property
    def kind_by_name(self) -> str | None:
        name = str(self.model.get("_name") or "")
        if name.startswith(STOCK_MODEL):
            return PRETRAINING
        return FINETUNING if name.startswith(FINETUNED_PREFIX) else None

    @property
    def architecture(self) -> str:
        """The model and mixer, as in ``wav2vec2_summarymixing / summary_mixing``, and ``conformer`` or ``log_mel`` if
        it has them."""
        fields = self.inner_model or self.model
        parts = [str(fields.get("_name") or "unknown")]
        if fields.get("mixer"):
            parts.append(str(fields["mixer"]))
        elif parts[0] == STOCK_MODEL:
            parts.append("self_attention")
        parts += [value for value in (fields.get("encoder_layer"), fields.get("frontend")) if value in NOT_WAV2VEC2]
        return " / ".join(parts)

    @property
    def updates(self) -> int:
        return max([*self.train, *self.valid], default=0)

    @property
    def chance_accuracy(self) -> float | None:
        """The accuracy of picking the target among the negatives at random; None if their number is unknown."""
        negatives = str(self.model.get("num_negatives"))
        return 1 / (1 + int(negatives)) if negatives.isdecimal() and self.kind == PRETRAINING else None

    def values(self, key: str, valid: bool = False) -> tuple[list[int], list[float]]:
        """Return (updates, values) of what was logged as ``key``, in order of updates; NaN values stay."""
        series = self.valid if valid else self.train
        points = [(update, series[update][key]) for update in sorted(series) if key in series[update]]
        return [update for update, _ in points], [value for _, value in points]

    def last(self, key: str, valid: bool = False) -> float | None:
        values = self.values(key, valid)[1]
        return values[-1] if values else None

    def updates_per_second(self) -> tuple[list[int], list[float]]:
        """Return (updates, updates per second), the latter averaged between two log lines."""
        updates, rates = [], []
        for update in sorted(self.train):
            record = self.train[update]
            rate = record.get("ups", math.nan)
            # fairseq prints ups with two decimals; words per second over words per batch has more.
            if rate < 1 and record.get("wps", 0) > 0 and record.get("wpb", 0) > 0:
                rate = record["wps"] / record["wpb"]
            if rate > 0 and math.isfinite(rate):
                updates.append(update)
                rates.append(rate)
        return updates, rates

    @property
    def seconds_per_update(self) -> float | None:
        """The median over the log lines, without the first, which holds the start of the data loader."""
        rates = self.updates_per_second()[1]
        return statistics.median(1 / rate for rate in rates[1:] or rates) if rates else None

    @property
    def activation_mb_per_audio_second(self) -> float | None:
        """The activation memory of a batch: 10^6 bytes stored for the backward pass, per second of audio
        (less is better); None if not logged."""
        return self.last("activation_mb_per_audio_second")

    @property
    def peak_memory_gb(self) -> float | None:
        """The most memory in any update (10^9 bytes): of one GPU; on CPU of the process, if logged."""
        logged = [value for value in self.values("peak_memory_gb")[1] if math.isfinite(value)]
        if logged:
            return max(logged)
        free = [value for value in self.values("gb_free")[1] if math.isfinite(value)]
        # fairseq's own numbers are in units of 2^30 bytes
        return (self.total_memory_gb - min(free)) * 2**30 / 1e9 if free and self.total_memory_gb else None
