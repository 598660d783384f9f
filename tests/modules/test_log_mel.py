"""Are the log-mel features what others compute, at any loudness, length, precision and company?"""

import pytest
import torch

from fairseq_summarymixing.modules.build import build_frontend
from fairseq_summarymixing.modules.config import FrontendConfig
from fairseq_summarymixing.modules.log_mel import FLOOR, MAX_BINS, LogMel, mel_filters


def speechlike(samples, seed=0):
    """Noise that falls by some 40 dB towards high frequencies, as speech does. (samples,)."""
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.conv1d(noise.view(1, 1, -1), torch.ones(1, 1, 9) / 9, padding=4).flatten()


def frontend(**fields):
    return build_frontend(FrontendConfig(frontend="log_mel", mel_conv_layers=((12, 3, 2), (16, 3, 1)), **fields)).eval()


def test_features_are_librosas():
    librosa = pytest.importorskip("librosa", reason="compares with librosa")
    wave = 0.1 * speechlike(24123)
    found, _ = LogMel(80)(wave.unsqueeze(0))
    normalised = ((wave - wave.mean()) / (wave.var(unbiased=False) + 1e-5).sqrt()).numpy()
    frames = dict(n_fft=400, hop_length=160, win_length=400, window="hamming", center=True, pad_mode="constant")
    bins = dict(power=2.0, n_mels=80, fmin=0.0, fmax=8000.0, htk=True, norm=None)
    energies = librosa.feature.melspectrogram(y=normalised, sr=16000, **frames, **bins)
    expected = torch.from_numpy(energies).clamp(min=FLOOR).log().T
    expected = (expected - expected.mean(dim=0)) / (expected.var(dim=0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(found[0], expected.float(), atol=1e-3, rtol=1e-3)


def test_filters_are_librosas():
    librosa = pytest.importorskip("librosa", reason="compares with librosa")
    expected = librosa.filters.mel(sr=16000, n_fft=400, n_mels=80, htk=True, norm=None)
    torch.testing.assert_close(mel_filters(80).T, torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_50_frames_a_second():
    lengths = torch.tensor([400, 16000, 16001, 480000])
    assert frontend().output_lengths(lengths).tolist() == [2, 51, 51, 1501]
    assert frontend()(torch.randn(1, 16000))[0].shape == (1, 51, 16)


def test_alone_equals_padded_whatever_the_padding_holds():
    model = frontend()
    wave = torch.stack([speechlike(9000, seed) for seed in range(3)])
    lengths = torch.tensor([9000, 5001, 400])
    features, frames = model(wave, lengths)
    for row, length in enumerate(lengths):
        alone, _ = model(wave[row : row + 1, :length])
        assert frames[row] == alone.shape[1]
        torch.testing.assert_close(features[row, : frames[row]], alone[0], atol=1e-5, rtol=1e-5)
        assert (features[row, frames[row] :] == 0).all()


def test_loudness_and_offset_make_no_difference():
    wave = speechlike(8000).unsqueeze(0)
    expected, _ = LogMel()(wave)
    for changed in (30 * wave, 0.1 * wave + 0.2):
        torch.testing.assert_close(LogMel()(changed)[0], expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("wave", [torch.zeros(1, 4000), torch.full((1, 4000), 0.5), torch.zeros(1, 400)])
def test_silence_is_finite(wave):
    assert LogMel()(wave)[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_compute_the_mel_part_in_fp32(dtype):
    model = frontend().to(dtype)
    wave = speechlike(16000).unsqueeze(0)
    found, _ = model.log_mel(wave)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, LogMel()(wave)[0], atol=0, rtol=0)
    if dtype == torch.bfloat16:  # older CPU kernels know no fp16
        assert model(wave)[0].dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(LogMel()(wave)[0], found, atol=0, rtol=0)


def test_no_gradient_reaches_the_waveform_but_the_convolutions_train():
    model = frontend()
    wave = speechlike(4000).unsqueeze(0).requires_grad_()
    model(wave)[0].sum().backward()
    assert wave.grad is None
    assert all(p.grad is not None for p in model.parameters())


def test_the_exported_graph_holds_no_complex_tensors():
    export = pytest.importorskip("torch.export", reason="exports with torch >= 2.1")
    model = frontend()
    program = export.export(model, (torch.randn(1, 8000),))
    kinds = {node.meta["val"].dtype for node in program.graph.nodes if torch.is_tensor(node.meta.get("val"))}
    assert kinds and not any(kind.is_complex for kind in kinds)
    wave = torch.randn(1, 8000)
    torch.testing.assert_close(program.module()(wave)[0], model(wave)[0])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least 400 samples; got 399"):
        frontend()(torch.randn(1, 399))
    with pytest.raises(ValueError, match=r"\(channels, odd kernel size, stride\); got \(12, 4, 2\)"):
        build_frontend(FrontendConfig(frontend="log_mel", mel_conv_layers=((12, 4, 2),)))
    with pytest.raises(ValueError, match="num_mel_bins must be from 1 to 89; got 90"):
        LogMel(90)
    assert (mel_filters(MAX_BINS).sum(dim=0) > 0).all() and (mel_filters(MAX_BINS + 1).sum(dim=0) == 0).any()
    with pytest.raises(ValueError, match="frontend must be one of waveform, log_mel; got 'mfcc'"):
        build_frontend(FrontendConfig(frontend="mfcc"))
