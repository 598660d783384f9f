"""Does the quickstart go from nothing to the page, and go on where it was stopped?"""

import json
import subprocess
import sys

import pytest
from tiny import ROOT, tone, write_wave

pytest.importorskip("fairseq", reason="trains with fairseq")
pytest.importorskip("matplotlib", reason="draws plots")
pytest.importorskip("transformers", reason="ends with an export")


def quickstart(*arguments):
    command = [sys.executable, "examples/quickstart/run.py", "--updates", "2", "--finetuning-updates", "2", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)


def test_the_whole_job_on_the_demo_corpus_twice(tmp_path):
    pytest.importorskip("espeakng_loader", reason="the demo corpus is spoken by eSpeak NG")
    out = tmp_path / "out"
    first = quickstart("--minutes", "3", "--out", str(out))
    assert first.returncode == 0, first.stdout + first.stderr
    page = out / "comparison" / "compare.html"
    assert page.stat().st_size > 10_000
    runs = json.loads((out / "comparison" / "compare.json").read_text())
    assert len(runs) == 7
    assert "in an environment with torch and transformers alone" in first.stdout and "\ntranscript: " in first.stdout
    checkpoints = {path: path.stat().st_mtime for path in out.glob("*/*/checkpoints/*.pt")}

    again = quickstart("--minutes", "3", "--out", str(out))
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("is complete") == 7
    assert {path: path.stat().st_mtime for path in out.glob("*/*/checkpoints/*.pt")} == checkpoints

    command = [sys.executable, "examples/quickstart/seeds.py", str(out), str(out)]
    both = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    row = next(line for line in both.stdout.splitlines() if line.startswith("| summarymixing | "))
    assert row.startswith("| summarymixing | wav2vec2_summarymixing / summary_mixing / conformer / log_mel | 2 | 0.")

    other = quickstart("--minutes", "3", "--out", str(out), "--seed", "2")
    assert other.returncode == 1
    assert "holds a run with other settings: delete it, or give another --out" in other.stderr.splitlines()[-1]


def test_own_audio_without_transcripts_is_resampled_pretrained_and_compared(tmp_path):
    pytest.importorskip("scipy", reason="resamples with scipy")
    for clip in range(40):
        write_wave(tmp_path / "audio" / f"{clip}.wav", tone(1.0, rate=8000, seed=clip), 8000)
    result = quickstart("--audio", str(tmp_path / "audio"), "--out", str(tmp_path / "out"), "--model", "waveform")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no transcripts, so no fine-tuning" in result.stdout
    assert (tmp_path / "out" / "comparison" / "compare.html").exists()


def test_a_folder_without_audio_is_a_one_line_error(tmp_path):
    (tmp_path / "audio").mkdir()
    result = quickstart("--audio", str(tmp_path / "audio"), "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "holds no audio files" in result.stderr and "Traceback" not in result.stderr
