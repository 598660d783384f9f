"""Where memory does not suffice: does one line name the recording and the option to lower?"""

import pytest
import torch

pytest.importorskip("fairseq")

from tiny import tone, write_wave

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import codes as codes_of_recordings
from fairseq_summarymixing.downstream import emissions, encoder

LONG = "error: there is not enough memory for {}: use a smaller --chunk-seconds or cut the recording"


def no_memory(*args, **kwargs):
    torch.empty(2**57)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "long.wav"
    write_wave(path, tone(2.5))
    return path


def last_line(arguments, capsys):
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("codes", [[], ["--codes"]])
def test_features(codes, checkpoint, recording, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encoder.RecordingEncoder, "_encode", no_memory)
    monkeypatch.setattr(codes_of_recordings, "features_in_chunks", no_memory)
    arguments = ["features", checkpoint("summary_mixing"), recording, "-o", tmp_path / "out", *codes]
    assert last_line(arguments, capsys) == LONG.format(recording)
    assert not [path for path in (tmp_path / "out").glob("*") if path.is_file()]


def test_transcribe_long(checkpoint, recording, monkeypatch, capsys):
    monkeypatch.setattr(emissions.EmissionModel, "_compute_long", no_memory)
    arguments = ["transcribe", checkpoint("summary_mixing", ctc=True), recording, "--chunk-seconds", "1"]
    assert last_line(arguments, capsys) == LONG.format(recording)


def test_transcribe_a_batch(checkpoint, recording, monkeypatch, capsys):
    monkeypatch.setattr(emissions, "products_in", no_memory)
    line = last_line(["transcribe", checkpoint("summary_mixing", ctc=True), recording], capsys)
    assert line == "error: there is not enough memory for a batch of 2 s: use a smaller --batch-seconds"


def test_where_it_is_not_known_for_what(checkpoint, recording, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fairseq_summarymixing.downstream.features.load_encoder", no_memory)
    line = last_line(["features", checkpoint("summary_mixing"), recording, "-o", tmp_path / "out"], capsys)
    assert line == "error: there is not enough memory: give less at once, or use a larger machine"
