"""Does ``features`` write what the model computes, of any recording and checkpoint, whole or not at all?"""

import os

import checkpoint_files
import numpy as np
import pytest
import tiny
import torch

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import encoder as module
from fairseq_summarymixing.downstream import features as features_module
from fairseq_summarymixing.downstream.encoder import load_encoder
from fairseq_summarymixing.modules.build import MIXERS, Part
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
    assert features(checkpoint(mixer), audio, out=tmp_path, options=["--block-seconds", "1"]) == 0
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


def test_other_rates_are_resampled_and_finished_files_are_left_alone(pretrained, recordings, tmp_path, capsys):
    pytest.importorskip("scipy", reason="resamples with scipy")
    audio = [recordings / "long.wav", recordings / "low.wav"]
    assert features(pretrained["wav2vec2_summarymixing"], audio[1], out=tmp_path) == 0
    assert len(np.load(tmp_path / "low.layer-2.npy")) == 49
    before = (tmp_path / "low.layer-2.npy").stat().st_mtime_ns
    capsys.readouterr()
    assert features(pretrained["wav2vec2_summarymixing"], *audio, out=tmp_path) == 0
    assert "1 recording, 1 were there" in capsys.readouterr().out
    assert (tmp_path / "low.layer-2.npy").stat().st_mtime_ns == before


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(pretrained, tmp_path):
    """tmp_path/out with all layers of tmp_path/a/x.wav and tmp_path/a/y.wav."""
    for folder, seconds in (("a", 0.5), ("b", 1.0)):
        tiny.write_wave(tmp_path / folder / "x.wav", tiny.tone(seconds))
    tiny.write_wave(tmp_path / "a/y.wav", tiny.tone(0.6))
    audio = [tmp_path / "a/x.wav", tmp_path / "a/y.wav"]
    checkpoint = pretrained["wav2vec2_summarymixing"]
    assert features(checkpoint, *audio, out=tmp_path / "out", options=["--layers", "0,1,2"]) == 0
    return tmp_path / "out"


def test_another_recording_or_checkpoint_of_the_same_name_is_refused_and_nothing_lost(
    made, pretrained, tmp_path, capsys
):
    ours, stock = pretrained["wav2vec2_summarymixing"], pretrained["wav2vec2"]
    x, other = tmp_path / "a/x.wav", tmp_path / "b/x.wav"
    new = tmp_path / "new.wav"
    tiny.write_wave(new, tiny.tone(0.5))
    before = contents(made)
    for checkpoint, audio, found, asked in (
        (ours, [new, other], f"made of the recording {x} (", f"not of the recording {other} ("),
        (stock, [new, x], f"made of the checkpoint {ours} (", f"not of the checkpoint {stock} ("),
        (stock, [new, x, tmp_path / "a/y.wav"], "(1 more recordings likewise)", "x.layer-*.npy there"),
    ):
        assert features(checkpoint, *audio, out=made) == 1
        error = capsys.readouterr().err
        assert found in error and asked in error and error.count("\n") == 1
        assert "name another folder, or remove x.json, x.times.npy and x.layer-*.npy there" in error
        assert contents(made) == before, "nothing was computed, not even of the new recording"


def test_a_recording_that_changed_is_refused(made, pretrained, tmp_path, capsys):
    before = contents(made)
    os.utime(tmp_path / "a/x.wav", (0, 0))
    assert features(pretrained["wav2vec2_summarymixing"], tmp_path / "a/x.wav", out=made) == 1
    assert "made of the recording" in capsys.readouterr().err
    assert contents(made) == before


@pytest.mark.parametrize("origin", ["cut", "[1]", '{"speaker": "55"}', None])
def test_what_is_of_unknown_origin_is_refused(origin, made, pretrained, tmp_path, capsys):
    """Such as another program's x.json, as Libri-Light has one beside each recording."""
    checkpoint, recording, alone = pretrained["wav2vec2_summarymixing"], tmp_path / "a/x.wav", tmp_path / "alone"
    (made / "x.json").unlink()
    alone.mkdir()
    if origin is not None:
        (made / "x.json").write_text(origin)
        (alone / "x.json").write_text(origin)
    for out in (made, alone) if origin else (made,):
        before = contents(out)
        assert features(checkpoint, recording, out=out) == 1
        assert "of what it was made; they stay as they are: name another folder" in capsys.readouterr().err
        assert contents(out) == before


def test_what_another_process_made_meanwhile_is_refused(pretrained, recordings, tmp_path, monkeypatch, capsys):
    audio, read = recordings / "long.wav", features_module.read_wave

    def read_late(path):
        monkeypatch.setattr(features_module, "read_wave", read)
        assert features(pretrained["wav2vec2"], audio, out=tmp_path) == 0
        return read(path)

    monkeypatch.setattr(features_module, "read_wave", read_late)
    assert features(pretrained["wav2vec2_summarymixing"], audio, out=tmp_path) == 1
    assert "made of the checkpoint" in capsys.readouterr().err
    assert features(pretrained["wav2vec2"], audio, out=tmp_path) == 0
    assert "0 recordings, 1 were there" in capsys.readouterr().out


def test_more_layers_are_added_and_the_earlier_kept(pretrained, recordings, tmp_path):
    checkpoint, audio = pretrained["wav2vec2_summarymixing"], recordings / "long.wav"
    found = {}
    for layers in ("1", "0,1", "2"):
        assert features(checkpoint, audio, out=tmp_path / "out", options=["--layers", layers]) == 0
        assert found.items() <= contents(tmp_path / "out").items()
        found = contents(tmp_path / "out")
    assert features(checkpoint, audio, out=tmp_path / "at_once", options=["--layers", "0,1,2"]) == 0
    assert contents(tmp_path / "at_once") == found


@pytest.mark.parametrize("name", ["x.layer-1.npy", "x.times.npy"])
def test_a_file_that_is_not_whole_is_made_anew(name, made, pretrained, tmp_path, capsys):
    checkpoint, audio = pretrained["wav2vec2_summarymixing"], tmp_path / "a/x.wav"
    right = contents(made)
    other = np.load(made / name)[:-1]
    for damage in (lambda file: right[name][:-8], lambda file: right[name] + b"0", lambda file: b"", None):
        if damage:
            (made / name).write_bytes(damage(name))
        else:
            np.save(made / name, other)  # whole, but not of this recording
        capsys.readouterr()
        assert features(checkpoint, audio, out=made, options=["--layers", "0,1"]) == 0
        output = capsys.readouterr()
        assert f"{made / name} is damaged, and written again\n" in output.err
        assert "1 recording: " in output.out
        assert contents(made) == right
    assert features(checkpoint, audio, out=made, options=["--layers", "0,1"]) == 0
    assert "0 recordings, 1 were there" in capsys.readouterr().out


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


@pytest.mark.parametrize("strides, rate", [((5, 2, 2, 2, 2, 2, 2), 50), ((5, 2, 2, 2, 2), 200)])
def test_blocks_are_seconds_whatever_the_front_end(tmp_path, monkeypatch, strides, rate):
    layers = str([(16, 10 if stride == 5 else 3, stride) for stride in strides])
    path = checkpoint_files.pretrained(tmp_path / "model.pt", "summary_mixing", conv_feature_layers=layers)
    encoder = load_encoder(Checkpoint.read(path), CPU, block_seconds=2.0)
    chunks = []
    monkeypatch.setattr(module, "encode_in_chunks", lambda model, wave, chunk, on_chunk: chunks.append(chunk))
    encoder.encode(torch.zeros(16000))
    assert chunks == []  # in one pass, as it is shorter than a block
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
    options = ["--block-seconds", "1"]
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


@pytest.mark.parametrize(
    "options, message",
    [
        (["--layers", "3"], "--layers go from 0, the first layer's input, to 2; got 3"),
        (["--layers", "last"], "--layers must be numbers"),
        (["--block-seconds", "0"], "--block-seconds must be at least 1 second"),
        (["--window", "30"], "--window is for self-attention"),
        (["--layers", ""], "--layers must be numbers"),
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


def arrays(path):
    """What a file of several holds, by name."""
    if path.suffix == ".npz":
        with np.load(path) as found:
            return dict(found)
    safetensors = pytest.importorskip("safetensors.numpy", reason="the hf extra is not installed")
    return safetensors.load_file(path)


@pytest.mark.parametrize("format", ["npz", "safetensors"])
@pytest.mark.parametrize("name, more", [("wav2vec2_summarymixing", []), ("wav2vec2", ["--window", "2"])])
def test_one_file_holds_what_numpy_files_hold(name, more, format, pretrained, recordings, tmp_path):
    audio, all_layers = recordings / "long.wav", ["--layers", "all", "--block-seconds", "1", *more]
    options = ["--format", format, *all_layers]
    assert features(pretrained[name], audio, out=tmp_path / "npy", options=all_layers) == 0
    assert features(pretrained[name], audio, out=tmp_path / "one", options=options) == 0
    assert sorted(os.listdir(tmp_path / "one")) == ["long.json", f"long.{format}"]
    found = arrays(tmp_path / "one" / f"long.{format}")
    assert sorted(found) == ["layer-0", "layer-1", "layer-2", "times"]
    for array, values in found.items():
        expected = np.load(tmp_path / "npy" / f"long.{array}.npy")
        assert values.dtype == expected.dtype and np.array_equal(values, expected)


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_one_file_takes_more_layers_and_is_made_anew_where_it_is_damaged(
    format, pretrained, recordings, tmp_path, capsys
):
    checkpoint, audio, path = pretrained["wav2vec2_summarymixing"], recordings / "long.wav", tmp_path / f"long.{format}"
    assert features(checkpoint, audio, out=tmp_path, options=["--format", format, "--layers", "0"]) == 0
    first = arrays(path)
    assert features(checkpoint, audio, out=tmp_path, options=["--format", format]) == 0
    assert "damaged" not in capsys.readouterr().err
    found, right = arrays(path), path.read_bytes()
    assert sorted(found) == ["layer-0", "layer-2", "times"] and np.array_equal(found["layer-0"], first["layer-0"])
    for content in (right[:-8], b"", b"PK" + right[2:100]):
        path.write_bytes(content)
        assert features(checkpoint, audio, out=tmp_path, options=["--format", format, "--layers", "0,2"]) == 0
        assert f"{path} is damaged, and written again" in capsys.readouterr().err
        assert path.read_bytes() == right
    assert features(checkpoint, audio, out=tmp_path, options=["--format", format, "--layers", "2"]) == 0
    assert "0 recordings, 1 were there" in capsys.readouterr().out
    assert features(pretrained["wav2vec2"], audio, out=tmp_path, options=["--format", format]) == 1
    assert f"name another folder, or remove long.json and long.{format} there" in capsys.readouterr().err
    assert path.read_bytes() == right


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


@pytest.mark.parametrize("kind", ["summary_mixing", "summary_mixing-group_norm", "paper", "twin", "stock"])
def test_codes_are_what_the_quantiser_chooses(kind, checkpoint, recordings, tmp_path, capsys):
    import soundfile
    from fairseq import checkpoint_utils

    import fairseq_summarymixing.tasks  # noqa: F401

    tiny.write_wave(tmp_path / "in/a/b.wav", tiny.tone(0.7))
    options = ["--codes", "--block-seconds", "1"]
    assert features(checkpoint(kind), recordings / "long.wav", tmp_path / "in", out=tmp_path, options=options) == 0
    assert capsys.readouterr().out == f"2 recordings: {tmp_path / 'codes.tsv'}\n"
    rows = [line.split("\t") for line in (tmp_path / "codes.tsv").read_text().splitlines()]
    assert [name for name, _ in rows] == ["long", "a/b"]
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint(kind))])
    for path, (_, text) in zip((recordings / "long.wav", tmp_path / "in/a/b.wav"), rows):
        wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0]).unsqueeze(0)
        with torch.no_grad():
            codes = model.eval().quantize(wave)[1][0]
        assert text == " ".join(f"{first}-{second}" for first, second in codes.tolist())


def test_codes_need_a_quantiser(checkpoint, finetuned, recordings, tmp_path, capsys):
    audio, options = recordings / "long.wav", ["--codes"]
    no_quantiser = {"quantize_targets": False, "latent_dim": 0, "latent_vars": 320}
    none = checkpoint_files.pretrained(tmp_path / "none.pt", "summary_mixing", **no_quantiser)
    for path, message in (
        (finetuned["wav2vec2"], "is fine-tuned and holds no quantiser"),
        (none, "was pre-trained without a quantiser"),
    ):
        assert features(path, audio, out=tmp_path / "out", options=options) == 1
        assert message in capsys.readouterr().err
    assert features(checkpoint("stock"), audio, out=tmp_path / "out", options=[*options, "--layers", "1"]) == 1
    assert "leave out --layers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
