"""Does the waveform front end give 50 frames a second, whatever stands beside an utterance?"""

import pytest
import torch

from fairseq_summarymixing.modules.build import build_frontend
from fairseq_summarymixing.modules.config import DEFAULT_CONV_LAYERS, FrontendConfig

TINY = ((8, 10, 5), (8, 3, 2), (12, 2, 2))


def test_wav2vec2_layers_see_400_samples_and_hop_by_320():
    frontend = build_frontend(FrontendConfig(conv_feature_layers=tuple((1, k, s) for _, k, s in DEFAULT_CONV_LAYERS)))
    assert frontend.receptive_field == 400
    lengths = torch.tensor([400, 719, 720, 16000, 480000])
    assert frontend.output_lengths(lengths).tolist() == [1, 1, 2, 49, 1499]
    assert frontend(torch.randn(1, 16000))[0].shape == (1, 49, 1)


@pytest.mark.parametrize("conv_bias", [False, True])
def test_alone_equals_padded_with_layer_norm(conv_bias):
    frontend = build_frontend(FrontendConfig("layer_norm", TINY, conv_bias)).eval()
    wave = torch.randn(2, 301, requires_grad=True)
    features, lengths = frontend(wave, torch.tensor([301, 150]))
    alone, _ = frontend(wave[1:, :150])
    assert lengths.tolist() == [features.shape[1], alone.shape[1]]
    torch.testing.assert_close(features[1:, : lengths[1]], alone, atol=1e-5, rtol=0)
    features[1, : lengths[1]].sum().backward()
    assert (wave.grad[1, 150:] == 0).all()


def test_group_norm_depends_on_padding_as_documented():
    frontend = build_frontend(FrontendConfig("default", TINY)).eval()
    wave = torch.randn(1, 300)
    padded = torch.nn.functional.pad(wave, (0, 300))
    alone = frontend(wave)[0]
    assert (frontend(padded)[0][:, : alone.shape[1]] - alone).abs().max() > 0.01


def test_bad_input_is_named():
    frontend = build_frontend(FrontendConfig("layer_norm", TINY))
    with pytest.raises(ValueError, match="at least 30 samples; got 29"):
        frontend(torch.randn(1, 29))
    frontend(torch.randn(1, 30))
    with pytest.raises(ValueError, match="extractor_mode must be default or layer_norm; got 'batch'"):
        build_frontend(FrontendConfig("batch", TINY))
    with pytest.raises(ValueError, match=r"\(channels, kernel size, stride\); got \(8, 10\)"):
        build_frontend(FrontendConfig("default", ((8, 10),)))
