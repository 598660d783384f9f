"""Check that the values of a ``config.json`` are of the kinds that transformers and ``export hf`` write there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, List, Optional

from ..checkpoints.field_names import NORMS
from ..models._hf_config import MASKS, field_names
from ..plugin.field_kinds import in_words, is_of_kind

CONVOLUTIONS = ("conv_dim", "conv_kernel", "conv_stride")
# Of the part "fairseq", which export hf writes
EXPORTED = {name: dict for name in ("model", "task", "ctc_model", "ctc_task")}
DTYPES = Enum("Dtypes", {name: name for name in ("float32", "float16", "bfloat16", "float64")})
EXPORTED.update(dtype=DTYPES, num_updates=int, post_process=Optional[str])

Kinds = Mapping[str, Any]


def check_kinds(config: Mapping[str, Any], ours: bool) -> None:
    """Raise ValueError for the first value that is of another kind.

    Args:
        config: ``config.json``.
        ours: whether it is of our class, not of ``Wav2Vec2Config``.
    """
    for prefix, values, kinds in _parts(config, ours):
        for name, kind in kinds.items():
            if name in values and not is_of_kind(values[name], kind):
                raise ValueError(f"config.json: {prefix}{name} must be {in_words(kind)}; got {values[name]!r:.60}")
    lengths = [len(config[name]) for name in CONVOLUTIONS if name in config]
    if len(set(lengths)) > 1 or 0 in lengths:
        raise ValueError(f"config.json: {', '.join(CONVOLUTIONS)} must be of one length, 1 or more; got {lengths}")


def _parts(config: Mapping[str, Any], ours: bool) -> Iterator[tuple[str, Mapping[str, Any], Kinds]]:
    """Yield objects with the types of their values, the outer before the inner."""
    from ..models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig

    ours_of = {field.name: field.type for field in fields(Wav2Vec2SummaryMixingConfig)}
    kinds = {theirs: ours_of[name] for name, theirs in field_names(ours).items()}
    kinds.update({theirs: float if name.endswith("prob") else int for name, theirs in MASKS})
    kinds.update({name: List[int] for name in CONVOLUTIONS})
    norms = Enum("Norms", {name: name for name in NORMS})
    yield "", config, {**kinds, "feat_extract_norm": norms, "fairseq": Optional[dict]}
    exported = config.get("fairseq") or {}
    yield "fairseq.", exported, EXPORTED
    yield "fairseq.model.", exported.get("model") or {}, ours_of
