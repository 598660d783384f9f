"""Is ``--dtype bf16`` close to fp32, in hidden states and in words, and is what it made told from what fp32 made?"""

import json

import numpy as np
import pytest
import tiny
import torch

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import devices as module
from fairseq_summarymixing.downstream.emissions import Batching
from fairseq_summarymixing.downstream.features import extract
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.modules.lean.precision import LeanLogMel, bf16_factors, takes_bf16_products
from fairseq_summarymixing.modules.log_mel import LogMel

needs_bf16 = pytest.mark.skipif(not takes_bf16_products(), reason="torch does not multiply in bf16 on this processor")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "one.wav"
    tiny.write_wave(path, tiny.tone(3.1))
    return path


def states(out):
    return [np.load(path) for path in sorted(out.glob("one.layer-*.npy"))]


@needs_bf16
@pytest.mark.parametrize("kind", ["summary_mixing", "paper", "twin", "hyper_mixing", "fastformer", "stock-group_norm"])
def test_hidden_states_are_within_one_percent(kind, checkpoint, recording, tmp_path):
    path = checkpoint(kind)
    for dtype in ("fp32", "auto"):
        extract(path, [recording], tmp_path / dtype, "all", dtype=dtype, device="cpu")
    for exact, rounded in zip(states(tmp_path / "fp32"), states(tmp_path / "auto")):
        assert rounded.dtype == np.float32
        assert 1e-5 < np.linalg.norm(rounded - exact) / np.linalg.norm(exact) < 0.01


def test_products_are_rounded_where_we_say_so_and_nowhere_else():
    left = torch.randn(200, 300)
    product = left @ left.t()
    with bf16_factors():
        rounded = (left @ left.t() - product).abs().max() > 1e-3
    assert rounded == takes_bf16_products()


@needs_bf16
def test_log_mel_energies_are_exact_and_settings_are_given_back():
    wave = torch.randn(1, 16000)
    exact = LogMel()(wave)[0]
    left = torch.randn(200, 200)
    product = left @ left
    with bf16_factors():
        torch.testing.assert_close(LeanLogMel()(wave)[0], exact, atol=0, rtol=0)
        assert (left @ left - product).abs().max() > 1e-3
    torch.testing.assert_close(left @ left, product, atol=0, rtol=0)


@needs_bf16
def test_settings_are_given_back_by_the_last_of_two_threads():
    settings = torch.backends.mkldnn.matmul
    before = settings.fp32_precision
    first, second = bf16_factors(), bf16_factors()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert settings.fp32_precision == "bf16"
    second.__exit__(None, None, None)
    assert settings.fp32_precision == before


@needs_bf16
@pytest.mark.parametrize("chunk_seconds", ["60", "1"])
def test_the_same_words_are_decoded(checkpoint, corpus, tmp_path, chunk_seconds):
    arguments = ["decode", str(checkpoint("summary_mixing", ctc=True)), "--data", str(corpus), "--split", "test"]
    for dtype in ("fp32", "bf16"):
        options = ["--out", str(tmp_path / dtype), "--dtype", dtype, "--device", "cpu"]
        assert not main([*arguments, *options, "--chunk-seconds", chunk_seconds])
    found = [json.loads((tmp_path / dtype / "result.json").read_text()) for dtype in ("fp32", "bf16")]
    assert [result["dtype"] for result in found] == ["fp32", "bf16"]
    assert abs(found[0]["cer"] - found[1]["cer"]) < 5  # of random weights, whose symbols nearly tie


@needs_bf16
def test_transcribe_takes_it(checkpoint, recording, capsys):
    for dtype in ("fp32", "auto"):
        assert not main(["transcribe", str(checkpoint("summary_mixing", ctc=True)), str(recording), "--dtype", dtype])
    exact, rounded = capsys.readouterr().out.splitlines()
    assert exact and len(exact) == pytest.approx(len(rounded), abs=3)


@needs_bf16
def test_features_of_another_dtype_stay_as_they_are(checkpoint, recording, tmp_path):
    arguments = (checkpoint("summary_mixing"), [recording], tmp_path)
    extract(*arguments)
    assert json.loads((tmp_path / "one.json").read_text())["dtype"] == "fp32"
    assert extract(*arguments).startswith("0 recordings, 1 were there")
    with pytest.raises(UserError, match="made of products in fp32, not of products in bf16"):
        extract(*arguments, dtype="bf16", device="cpu")


@needs_bf16
@pytest.mark.parametrize("format", ["npy", "npz"])
def test_one_folder_holds_one_dtype(format, checkpoint, recording, tmp_path):
    other = tmp_path / "in/folder/two.wav"
    tiny.write_wave(other, tiny.tone(1.2))
    out = tmp_path / "out"
    extract(checkpoint("summary_mixing"), [tmp_path / "in"], out, dtype="bf16", device="cpu", format=format)
    before = sorted(out.rglob("*"))
    message = "holds features of two made of products in bf16, not of products in fp32: use `dtype` bf16, or name anoth"
    with pytest.raises(UserError, match=message):
        extract(checkpoint("summary_mixing"), [recording], out, format=format)
    assert sorted(out.rglob("*")) == before
    extract(checkpoint("summary_mixing"), [recording], out, dtype="bf16", device="cpu", format=format)
    assert json.loads((out / "one.json").read_text())["dtype"] == "bf16"


def test_where_there_is_no_bf16(checkpoint, recording, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "takes_bf16_products", lambda: False)
    assert module.pick_dtype("auto", torch.device("cpu")) == "fp32"
    assert module.pick_dtype("auto", torch.device("cuda")) == "fp32"
    with pytest.raises(UserError, match="`device` is cuda: use `dtype` fp32"):
        module.pick_dtype("bf16", torch.device("cuda"))
    with pytest.raises(UserError, match="`dtype` must be one of fp32, bf16, auto; got fp64"):
        Batching(dtype="fp64")
    assert main(["features", str(checkpoint("summary_mixing")), str(recording), "-o", str(tmp_path), "--dtype=bf16"])
    message = "error: --dtype bf16 needs a CPU on which torch multiplies in bf16 (with AMX), and this is none"
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())
