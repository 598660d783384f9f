"""Do page, tables and plots hold the numbers of the runs?"""

import json
import re

import pytest
from run_logs import finetuning, heading, inner, valid

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.compare.plots import line_styles
from fairseq_summarymixing.compare.report import compare
from fairseq_summarymixing.compare.runs import read_run, read_runs
from fairseq_summarymixing.compare.tables import table


def test_the_page_needs_nothing_but_itself(write, tmp_path):
    pytest.importorskip("matplotlib")
    pretraining = write("pre & <b>", heading(), inner(10, peak_memory_gb=3.0), inner(20), valid(20))
    out = tmp_path / "out"
    assert main(["compare", str(pretraining), str(finetuning(write)), "-o", str(out)]) == 0
    text = (out / "compare.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', text)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert "pre &amp; &lt;b&gt;" in text and "<b>" not in text
    assert "Pre-training" in text and "Fine-tuning" in text
    plots = sorted(path.stem for path in out.glob("*.png"))
    assert len(sources) == 2 * len(plots)  # for a light and a dark page
    assert plots == [
        "finetuning-loss",
        "finetuning-updates-per-second",
        "finetuning-valid-wer",
        "finetuning-wer",
        "pretraining-accuracy",
        "pretraining-code-perplexity",
        "pretraining-loss",
        "pretraining-peak-memory",
        "pretraining-updates-per-second",
    ]
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_json_and_markdown_hold_the_numbers(write, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    pretraining = write("pre", heading("wav2vec2_summarymixing", "summary_mixing"), inner(10), inner(20), valid(20))
    compare([pretraining, finetuning(write)], out, ["ours", "tuned"])
    ours, tuned = json.loads((out / "compare.json").read_text())
    assert (ours["name"], ours["kind"], ours["parameters"]) == ("ours", "pre-training", 95044608)
    assert ours["train"]["20"]["loss"] == ours["train_loss"] == 6.0
    assert (tuned["valid_wer"], tuned["decodes"][0]["wer_ci"]) == (33.3, [11.0, 14.0])
    text = (out / "compare.md").read_text()
    assert "| ours | wav2vec2_summarymixing / summary_mixing | 95.0 M | 20 | 6.000 | 5.000 | 0.200 | 15.0 |" in text
    assert "| tuned |" in text and "12.5 (11.0 to 14.0)" in text


def test_plots_of_an_earlier_comparison_do_not_stay(write, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("pretraining-loss.png", "pretraining-mine.png", "notes.txt"):
        (out / name).write_text("mine")
    tuned = finetuning(write)
    compare([tuned], out)
    assert (out / "pretraining-loss.png").read_text() == "mine"  # compare has not been here before
    compare([write("pre", heading(), inner(10), inner(20), valid(20))], out)
    compare([tuned], out)
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith("finetuning-")) == [
        "compare.html",
        "compare.json",
        "compare.md",
        "curves",
        "notes.txt",
        "pretraining-mine.png",
    ]
    assert {path.stem for path in (out / "curves").iterdir()} == {"pre", tuned.name}


def test_a_run_keeps_its_colour_whatever_else_is_drawn(write):
    runs = read_runs([write(f"run{index}", inner(10)) for index in range(8)])
    styles = line_styles(runs)
    assert len(set(styles.values())) == 8
    assert styles["run1"] == line_styles(runs[:3])["run1"]


def test_what_no_run_logs_has_no_column(write):
    run = read_run(write("run", inner(10)), "run")
    headings, rows = table([run])
    assert "peak GB" not in headings and "valid loss" not in headings
    assert len(rows[0]) == len(headings)


def test_without_matplotlib_one_line_names_what_to_install(write, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert main(["compare", str(write("run", inner(10))), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: compare needs matplotlib, which cannot be imported")
    assert error.endswith("pip install 'fairseq-summarymixing[report]'\n") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
