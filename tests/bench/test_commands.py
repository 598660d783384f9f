"""Does the script that measures whole commands run each of them, and take the start off?"""

import json
import sys

import pytest
import tiny
from forked import Forked
from omegaconf import OmegaConf

for needed in ("fairseq", "soundfile", "transformers"):
    pytest.importorskip(needed, reason="runs our commands beside Hugging Face's model")

sys.path.insert(0, str(tiny.EXAMPLES / "benchmarks"))

import commands  # noqa: E402

from fairseq_summarymixing.errors import UserError  # noqa: E402


@pytest.fixture
def speech(tmp_path):
    tiny.write_wave(tmp_path / "speech" / "one.wav", tiny.tone(2))
    tiny.write_wave(tmp_path / "speech" / "two.wav", tiny.tone(2))
    return tmp_path / "speech"


@pytest.fixture
def small(tmp_path, monkeypatch, tiny_shapes):
    """Recipes of tiny models, and no half second of products."""
    model = {**tiny.MODEL, "_name": "wav2vec2_summarymixing", "quantize_targets": True}
    recipe = {"model": model, "task": {"_name": "audio_pretraining", "normalize": True}}
    for name in commands.SHAPES.values():
        OmegaConf.save(recipe, tmp_path / f"{name}.yaml")
    monkeypatch.setattr(commands, "RECIPES", tmp_path)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["commands.py", *map(str, arguments)])
    return commands.main()


def test_every_command_reads_the_recordings_and_the_report_has_ratios(tmp_path, monkeypatch, small, speech):
    called = []

    def timed(command):
        if command[-1] == "--huggingface":
            commands.run_huggingface(commands.Path(command[-2]))
        else:
            status, output = Forked(["fairseq-summarymixing", *command[3:]], tmp_path).end(60)
            assert status == 0, output
        called.append(command)
        return {"wall": len(called), "processor": 1.0, "peak_gb": 0.1}

    monkeypatch.setattr(commands, "timed", timed)
    out = tmp_path / "out"
    options = ["--out", out, "--seconds", "1.5", "--minutes", 0.05, "--repeat", 1]
    assert run(monkeypatch, speech, "--shapes", "base", *options) == 0
    records = [json.loads(line) for line in (out / "commands.jsonl").read_text().splitlines()]
    assert [(record["seconds"], record["command"]) for record in records] == [
        (seconds, name) for seconds in (1, 1.5) for name in commands.NAMES
    ]
    assert [record["audio"] for record in records] == 5 * [1] + 5 * [3.0]
    report = (out / "commands.md").read_text()
    assert f"| 1.5 | decode | {5 / 2:.4f} | 0.0000 | 1.00 | 0.10 |" in report and "| start | decode | 3.0 |" in report


def test_attention_is_left_out_of_long_recordings(tmp_path, monkeypatch, small, speech):
    monkeypatch.setattr(commands, "MAX_ATTENTION_SECONDS", 1)
    monkeypatch.setattr(commands, "timed", lambda command: {"wall": 1.0, "processor": 1.0, "peak_gb": 0.1})
    options = ["--seconds", "2", "--minutes", 0.01, "--repeat", 1, "--commands", "features,transcribe-twin"]
    assert run(monkeypatch, speech, "--out", tmp_path / "out", "--shapes", "155m", *options) == 0
    records = [json.loads(line) for line in (tmp_path / "out" / "commands.jsonl").read_text().splitlines()]
    found = [(record["command"], record["seconds"]) for record in records]
    assert found == [("features", 1), ("transcribe-twin", 1), ("features", 2)]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--shapes", "tiny"], "--shapes must be of base, 155m; got tiny"),
        (["--commands", "export"], "--commands must be of features, transcribe"),
        (["--seconds", "1"], "--seconds must be above 1, with which the start is measured; got 1"),
        (["--seconds", "60", "--minutes", "1"], "must hold 60 s of .wav, .flac or .ogg; 56 s lack"),
        (["--minutes", "nan"], "--minutes must be 0 or more; got nan"),
        (["--minutes", "inf"], "--minutes must be 0 or more; got inf"),
        (["--shapes", "155m", "--commands", "huggingface"], "155m has none of them; its rival is transcribe-twin"),
    ],
)
def test_what_cannot_be_measured_is_reported_first(tmp_path, monkeypatch, capsys, speech, options, words):
    assert run(monkeypatch, speech, "--out", tmp_path / "out", *options) == 1
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_earlier_records_stay(tmp_path, monkeypatch, small, speech):
    monkeypatch.setattr(commands, "timed", lambda command: {"wall": 1.0, "processor": 1.0, "peak_gb": 0.1})
    options = [
        "--out",
        tmp_path / "out",
        "--shapes",
        "base",
        "--minutes",
        0.01,
        "--repeat",
        1,
        "--commands",
        "features",
    ]
    for seconds in ("1.5", "2"):
        assert run(monkeypatch, speech, *options, "--seconds", seconds) == 0
    records = [json.loads(line) for line in (tmp_path / "out" / "commands.jsonl").read_text().splitlines()]
    assert [record["seconds"] for record in records] == [1, 1.5, 1, 2]


def test_a_damaged_recording_is_named(tmp_path, monkeypatch, capsys, speech):
    (speech / "one.wav").write_text("no audio")
    assert run(monkeypatch, speech, "--out", tmp_path / "out", "--seconds", "2", "--minutes", "0") == 1
    assert f"error: {speech / 'one.wav'}: not readable as audio" in capsys.readouterr().err


def test_a_command_is_timed_and_one_that_fails_is_reported_with_its_last_words():
    found = commands.timed([sys.executable, "-c", "pass"])
    assert found["wall"] > 0 and found["processor"] > 0 and found["peak_gb"] > 0.001
    with pytest.raises(UserError, match=r"failed: no such thing$"):
        commands.timed([sys.executable, "-c", "print('more'); raise SystemExit('no such thing')"])
