"""Register the task ``audio_finetuning_summarymixing``: fairseq's fine-tuning on real corpora.

Like ``wav2vec2_summarymixing``, it skips files that cannot be used, and transcripts that are too long for their audio.
Batches and configuration are those of stock ``audio_finetuning``, but log-mel models get waveforms in full precision.
When fairseq's own commands load this package, stock's name stands for this task, with the defaults of its further
fields.
"""

from dataclasses import dataclass
from typing import Any

from fairseq.tasks import register_task
from fairseq.tasks.audio_finetuning import AudioFinetuningConfig, AudioFinetuningTask

from ..modules.config import check_range
from ..plugin.exits import exits_in_one_line
from ._dataset import SHORTEST
from ._skipping import SkippingConfig, SkippingTask
from ._targets import ResilientTargetDataset
from ._waveforms import unpack

NAME = "audio_finetuning_summarymixing"


@dataclass
class AudioFinetuningSummaryMixingConfig(AudioFinetuningConfig, SkippingConfig):
    """The configuration: all of ``audio_finetuning``'s fields, and what is left out of a real corpus."""


@register_task(NAME, dataclass=AudioFinetuningSummaryMixingConfig)
class AudioFinetuningSummaryMixingTask(AudioFinetuningTask, SkippingTask):
    """The task of fine-tuning on manifests (``<split>.tsv``) and labels (``<split>.ltr``)."""

    redraws_batches = False
    shortest = SHORTEST

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        self.to_set_fields = "" if getattr(cfg, "_name", None) == NAME else f"task._name={NAME} "
        self._output_lengths = None

    @exits_in_one_line()
    def build_model(self, model_cfg: Any, from_checkpoint: bool = False):
        """Build the model as stock does."""
        check_max_skipped(self.cfg)
        model = super().build_model(model_cfg, from_checkpoint)
        pretrained = getattr(getattr(model, "w2v_encoder", None), "w2v_model", None)
        if not self.cfg.autoregressive:
            self._output_lengths = getattr(pretrained, "_get_feat_extract_output_lengths", None)
        self.keeps_precision = getattr(pretrained, "needs_fp32_source", False)
        return model

    def valid_step(self, sample, model, criterion):
        """Run stock's step, which may transcribe the batch as well."""
        return super().valid_step(unpack(sample), model, criterion)

    def inference_step(self, generator, models, sample, prefix_tokens=None, constraints=None):
        """Transcribe a batch as stock does."""
        return super().inference_step(generator, models, unpack(sample), prefix_tokens, constraints)

    @exits_in_one_line()
    def load_dataset(self, split: str, task_cfg: Any = None, **kwargs: Any) -> None:
        """Read ``<data>/<split>.tsv`` and its labels."""
        super().load_dataset(split, task_cfg, **kwargs)
        if hasattr(getattr(self.datasets[split], "dataset", None), "skip"):  # else stock's
            symbols = self.target_dictionary
            symbol = symbols.nspecial if len(symbols) > symbols.nspecial else symbols.unk()
            self.datasets[split] = ResilientTargetDataset(self.datasets[split], symbol, self._output_lengths)

    def reduce_metrics(self, logging_outputs, criterion) -> None:
        """Log stock's metrics of batches that have a transcript: stock divides by the number of its symbols."""
        super().reduce_metrics([logged for logged in logging_outputs if logged.get("ntokens", 1)], criterion)


def check_max_skipped(cfg: Any) -> None:
    """Check that ``max_skipped`` is a share; raises ValueError by name."""
    check_range("task.max_skipped", getattr(cfg, "max_skipped", None) or 0, 0, 1)
