"""Does the quickstart go from nothing to the page, end as a whole, and go on where it was stopped?"""

import fcntl
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from tiny import ROOT, accept_ctrl_c, tone, write_corpus, write_wave

from fairseq_summarymixing.errors import UserError

pytest.importorskip("fairseq", reason="trains with fairseq")
pytest.importorskip("matplotlib", reason="draws plots")
pytest.importorskip("transformers", reason="ends with an export")


def command(*arguments):
    return [sys.executable, "examples/quickstart/run.py", "--updates", "2", "--finetuning-updates", "2", *arguments]


def quickstart(*arguments):
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=400)


def is_free(log):
    """Whether no training, nor a process that loads its data, runs any more."""
    with open(log) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_the_whole_job_on_the_demo_corpus_twice(tmp_path):
    pytest.importorskip("espeakng_loader", reason="the demo corpus is spoken by eSpeak NG")
    out = tmp_path / "out"
    first = quickstart("--minutes", "3", "--out", str(out))
    assert first.returncode == 0, first.stdout + first.stderr
    page = out / "comparison" / "compare.html"
    assert page.stat().st_size > 10_000
    runs = json.loads((out / "comparison" / "compare.json").read_text())
    assert len(runs) == 7
    first_result = first.stdout.index("First result")
    assert first_result < first.stdout.index("\nfinetuning/wav2vec2: 2 of 2 updates")
    assert "\nsummarymixing " in first.stdout[first_result:] and "\nself_attention " in first.stdout[first_result:]
    assert "in an environment with torch and transformers alone" in first.stdout and "\ntranscript: " in first.stdout
    checkpoints = {path: path.stat().st_mtime for path in out.glob("*/*/checkpoints/*.pt")}

    again = quickstart("--minutes", "3", "--out", str(out))
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("is complete") == 7
    assert first.stdout.count(" decode ") == 4 and " decode " not in again.stdout
    assert {path: path.stat().st_mtime for path in out.glob("*/*/checkpoints/*.pt")} == checkpoints

    seeds = [sys.executable, "examples/quickstart/seeds.py", str(out), str(out)]
    both = subprocess.run(seeds, cwd=ROOT, capture_output=True, text=True)
    row = next(line for line in both.stdout.splitlines() if line.startswith("| summarymixing | "))
    assert row.startswith("| summarymixing | wav2vec2_summarymixing / summary_mixing / conformer / log_mel | 2 | 0.")

    other = quickstart("--minutes", "3", "--out", str(out), "--seed", "2")
    assert other.returncode == 1
    assert "holds a run with other settings: delete it, or train into another folder" in other.stderr.splitlines()[-1]


def test_own_audio_without_transcripts_is_resampled_pretrained_and_compared_also_after_ctrl_c(tmp_path):
    pytest.importorskip("scipy", reason="resamples with scipy")
    for clip in range(40):
        write_wave(tmp_path / "audio" / f"{clip}.wav", tone(1.0, rate=8000, seed=clip), 8000)
    out = tmp_path / "out"
    arguments = ["--audio", str(tmp_path / "audio"), "--out", str(out), "--model", "waveform"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command(*arguments), cwd=ROOT, start_new_session=True, preexec_fn=accept_ctrl_c, **pipes)
    until = time.monotonic() + 200
    while not list(out.glob("pretraining/*/done")) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted: run the same command again; what was finished is kept\n"
    assert all(is_free(log) for log in out.glob("pretraining/*/output.log"))
    finished = len(list(out.glob("pretraining/*/done")))
    assert 1 <= finished < 3

    result = quickstart(*arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("is complete") == finished
    assert "no transcripts, so no fine-tuning" in result.stdout
    assert (out / "comparison" / "compare.html").exists()


def test_a_training_that_fails_ends_the_others_and_is_reported(tmp_path):
    corpus, out = write_corpus(tmp_path / "corpus", clips=24), tmp_path / "out"
    checkpoints = out / "pretraining" / "summarymixing" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "checkpoint_last.pt").write_bytes(b"damaged")
    result = quickstart("--audio", str(corpus), "--out", str(out), "--updates", "100000")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 2, result.stderr
    report, reason = result.stderr.splitlines()
    assert report.startswith("error: pretraining/summarymixing failed; its output is in ")
    assert reason.startswith("error: ") and "checkpoint_last.pt" in reason
    assert all(is_free(log) for log in out.glob("pretraining/*/output.log"))
    assert not list(out.glob("pretraining/*/done"))


def test_a_folder_that_was_made_of_another_corpus_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples/quickstart"))
    run, out, given = runpy.run_path(str(ROOT / "examples/quickstart/run.py")), tmp_path / "out", tmp_path / "given"
    given.mkdir()

    def source(manifest="", audio=given, transcripts=None, minutes=3.0):
        (given / "train.tsv").write_text(manifest)
        (given / "test.ltr").write_text(manifest and "A")
        return run["source_of"](SimpleNamespace(audio=audio, transcripts=transcripts, minutes=minutes))

    audio, table = dict(audio=tmp_path / "audio"), tmp_path / "table.tsv"
    sources = [source("a"), source("b"), source(""), source(**audio), source(**audio, transcripts="sidecar")]
    for text in ("a.wav\tA", "a.wav\tB"):
        table.write_text(text)
        sources.append(source(**audio, transcripts=str(table)))
    sources += [source(audio=None), source(audio=None, minutes=4.0)]
    assert len({*sources}) == len(sources)
    run["claim"](out, sources[0])
    run["claim"](out, sources[-1])  # of the first one nothing was made
    (out / "data").mkdir()
    (out / "data" / "train.tsv").touch()
    run["claim"](out, sources[-1])
    for other in sources[:-1]:
        with pytest.raises(UserError, match=re.escape(f"{out} was made of {sources[-1]}, not of {other}: name ")):
            run["claim"](out, other)
    (out / "source.txt").unlink()
    with pytest.raises(UserError, match="was made of an unknown corpus, not of"):
        run["claim"](out, sources[-1])


def test_a_folder_without_audio_is_a_one_line_error(tmp_path):
    (tmp_path / "audio").mkdir()
    result = quickstart("--audio", str(tmp_path / "audio"), "--out", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "holds no audio files" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [[], ["DIR"], ["DIR", "a.wav", "b.wav"]])
def test_transcribing_without_fairseq_takes_two_arguments(arguments, monkeypatch):
    path = "examples/quickstart/transcribe.py"
    monkeypatch.setattr("sys.argv", [path, *arguments])
    monkeypatch.setitem(sys.modules, "transformers", None)  # it does not load beside some torchaudios
    with pytest.raises(SystemExit, match=f"^usage: python {path} DIR AUDIO$"):
        runpy.run_path(str(ROOT / path), run_name="__main__")
