"""Does the script that measures loading run, and load the same audio with each data set?"""

import json
import sys

import pytest
from tiny import ROOT, write_corpus

for needed in ("fairseq", "soundfile", "scipy"):
    pytest.importorskip(needed, reason="loads resampled audio with fairseq's data set beside ours")

sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

import loading  # noqa: E402


def test_every_format_is_loaded_by_every_data_set_that_can(tmp_path, capsys):
    corpus = write_corpus(tmp_path, clips=3, splits=("train",))
    loading.measure_audio(corpus / "audio", minutes=1, turns=1)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["format"] for record in records} == set(loading.FORMATS) and len(records) == 2 * len(loading.FORMATS)
    for record in records:
        assert len(record["hours_per_second"]) == (2 if "48k" in record["format"] else 3)
        assert all(rate > 0 for rate in record["hours_per_second"].values())


def test_a_manifest_is_read_by_both(tmp_path, monkeypatch):
    monkeypatch.setattr(loading.ResilientAudioDataset, "_refuse_hopeless", None)  # restored after the test
    corpus = write_corpus(tmp_path, clips=3, splits=("train",))
    for loader in loading.LOADERS:
        found = loading.read_rows(loader, str(corpus / "train.tsv"))
        assert found["rows"] == 3 and found["seconds"] > 0 and found["peak_gb"] < 0.1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["audio", "nosuch"], "nosuch must be a folder with recordings, .wav, .flac or .ogg; found none"),
        (["audio", "empty"], "empty must be a folder with recordings"),
        (["audio", "bad"], "bad/one.wav: not readable as audio"),
        (["audio", "nosuch", "--minutes", "nan"], "--minutes must be above 0; got nan"),
        (["audio", "nosuch", "--minutes", "0"], "--minutes must be above 0; got 0"),
        (["rows", "0"], "the number of rows must be at least 1; got 0"),
        (["--turns", "0", "rows", "10"], "--turns must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_measured_is_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "describe_machine", dict)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.wav").write_text("no audio")
    monkeypatch.setattr(sys, "argv", ["loading.py", *arguments])
    assert loading.main() == 1
    assert f"error: {words}" in capsys.readouterr().err
