"""Is the table the mean of the stored results, beside what was published, with what was run otherwise?"""

import json

import pytest

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.mp3s.environment import PUBLISHED_DIGEST
from fairseq_summarymixing.downstream.mp3s.report import report
from fairseq_summarymixing.errors import UserError

WHOLE = [{"what": "test", "found": 9, "published": 9, "missing": 0}]


def store(out, task, model, seed, score, speaker=None, test="test", corpus=WHOLE, epochs=None, weights=(0.7, 0.2, 0.1)):
    folder = out / "runs" / task.replace("/", "-") / model / f"seed-{seed}-{speaker}"
    folder.mkdir(parents=True)
    settings = {
        "options": [],
        "epochs": epochs,
        "encoder": "e",
        "normalised": False,
        "benchmark": PUBLISHED_DIGEST,
        "corpus": [],
    }
    result = {"task": task, "model": model, "seed": seed, "speaker": speaker, "scores": {test: score}, "seconds": 1800}
    result.update(
        place=int(model == "a twin"),
        layer_weights=list(weights),
        versions={"speechbrain": "1.1.2"},
        corpus=corpus,
        device="cpu",
    )
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "result.json").write_text(json.dumps({**result, "settings": settings}))


def row(text, title):
    return next([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if f"| {title} " in line)


@pytest.fixture(autouse=True)
def matplotlib():
    pytest.importorskip("matplotlib", reason="the report extra is not installed")


def test_means_over_seeds_stand_beside_the_published_numbers(tmp_path, capsys):
    for model, scores in (("ours", (48.0, 49.0)), ("a twin", (51.0, 50.5))):
        for seed, score in enumerate(scores, start=1):
            store(tmp_path, "CommonVoice/LSTM/cy", model, seed, score)
    store(tmp_path, "SLURP/LSTM_linear", "ours", 1, 80.0)
    assert main(["mp3s", "report", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text.strip() == (tmp_path / "report.md").read_text().strip()
    welsh = row(text, "Welsh, BiLSTM")
    assert welsh[:5] == ["Welsh, BiLSTM", "test", "WER % ↓", "48.50 ± 0.71 (2)", "50.75 ± 0.35 (2)"]
    assert welsh[5:] == ["48.3", "50.8", "54.5", "45.4", "54", "44.32"]
    assert row(text, "SLURP, BiLSTM")[:5] == ["SLURP, BiLSTM", "test", "accuracy % ↑", "80.00", "–"]
    assert "commit 3560542" in text and "speechbrain 1.1.2" in text and "5 runs, 2.50 hours on cpu" in text
    assert (tmp_path / "layer_weights.png").read_bytes()[:4] == b"\x89PNG"
    scores = json.loads((tmp_path / "report.json").read_text())["scores"]
    assert scores[0]["scores"]["a twin"] == {"1": 51.0, "2": 50.5}


def test_iemocap_is_the_mean_over_ten_speakers_and_nothing_over_nine(tmp_path):
    for speaker in range(1, 11):
        store(tmp_path, "IEMOCAP/linear", "ours", 1, 50.0 + speaker, speaker)
        if speaker < 10:
            store(tmp_path, "IEMOCAP/linear", "a twin", 1, 50.0 + speaker, speaker)
    text = report(tmp_path)
    assert row(text, "IEMOCAP, linear")[3:5] == ["55.50", "–"]
    assert "IEMOCAP/linear, a twin, seed 1: 9 of 10 test speakers" in text


def test_what_is_not_the_benchmark_is_said(tmp_path):
    part = [{"what": "recordings", "found": 5, "published": 148642, "missing": 2}]
    store(tmp_path, "VoxCeleb1/Xvectors", "ours", 1, 30.0, corpus=part, epochs=1)
    store(tmp_path, "VoxCeleb1/Xvectors", "a twin", 1, 30.0, corpus=part)
    without = tmp_path / "runs/SLURP-linear/ours/seed-1"
    without.mkdir(parents=True)
    (without / "settings.json").write_text("{}")
    text = report(tmp_path)
    assert "voxceleb1 is not the whole corpus: recordings 5 of 148642 (2 files missing)" in text
    assert "**--epochs 1 in place of the recipes': VoxCeleb1/Xvectors.**" in text
    assert "**VoxCeleb1/Xvectors: runs differ in epochs.**" in text
    assert "plain cross-entropy in place of the margin loss" in text
    assert f"no score: {without}/output.log" in text


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "SUPERB"}, "task is not of the right kind"),
        ({"scores": {"dev": 3.0}}, "test is missing"),
        ({"settings": {}}, "options is missing"),
        ({"corpus": [1]}, "corpus is not of the right kind"),
        ({"layer_weights": ["a"]}, "layer_weights is not of the right kind"),
        (b"\x80", "is not UTF-8 text"),
        (b"[1]", "holds a list, not an object"),
    ],
)
def test_a_result_that_no_run_wrote_is_one_line(change, message, tmp_path, capsys):
    store(tmp_path, "SLURP/linear", "ours", 1, 80.0)
    path = next(tmp_path.rglob("result.json"))
    whole = json.loads(path.read_bytes())
    path.write_bytes(change if isinstance(change, bytes) else json.dumps({**whole, **change}).encode())
    assert main(["mp3s", "report", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"error: {path}" in error and message in error and error.count("\n") == 1


def test_without_results_there_is_no_report(tmp_path):
    with pytest.raises(UserError, match="holds no run with a score; make some with"):
        report(tmp_path)
