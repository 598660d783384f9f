"""Published scores of MP3S, in percent, by task and test set.

The paper's table is known to us for two columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PAPER = "Zhang et al. 2024 (arXiv 2407.13377)"
BENCHMARK = "README of MP3S"
PROBE_OF_PAPER = (
    "The paper does not say which probe its figures are of; those of its baselines are the benchmark's of the BiLSTM "
    "probes, so that all of the paper's are in the rows of these"
)
WELSH, SLURP = ("CommonVoice/LSTM/cy", "test"), ("SLURP/LSTM_linear", "test")
# LibriSpeech's second probe there is a Conformer, for which there is no recipe
COLUMNS = (
    ("LibriSpeech/LSTM", "test-clean"),
    ("Buckeye/LSTM", "test"),
    ("CommonVoice/LSTM/cy", "test"),
    ("CommonVoice/LSTM/eu", "test"),
    ("VoxCeleb1/Xvectors", "test"),
    ("IEMOCAP/linear", "test"),
    ("SLURP/linear", "test"),
    ("Buckeye/contextnet", "test"),
    ("CommonVoice/linear/cy", "test"),
    ("CommonVoice/linear/eu", "test"),
    ("VoxCeleb1/ecapa_tdnn", "test"),
    ("IEMOCAP/ecapa_tdnn", "test"),
    ("SLURP/LSTM_linear", "test"),
)


@dataclass(frozen=True)
class Published:
    """The scores of a model, by (task, test set)."""

    model: str
    source: str
    scores: Mapping[tuple[str, str], float]


PUBLISHED = (
    Published("SummaryMixing 155M", PAPER, {WELSH: 48.3, SLURP: 80.5}),
    Published("self-attention 166M", PAPER, {WELSH: 50.8, SLURP: 78.1}),
    Published("wav2vec2-base", PAPER, {WELSH: 54.5, SLURP: 77.7}),
    Published("wav2vec2-large", PAPER, {WELSH: 45.4, SLURP: 79.0}),
    Published(
        "data2vec-base",
        BENCHMARK,
        dict(zip(COLUMNS, (5.30, 37.26, 54.00, 46.37, 5.43, 63.0, 56.9, 40.53, 77.49, 75.26, 3.75, 72.0, 73.4))),
    ),
    Published(
        "data2vec-large",
        BENCHMARK,
        dict(zip(COLUMNS, (3.10, 22.63, 44.32, 38.23, 4.89, 64.1, 69.8, 25.26, 69.09, 63.31, 2.67, 71.3, 79.9))),
    ),
)
