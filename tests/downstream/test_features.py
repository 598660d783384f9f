"""Does ``features`` write what the model says, of any recording and checkpoint, whole or not at all?"""

import numpy as np
import pytest
import tiny
import torch

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import encoder as module
from fairseq_summarymixing.downstream.encoder import load_encoder
from fairseq_summarymixing.modules.config import MIXERS, Part
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    tiny.write_wave(folder / "long.wav", tiny.tone(7.3))
    tiny.write_wave(folder / "low.wav", tiny.tone(1.0, rate=8000), 8000)
    return folder


def features(checkpoint, *audio, out, options=()):
    return main(["features", str(checkpoint), *map(str, audio), "-o", str(out), *options])


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_summarymixing"])
@pytest.mark.parametrize("kind", ["pretrained", "finetuned"])
def test_files_hold_the_models_hidden_states_and_times(kind, name, recordings, request, tmp_path):
    checkpoint = request.getfixturevalue(kind)[name]
    audio = recordings / "long.wav"
    assert features(checkpoint, audio, out=tmp_path, options=["--layers", "0,2", "--block-seconds", "1"]) == 0
    import soundfile

    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0]).unsqueeze(0)
    states = load_encoder(checkpoint, CPU).model.represent(wave).hidden_states
    for layer in (0, 2):
        found = np.load(tmp_path / f"long.layer-{layer}.npy")
        assert found.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(found), states[layer][0].detach(), atol=1e-4, rtol=1e-4)
    times = np.load(tmp_path / "long.times.npy")
    assert len(times) == len(states[0][0])
    assert times[:2] == pytest.approx([0.0125, 0.0325])  # 400 samples are seen, 320 apart


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


def test_other_rates_are_resampled_and_finished_files_are_left_alone(pretrained, recordings, tmp_path, capsys):
    pytest.importorskip("scipy", reason="resamples with scipy")
    audio = [recordings / "long.wav", recordings / "low.wav"]
    assert features(pretrained["wav2vec2_summarymixing"], audio[1], out=tmp_path) == 0
    assert len(np.load(tmp_path / "low.layer-2.npy")) == 49
    before = (tmp_path / "low.layer-2.npy").stat().st_mtime_ns
    capsys.readouterr()
    assert features(pretrained["wav2vec2_summarymixing"], *audio, out=tmp_path) == 0
    assert "1 recordings, 1 were there" in capsys.readouterr().out
    assert (tmp_path / "low.layer-2.npy").stat().st_mtime_ns == before


def test_another_recording_or_checkpoint_of_the_same_name_is_not_taken_for_the_first(pretrained, tmp_path):
    checkpoint = pretrained["wav2vec2_summarymixing"]
    for folder, seconds in (("b", 1.0), ("a", 0.5)):  # b is older
        tiny.write_wave(tmp_path / folder / "x.wav", tiny.tone(seconds))
    found = []
    for folder in ("a", "b"):
        assert features(checkpoint, tmp_path / folder / "x.wav", out=tmp_path / "out") == 0
        found.append(np.load(tmp_path / "out/x.layer-2.npy"))
    assert [len(one) for one in found] == [24, 49]
    assert features(pretrained["wav2vec2"], tmp_path / "b/x.wav", out=tmp_path / "out") == 0
    assert not np.array_equal(np.load(tmp_path / "out/x.layer-2.npy"), found[1])
    (tmp_path / "out/x.json").write_text("cut")
    assert features(checkpoint, tmp_path / "b/x.wav", out=tmp_path / "out") == 0
    assert np.array_equal(np.load(tmp_path / "out/x.layer-2.npy"), found[1])


def test_recordings_of_one_name_are_kept_apart(pretrained, tmp_path, capsys):
    for speaker in ("a", "b"):
        tiny.write_wave(tmp_path / speaker / "1.wav", tiny.tone(0.5))
    audio = [tmp_path / "a/1.wav", tmp_path / "b/1.wav"]
    assert features(pretrained["wav2vec2_summarymixing"], *audio, out=tmp_path / "out") == 0
    assert (tmp_path / "out/a/1.layer-2.npy").exists() and (tmp_path / "out/b/1.layer-2.npy").exists()
    assert features(pretrained["wav2vec2_summarymixing"], audio[0], audio[0], out=tmp_path / "out") == 1
    assert "two recordings would be written to" in capsys.readouterr().err


def test_self_attention_refuses_long_recordings_or_sees_windows(pretrained, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "MAX_ATTENTION_SECONDS", 5)
    audio = recordings / "long.wav"
    assert features(pretrained["wav2vec2"], audio, out=tmp_path) == 1
    assert "long.wav lasts 7 s, and self-attention's cost is quadratic" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert features(pretrained["wav2vec2"], audio, out=tmp_path, options=["--window", "2", "--layers", "0,2"]) == 0
    whole = load_encoder(pretrained["wav2vec2"], CPU)
    assert features(pretrained["wav2vec2"], audio, out=tmp_path, options=["--window", "3"]) == 0
    assert not (tmp_path / "long.layer-0.npy").exists(), "of another window"
    found = np.load(tmp_path / "long.layer-2.npy")
    assert found.shape == (whole.frames(round(7.3 * 16000)), 32) and np.isfinite(found).all()


class CausalMixing(SummaryMixing):
    """Each frame beside the mean up to itself. It has all methods of its parent, which say nothing of that."""

    def forward(self, x, padding_mask=None):
        mean = self.summary(x).cumsum(dim=1) / torch.arange(1, x.shape[1] + 1).view(1, -1, 1)
        return torch.cat([self.mix(x[:, [t]], mean[:, [t]]) for t in range(x.shape[1])], dim=1)


def test_a_mixer_that_does_not_say_that_it_computes_in_chunks_is_run_in_one_pass(
    pretrained, recordings, tmp_path, monkeypatch, capsys
):
    import soundfile

    monkeypatch.setitem(MIXERS, "causal", Part(CausalMixing, **MIXERS["summary_mixing"].arguments))
    state = torch.load(pretrained["wav2vec2_summarymixing"], weights_only=False)
    state["cfg"]["model"]["mixer"] = "causal"
    torch.save(state, tmp_path / "causal.pt")
    audio = recordings / "long.wav"
    options = ["--block-seconds", "1"]
    assert features(tmp_path / "causal.pt", audio, out=tmp_path / "out", options=options) == 0
    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0]).unsqueeze(0)
    with torch.no_grad():
        expected = load_encoder(tmp_path / "causal.pt", CPU).model.represent(wave).x[0]
    found = torch.from_numpy(np.load(tmp_path / "out" / "long.layer-2.npy"))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    monkeypatch.setattr(module, "MAX_ATTENTION_SECONDS", 5)
    assert features(tmp_path / "causal.pt", audio, out=tmp_path / "long") == 1
    assert "long.wav lasts 7 s, and CausalMixing is computed in one pass: more than 5 s is refused" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "options, told",
    [
        (["--layers", "3"], "--layers go from 0, the first layer's input, to 2; got 3"),
        (["--layers", "last"], "--layers must be numbers"),
        (["--block-seconds", "0"], "--block-seconds must be at least 1 second"),
        (["--window", "30"], "--window is for self-attention"),
        (["--layers", ""], "--layers must be numbers"),
    ],
)
def test_mistakes_are_told_in_one_line(options, told, pretrained, recordings, tmp_path, capsys):
    checkpoint = pretrained["wav2vec2_summarymixing"]
    assert features(checkpoint, recordings / "long.wav", out=tmp_path, options=options) == 1
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bad_audio_and_foreign_checkpoints_are_named(pretrained, recordings, tmp_path, capsys):
    checkpoint = pretrained["wav2vec2_summarymixing"]
    (tmp_path / "text.wav").write_text("no audio")
    tiny.write_wave(tmp_path / "short.wav", tiny.tone(0.01))
    out = tmp_path / "out"
    for path, told in (
        ("", "is a folder"),
        ("text.wav", "cannot use"),
        ("short.wav", "fewer than one frame"),
        ("none.wav", "cannot use"),
    ):
        assert features(checkpoint, tmp_path / path, out=out) == 1
        assert told in capsys.readouterr().err
    assert features(tmp_path / "text.wav", recordings / "long.wav", out=out) == 1
    assert "is no checkpoint" in capsys.readouterr().err
    assert not out.exists() or not list(out.iterdir())
