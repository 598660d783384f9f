"""What recordings and options does `features` take, and what does it say of others?"""

import os

import numpy as np
import pytest
import tiny
import torch
from feature_runs import contents, features


def test_features_that_are_not_finite_are_not_written(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fairseq_summarymixing.checkpoints.state.check_weights", lambda *_: None)
    path = tmp_path / "nan.pt"
    state = torch.load(checkpoint("summary_mixing"), weights_only=False)
    for part in ("fc1", "fc2"):  # each as large as a parameter may be
        state["model"][f"encoder.layers.1.feed_forward.{part}.weight"].fill_(1e18)
    torch.save(state, path)
    tiny.write_wave(tmp_path / "a.wav", tiny.tone(0.5))
    assert features(path, tmp_path / "a.wav", out=tmp_path / "out", options=["--layers", "1,2"]) == 1
    assert f"layer 2 of {tmp_path / 'a.wav'} is not finite" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("largest, reason", [(3e38, "full scale is 1"), (float("nan"), "NaN or infinite")])
def test_recordings_of_absurd_samples_are_refused(largest, reason, pretrained, tmp_path, capsys):
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.array([0.1, largest] * 8000), 16000, subtype="FLOAT")
    assert features(pretrained["wav2vec2_summarymixing"], tmp_path / "a.wav", out=tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"cannot use {tmp_path / 'a.wav'}" in error and reason in error
    assert not (tmp_path / "out").exists()


def test_recordings_of_one_name_are_kept_apart(pretrained, tmp_path, capsys):
    for speaker in ("a", "b"):
        tiny.write_wave(tmp_path / speaker / "1.wav", tiny.tone(0.5))
    audio = [tmp_path / "a/1.wav", tmp_path / "b/1.wav"]
    assert features(pretrained["wav2vec2_summarymixing"], *audio, out=tmp_path / "out") == 0
    assert (tmp_path / "out/a/1.layer-2.npy").exists() and (tmp_path / "out/b/1.layer-2.npy").exists()
    assert features(pretrained["wav2vec2_summarymixing"], audio[0], audio[0], out=tmp_path / "out") == 1
    assert "two recordings would be written to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--layers", "3"], "--layers go from 0, the first layer's input, to 2; got 3"),
        (["--layers", "last"], "--layers must be numbers"),
        (["--chunk-seconds", "0"], "--chunk-seconds must be at least 1 second"),
        (["--chunk-seconds", "1e308"], "--chunk-seconds must be at most 1e+09 seconds; got 1e+308"),
        (["--window", "30"], "--window is for self-attention"),
        (["--layers", ""], "--layers is empty; expected a value"),
    ],
)
def test_mistakes_are_one_line_errors(options, message, pretrained, recordings, tmp_path, capsys):
    checkpoint = pretrained["wav2vec2_summarymixing"]
    assert features(checkpoint, recordings / "long.wav", out=tmp_path, options=options) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bad_audio_and_foreign_checkpoints_are_named(pretrained, recordings, tmp_path, capsys):
    checkpoint = pretrained["wav2vec2_summarymixing"]
    (tmp_path / "text.wav").write_text("no audio")
    tiny.write_wave(tmp_path / "short.wav", tiny.tone(0.01))
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for path, message in (
        ("empty", "holds no recordings"),
        ("text.wav", "cannot use"),
        ("short.wav", "fewer than one frame"),
        ("none.wav", "cannot use"),
    ):
        assert features(checkpoint, tmp_path / path, out=out) == 1
        assert message in capsys.readouterr().err
    assert features(tmp_path / "text.wav", recordings / "long.wav", out=out) == 1
    assert "is no checkpoint" in capsys.readouterr().err
    assert not out.exists() or not list(out.iterdir())


def test_folders_manifests_and_lists_are_a_corpus_and_one_bad_recording_is_reported(pretrained, tmp_path, capsys):
    checkpoint, corpus = pretrained["wav2vec2_summarymixing"], tmp_path / "corpus"
    for name in ("a/1.wav", "b/1.wav", "b/2.wav"):
        tiny.write_wave(corpus / name, tiny.tone(0.5, seed=ord(name[0]) + ord(name[2])))
    (corpus / "b/bad.wav").write_text("no audio")
    (tmp_path / "m.tsv").write_text(f"{corpus}\na/1.wav\t8000\nb/1.wav\t8000\nb/2.wav\t8000\nb/bad.wav\t9\n")
    (tmp_path / "list").write_text(f"{tmp_path / 'm.tsv'}\n")
    names = [f"{name}.{ending}" for name in ("a/1", "b/1", "b/2") for ending in ("json", "layer-2.npy", "times.npy")]
    for number, given in enumerate((corpus, tmp_path / "m.tsv", f"@{tmp_path / 'list'}")):
        out = tmp_path / str(number)
        assert features(checkpoint, given, out=out) == 1
        printed = capsys.readouterr()
        assert f"error: cannot use {corpus / 'b/bad.wav'}: not readable as audio" in printed.err
        assert printed.err.splitlines()[-1] == "error: 1 recording was not computed"
        assert printed.out.startswith("3 recordings")
        assert sorted(contents(out)) == names
    assert features(checkpoint, tmp_path / "m.tsv", out=tmp_path / "0") == 1  # another way to the same files
    assert "0 recordings, 3 were there" in capsys.readouterr().out
