"""Does one file of all recordings hold what their own files hold, whole or not at all?"""

import os

import numpy as np
import pytest
import tiny
from feature_runs import arrays, contents, features


@pytest.fixture
def three(tmp_path):
    for name in ("a/1", "b/1", "b/2"):
        tiny.write_wave(tmp_path / f"three/{name}.wav", tiny.tone(0.4, seed=sum(map(ord, name))))
    return tmp_path / "three"


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_one_file_of_all_recordings_holds_what_their_files_hold(format, pretrained, three, tmp_path, capsys):
    checkpoint, options = pretrained["wav2vec2_summarymixing"], ["--layers", "0,2", "--format", format]
    store = tmp_path / f"all.{format}"
    (three / "b/bad.wav").write_text("no audio")
    for _ in range(2):  # the second time it is there
        assert features(checkpoint, three, out=store, options=options) == 1
        printed = capsys.readouterr()
        assert f"cannot use {three / 'b/bad.wav'}" in printed.err and "1 recording was not computed" in printed.err
    assert printed.out == f"0 recordings, 3 were there: {store}\n"
    assert sorted(os.listdir(tmp_path)) == [f"all.{format}", f"all.{format}.json", "three"]
    features(checkpoint, three, out=tmp_path / "each", options=options)
    found = arrays(store)
    each = {name: arrays(tmp_path / f"each/{name}.{format}") for name in ("a/1", "b/1", "b/2")}
    expected = {f"{name}/{array}": values for name, those in each.items() for array, values in those.items()}
    assert sorted(found) == sorted(expected) and len(found) == 9
    for name, values in found.items():
        assert values.dtype == expected[name].dtype and np.array_equal(values, expected[name])


def test_a_killed_run_goes_on_and_writes_the_same_file(pretrained, three, tmp_path, monkeypatch):
    from fairseq_summarymixing.downstream import features as module

    checkpoint, options = pretrained["wav2vec2_summarymixing"], ["--format", "safetensors"]
    assert features(checkpoint, three, out=tmp_path / "right.safetensors", options=options) == 0
    store, write, computed = tmp_path / "all.safetensors", module._write, []

    def stop_at_the_third(*args):
        computed.append(args[2])
        if len(computed) == 3:
            raise KeyboardInterrupt
        write(*args)

    monkeypatch.setattr(module, "_write", stop_at_the_third)
    assert features(checkpoint, three, out=store, options=options) == 130
    assert not store.exists() and (tmp_path / "all.safetensors.unfinished").is_dir()
    assert features(checkpoint, three, out=store, options=options) == 0
    assert len(computed) == 4 and not (tmp_path / "all.safetensors.unfinished").exists()
    assert store.read_bytes() == (tmp_path / "right.safetensors").read_bytes()
    store.write_bytes(store.read_bytes()[:-8])
    assert features(checkpoint, three, out=store, options=options) == 0
    assert store.read_bytes() == (tmp_path / "right.safetensors").read_bytes()


def test_a_file_of_other_features_and_names_that_fit_no_format_are_refused(pretrained, three, tmp_path, capsys):
    checkpoint, store = pretrained["wav2vec2_summarymixing"], tmp_path / "all.npz"
    assert features(checkpoint, three / "a", out=store, options=["--format", "npz"]) == 0
    before = contents(tmp_path)
    for audio, out, options, message in (
        (three, store, ["--format", "npz"], "it was made of other recordings"),
        (three / "a", store, ["--format", "npz", "--layers", "0"], "it was made of other recordings, layers"),
        (three, tmp_path / "b.npz", [], "has the ending of another format than --format npy"),
        (three, tmp_path / "b.npy", [], "one .npy file holds one array; name a folder, or --format npz"),
    ):
        assert features(checkpoint, audio, out=out, options=options) == 1
        assert message in capsys.readouterr().err
    assert contents(tmp_path) == before
