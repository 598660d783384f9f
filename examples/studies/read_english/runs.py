"""The runs of the study: which models are pre-trained, from which recipe, with which seeds."""

import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import fairseq_summarymixing

HERE = Path(__file__).resolve().parent
PRECISIONS = {"fp32": [], "fp16": ["common.fp16=true"], "bf16": ["common.bf16=true"]}


class Model(NamedTuple):
    """A pre-training recipe and its overrides; a model that is not trained makes one update at a rate of 0."""

    recipe: str
    overrides: Sequence[str] = ()
    is_trained: bool = True


SUMMARYMIXING, TWIN = "summarymixing", "self_attention"
PAIR = (SUMMARYMIXING, TWIN)  # which is trained with every seed, the others with the first one
MODELS: Dict[str, Model] = {
    SUMMARYMIXING: Model("pretraining_log_mel", ["+model.mixer=summary_mixing"]),
    TWIN: Model("pretraining_log_mel", ["+model.mixer=self_attention"]),
    "wav2vec2": Model("pretraining_waveform"),
    "hyper_mixing": Model("pretraining_log_mel", ["+model.mixer=hyper_mixing"]),
    "fastformer": Model("pretraining_log_mel", ["+model.mixer=fastformer"]),
    "no_summary": Model("pretraining_log_mel", ["+model.mixer=no_summary"]),
    # The parameters that a pre-training begins with
    "random_weights": Model(
        "pretraining_log_mel", ["+model.mixer=summary_mixing", "optimization.lr=[0.0]"], is_trained=False
    ),
}
TITLES = {
    SUMMARYMIXING: "SummaryMixing",
    TWIN: "self-attention twin",
    "wav2vec2": "stock `wav2vec2`",
    "hyper_mixing": "HyperMixing",
    "fastformer": "Fastformer",
    "no_summary": "SummaryMixing without its summary",
    "random_weights": "SummaryMixing, random weights",
}


class Run(NamedTuple):
    """One model with one seed, as in ``summarymixing-1``."""

    model: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.model}-{self.seed}"


def choose_runs(models: Sequence[str], seeds: Sequence[int]) -> List[Run]:
    """Return the pair's runs seed by seed, then the others with the first seed."""
    pair = [Run(model, seed) for seed in seeds for model in PAIR if model in models]
    return pair + [Run(model, seeds[0]) for model in MODELS if model in models and model not in PAIR]


def trainer(recipe: str, settings: Sequence[str], device: str, precision: str) -> List[str]:
    """Return the command of a training by one of the study's recipes."""
    on = [f"common.cpu={str(device == 'cpu').lower()}", *PRECISIONS[precision]]
    plugin = f"common.user_dir={Path(fairseq_summarymixing.__file__).parent}"
    command = [sys.executable, "-m", "fairseq_cli.hydra_train", "--config-dir", str(HERE), "--config-name", recipe]
    return [*command, *settings, *on, plugin]


def verb(*arguments: str) -> List[str]:
    """Return the command of a verb of ``fairseq-summarymixing``."""
    return [sys.executable, "-m", "fairseq_summarymixing", *map(str, arguments)]
