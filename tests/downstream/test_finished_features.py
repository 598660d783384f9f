"""Are features that are there already kept, completed or refused, and never lost?"""

import os

import numpy as np
import pytest
import tiny
from feature_runs import contents, features

from fairseq_summarymixing.downstream import usable


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
        (stock, [new, x, tmp_path / "a/y.wav"], "(1 more recording likewise)", "x.layer-*.npy there"),
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
    audio, read = recordings / "long.wav", usable.read_wave

    def read_late(path):
        monkeypatch.setattr(usable, "read_wave", read)
        assert features(pretrained["wav2vec2"], audio, out=tmp_path) == 0
        return read(path)

    monkeypatch.setattr(usable, "read_wave", read_late)
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
