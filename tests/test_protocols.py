"""Do task and model find out what the other asks, and does a model that does not define it get a default?"""

import pytest
import torch

pytest.importorskip("fairseq", reason="tests the fairseq model and task")

from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from fairseq.tasks.audio_pretraining import AudioPretrainingConfig, AudioPretrainingTask
from tiny import MODEL as SIZES

from fairseq_summarymixing.models.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingConfig,
    Wav2Vec2SummaryMixingModel,
)
from fairseq_summarymixing.protocols import PretrainingModel, PretrainingTask, as_pretraining_model
from fairseq_summarymixing.tasks.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingTask,
    Wav2Vec2SummaryMixingTaskConfig,
)

MODEL = dict(SIZES, quantize_targets=True)


def test_our_model_and_task_speak_and_stocks_do_not():
    ours = Wav2Vec2SummaryMixingModel(Wav2Vec2SummaryMixingConfig(**MODEL))
    stock = Wav2Vec2Model(Wav2Vec2Config(**MODEL))
    assert isinstance(ours, PretrainingModel) and not isinstance(stock, PretrainingModel)
    assert isinstance(Wav2Vec2SummaryMixingTask(Wav2Vec2SummaryMixingTaskConfig()), PretrainingTask)
    assert not isinstance(AudioPretrainingTask(AudioPretrainingConfig()), PretrainingTask)
    assert as_pretraining_model(ours) is ours
    assert ours.takes_utterance_seeds and not ours.needs_fp32_source and ours.num_negatives == 9


@pytest.mark.parametrize("model, negatives", [("wav2vec2", 9), ("linear", None)])
def test_a_model_that_does_not_say_is_trained_as_fairseqs_task_does(model, negatives):
    model = Wav2Vec2Model(Wav2Vec2Config(**MODEL)) if model == "wav2vec2" else torch.nn.Linear(1, 1)
    asked = as_pretraining_model(model)
    assert isinstance(asked, PretrainingModel)
    assert not asked.takes_utterance_seeds and not asked.needs_fp32_source and asked.num_negatives == negatives
    before = {name: value.clone() for name, value in model.state_dict().items()}
    asked.warm_start()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
