"""Does an utterance come out the same alone and in a padded batch? Stock fairseq's conformer beside ours."""

import pytest
import torch

pytest.importorskip("fairseq", reason="runs stock fairseq's conformer")

from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from tiny import MODEL

from fairseq_summarymixing.models.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingConfig,
    Wav2Vec2SummaryMixingModel,
)
from fairseq_summarymixing.modules.build import MIXERS

FIELDS = dict(MODEL, quantize_targets=True, extractor_mode="layer_norm", layer_norm_first=True)


def leak(model):
    """Largest change of an utterance's output, of unit variance, when a longer one joins its batch."""
    model.eval()
    source = torch.randn(2, 16000)
    padding_mask = torch.zeros(2, 16000, dtype=torch.bool)
    padding_mask[1, 9000:] = True
    source[padding_mask] = 0
    with torch.no_grad():
        alone = model.extract_features(source[1:, :9000], torch.zeros(1, 9000, dtype=torch.bool))["x"]
        padded = model.extract_features(source, padding_mask)["x"]
    return (padded[1:, : alone.shape[1]] - alone).abs().max().item()


def stock_conformer():
    return Wav2Vec2Model(Wav2Vec2Config(**FIELDS, layer_type="conformer", attn_type="", pos_enc_type="abs"))


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("frontend", ["waveform", "log_mel"])
def test_ours_does_not_leak_where_stock_fairseqs_conformer_does(mixer, frontend):
    torch.manual_seed(0)
    assert leak(stock_conformer()) > 0.01
    fields = {**FIELDS, "encoder_layer": "conformer", "mixer": mixer}
    if frontend == "log_mel":
        fields.update(frontend=frontend, mel_conv_layers="[(16, 3, 2), (24, 3, 1)]", positions="sinusoidal")
        for name in ("conv_feature_layers", "extractor_mode", "conv_pos", "conv_pos_groups"):
            del fields[name]
    assert leak(Wav2Vec2SummaryMixingModel(Wav2Vec2SummaryMixingConfig(**fields))) < 1e-5
