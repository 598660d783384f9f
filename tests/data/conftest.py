import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]


def tone(seconds=0.5, rate=16000, channels=1, frequency=220.0):
    """(frames,) or (frames, channels) of a quiet sine."""
    wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return wave if channels == 1 else np.stack([wave / (1 + channel) for channel in range(channels)], axis=1)


@pytest.fixture(name="tone")
def tone_fixture():
    return tone


@pytest.fixture
def write_tone():
    """write_tone(path, seconds=0.5, rate=16000, channels=1): an audio file, its folders included."""

    def write(path, seconds=0.5, rate=16000, channels=1, frequency=220.0, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(seconds, rate, channels, frequency), rate, **options)
        return path

    return write


@pytest.fixture
def corpus(tmp_path, write_tone):
    """40 short recordings of 8 speakers at 16 kHz in tmp_path/corpus."""
    for number in range(40):
        write_tone(tmp_path / "corpus" / f"speaker{number % 8}" / f"{number:03d}.wav", 0.2 + number / 1000)
    return tmp_path / "corpus"


class Result:
    def __init__(self, returncode, output):
        self.returncode, self.stdout, self.stderr = returncode, output.out, output.err


@pytest.fixture
def run(monkeypatch, capsys):
    """run("librispeech.py", argument, ...): status and output of a script in manifests/, run as a user runs it."""

    def run(script, *arguments):
        path = str(REPOSITORY / "manifests" / script)
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(path, run_name="__main__")
        return Result(ended.value.code, capsys.readouterr())

    return run
