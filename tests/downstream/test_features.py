"""Does `features` write what the model computes, in chunks, windows or one pass?"""

import checkpoint_files
import numpy as np
import pytest
import torch
from feature_runs import features

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.downstream import encoder as module
from fairseq_summarymixing.downstream.load_encoder import load_encoder
from fairseq_summarymixing.modules.build import MIXERS, Part
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_summarymixing"])
@pytest.mark.parametrize("kind", ["pretrained", "finetuned"])
def test_files_hold_the_models_hidden_states_and_times(kind, name, recordings, request, tmp_path):
    checkpoint = request.getfixturevalue(kind)[name]
    audio = recordings / "long.wav"
    assert features(checkpoint, audio, out=tmp_path, options=["--layers", "0,2", "--chunk-seconds", "1"]) == 0
    import soundfile

    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0]).unsqueeze(0)
    states = load_encoder(Checkpoint.read(checkpoint), CPU).model.encode(wave).hidden_states
    for layer in (0, 2):
        found = np.load(tmp_path / f"long.layer-{layer}.npy")
        assert found.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(found), states[layer][0].detach(), atol=1e-4, rtol=1e-4)
    times = np.load(tmp_path / "long.times.npy")
    assert len(times) == len(states[0][0])
    assert times[:2] == pytest.approx([0.0125, 0.0325])  # 400 samples are seen, 320 apart


@pytest.mark.parametrize("mixer", ["hyper_mixing", "fastformer"])
@torch.no_grad()  # as the command does: HyperMixing makes much of how sums round
def test_a_mixer_of_one_pass_gives_the_models_hidden_states(mixer, checkpoint, recordings, tmp_path):
    import soundfile

    audio = recordings / "long.wav"
    assert features(checkpoint(mixer), audio, out=tmp_path, options=["--chunk-seconds", "1"]) == 0
    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0]).unsqueeze(0)
    expected = load_encoder(Checkpoint.read(checkpoint(mixer)), CPU).model.encode(wave).x[0].detach()
    found = torch.from_numpy(np.load(tmp_path / "long.layer-2.npy"))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_stock_checkpoints_give_stocks_own_features(pretrained, recordings, tmp_path):
    import soundfile
    from fairseq import checkpoint_utils

    audio = recordings / "long.wav"
    assert features(pretrained["wav2vec2"], audio, out=tmp_path) == 0
    (stock,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(pretrained["wav2vec2"])])
    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0]).unsqueeze(0)
    with torch.no_grad():
        expected = stock.eval().extract_features(wave, None)["x"][0]
    torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "long.layer-2.npy")), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("strides, rate", [((5, 2, 2, 2, 2, 2, 2), 50), ((5, 2, 2, 2, 2), 200)])
def test_chunks_are_seconds_whatever_the_front_end(tmp_path, monkeypatch, strides, rate):
    layers = str([(16, 10 if stride == 5 else 3, stride) for stride in strides])
    path = checkpoint_files.pretrained(tmp_path / "model.pt", "summary_mixing", conv_feature_layers=layers)
    encoder = load_encoder(Checkpoint.read(path), CPU, chunk_seconds=2.0)
    chunks = []
    monkeypatch.setattr(module, "encode_in_chunks", lambda model, wave, chunk, on_chunk: chunks.append(chunk))
    encoder.encode(torch.zeros(16000))
    assert chunks == []  # in one pass, as it is shorter than a chunk
    encoder.encode(torch.zeros(48000))
    assert chunks == [2 * rate] and len(encoder.times(160000)) == pytest.approx(10 * rate, abs=2)


def test_unknown_fields_of_a_checkpoint_are_named(pretrained, tmp_path, caplog):
    for name, path in pretrained.items():
        load_encoder(Checkpoint.read(path), CPU)
        assert not caplog.records
        state = torch.load(path, weights_only=False)
        state["cfg"]["model"]["hidden_gates"] = 3
        torch.save(state, tmp_path / f"{name}.pt")
        load_encoder(Checkpoint.read(tmp_path / f"{name}.pt"), CPU)
        assert f"{name}.pt: unknown fields of the model are left unread: hidden_gates" in caplog.text
        caplog.clear()


def test_self_attention_refuses_long_recordings_or_sees_windows(pretrained, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "MAX_ATTENTION_SECONDS", 5)
    audio = recordings / "long.wav"
    assert features(pretrained["wav2vec2"], audio, out=tmp_path) == 1
    assert "long.wav: it lasts 7 s, and self-attention's cost is quadratic" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert features(pretrained["wav2vec2"], audio, out=tmp_path, options=["--window", "2", "--layers", "0,2"]) == 0
    whole = load_encoder(Checkpoint.read(pretrained["wav2vec2"]), CPU)
    assert features(pretrained["wav2vec2"], audio, out=tmp_path, options=["--window", "3"]) == 1
    assert "made of windows of 2.0 s, not of windows of 3.0 s" in capsys.readouterr().err
    assert (tmp_path / "long.layer-0.npy").exists()
    found = np.load(tmp_path / "long.layer-2.npy")
    assert found.shape == (whole.frames(round(7.3 * 16000)), 32) and np.isfinite(found).all()


class CausalMixing(SummaryMixing):
    """Each frame beside the mean up to itself. It has all methods of its parent, which cannot compute that."""

    def forward(self, x, padding_mask=None):
        mean = self.summary(x).cumsum(dim=1) / torch.arange(1, x.shape[1] + 1).view(1, -1, 1)
        return torch.cat([self.mix(x[:, [t]], mean[:, [t]]) for t in range(x.shape[1])], dim=1)


def test_a_mixer_that_does_not_declare_that_it_computes_in_chunks_is_run_in_one_pass(
    pretrained, recordings, tmp_path, monkeypatch, capsys
):
    import soundfile

    monkeypatch.setitem(MIXERS, "causal", Part(CausalMixing, **MIXERS["summary_mixing"].arguments))
    state = torch.load(pretrained["wav2vec2_summarymixing"], weights_only=False)
    state["cfg"]["model"]["mixer"] = "causal"
    torch.save(state, tmp_path / "causal.pt")
    audio = recordings / "long.wav"
    options = ["--chunk-seconds", "1"]
    assert features(tmp_path / "causal.pt", audio, out=tmp_path / "out", options=options) == 0
    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0]).unsqueeze(0)
    with torch.no_grad():
        expected = load_encoder(Checkpoint.read(tmp_path / "causal.pt"), CPU).model.encode(wave).x[0]
    found = torch.from_numpy(np.load(tmp_path / "out" / "long.layer-2.npy"))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    monkeypatch.setattr(module, "MAX_ATTENTION_SECONDS", 5)
    assert features(tmp_path / "causal.pt", audio, out=tmp_path / "long") == 1
    assert "long.wav: it lasts 7 s, and CausalMixing is computed in one pass: more than 5 s is refused" in (
        capsys.readouterr().err
    )
