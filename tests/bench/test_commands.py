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
def recordings(tmp_path):
    tiny.write_wave(tmp_path / "speech" / "one.wav", tiny.tone(3))
    return tmp_path / "speech"


def test_every_command_reads_the_recordings_and_the_report_has_ratios(tmp_path, monkeypatch, tiny_shapes, recordings):
    model = {**tiny.MODEL, "_name": "wav2vec2_summarymixing", "quantize_targets": True}
    recipe = {"model": model, "task": {"_name": "audio_pretraining", "normalize": True}}
    OmegaConf.save(recipe, tmp_path / f"{commands.SHAPES['base']}.yaml")
    monkeypatch.setattr(commands, "RECIPES", tmp_path)
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
    records = list(commands.measure(recordings, "base", [1.5], minutes=0.05, repeat=1))
    names = ["features", "transcribe", "decode", "transcribe, twin", "huggingface"]
    assert [(record["seconds"], record["command"]) for record in records] == [
        (seconds, name) for seconds in (1, 1.5) for name in names
    ]
    assert [record["audio"] for record in records] == 5 * [1] + 5 * [3.0]
    report = commands.report(records)
    assert f"| 1.5 | decode | {5 / 3:.4f} | 0.0000 | 1.00 | 0.10 |" in report and "| start | decode | 3.0 |" in report
    assert json.dumps(records)


def test_too_little_audio_is_reported(tmp_path, recordings):
    with pytest.raises(UserError, match="holds less than 4 s"):
        commands.write_recordings(recordings, tmp_path / "cut", 4, 0)


def test_a_command_that_fails_is_reported_with_its_words():
    with pytest.raises(UserError, match=r"failed: .*no such thing"):
        commands.timed([sys.executable, "-c", "raise SystemExit('no such thing')"])
