"""Are results of `probe` shown beside the runs?"""

import json
import os

import pytest
from run_logs import heading, inner
from tiny import EXAMPLES

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.compare.runs import read_run


def write_probe(folder, task="classify"):
    result = {
        "description": "Probe classify (linear) & more",
        "task": task,
        "head": "linear",
        "splits": ["train", "valid", "test"],
        "checkpoints": [{"name": "ours", "layer_weights": [[0.2, 0.8], [0.4, 0.6]]}],
        "tables": [{"headings": ["checkpoint", "accuracy %"], "rows": [["ours <b>", "91.2"]]}],
        "notes": ["of ten classes"],
    }
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))


def test_results_of_probe_are_shown_after_the_runs(write, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    run, out = write("run", heading(), inner(10), inner(20)), tmp_path / "out"
    write_probe(run / "probes" / "classify-linear")
    write_probe(run / "probes" / "ctc-linear", "ctc")
    assert read_run(run, "run").notes == [], "they are no decodes"
    assert main(["compare", str(run), "--probes", str(run / "probes"), "--out", str(out)]) == 0
    page, text = (out / "compare.html").read_text(encoding="utf-8"), (out / "compare.md").read_text()
    assert "Probe: classify, linear, train" in page and "ours &lt;b&gt;" in page and "& more" not in page
    assert page.index("Pre-training") < page.index("Probe: classify") < page.index("Probe: ctc")
    assert "| ours <b> | 91.2 |" in text and "- of ten classes" in text
    assert {path.name for path in out.glob("probe-*.png")} == {"probe-1-layer-weights.png", "probe-2-layer-weights.png"}
    assert main(["compare", str(run), "--probes", str(tmp_path), "--out", str(out)]) == 1
    assert "--probes: " in (error := capsys.readouterr().err) and "holds no result.json of probe" in error


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": 1}, "task is not of the right kind"),
        ({"checkpoints": []}, "checkpoints is not of"),
        ({"checkpoints": [{"name": "ours", "layer_weights": [[0.2, 0.8], [1]]}]}, "checkpoints is not of"),
        ({"tables": 3}, "tables is not of"),
        ({"tables": [{"headings": ["a", "b"], "rows": [["c"]]}]}, "tables is not of"),
        (b"\x80\0", "is not UTF-8 text"),
        (b"[" * 100000, "cannot be read as JSON"),
        (None, "is a named pipe; expected a file"),
    ],
)
def test_a_result_that_probe_did_not_write_is_one_line(change, message, write, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    run, out, path = write("run", heading(), inner(10)), tmp_path / "out", tmp_path / "probes" / "result.json"
    write_probe(path.parent)
    content = path.read_text()
    path.unlink()
    if change is None:
        os.mkfifo(path)
    else:
        whole = json.loads(content)
        path.write_bytes(change if isinstance(change, bytes) else json.dumps({**whole, **change}).encode())
    assert main(["compare", str(run), "--probes", str(path.parent), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert f"error: {path}" in error and message in error and error.count("\n") == 1 and not out.exists()


def test_a_result_that_probe_has_written_is_shown(write, tmp_path):
    pytest.importorskip("matplotlib")
    run, out = write("run", heading(), inner(10), inner(20)), tmp_path / "out"
    results = [*(EXAMPLES / "studies" / "read_english" / "results" / "1500_updates" / "frozen").glob("*.json")]
    for path in results:
        (tmp_path / "probes" / path.stem).mkdir(parents=True)
        (tmp_path / "probes" / path.stem / "result.json").write_text(path.read_text())
    assert main(["compare", str(run), "--probes", str(tmp_path / "probes"), "--out", str(out)]) == 0
    text = (out / "compare.md").read_text()
    assert "| summarymixing-1 | 17.7 | 16.4 to 19.1 |" in text and len(list(out.glob("probe-*.png"))) == len(results)
