"""Does one file for all recordings hold what a file for each holds?"""

import os

import numpy as np
import pytest
from feature_runs import arrays, features


@pytest.mark.parametrize("format", ["npz", "safetensors"])
@pytest.mark.parametrize("name, more", [("wav2vec2_summarymixing", []), ("wav2vec2", ["--window", "2"])])
def test_one_file_holds_what_numpy_files_hold(name, more, format, pretrained, recordings, tmp_path):
    audio, all_layers = recordings / "long.wav", ["--layers", "all", "--chunk-seconds", "1", *more]
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
