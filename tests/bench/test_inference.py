"""Does the script that measures inference run every candidate, and say what it left out?"""

import json
import sys

import pytest
from tiny import ROOT

sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

import inference  # noqa: E402

from fairseq_summarymixing.converters import graph  # noqa: E402
from fairseq_summarymixing.modules.lean.precision import takes_bf16_products  # noqa: E402

QUICK = [name for name in inference.CANDIDATES if name not in inference.EXPORTS]


def records(path):
    return [json.loads(line) for line in (path / "inference.jsonl").read_text().splitlines()]


def test_every_candidate_of_both_shapes_is_timed_or_skipped_with_the_reason(tmp_path, tiny_shapes):
    pytest.importorskip("transformers")
    inference.run(tmp_path, ["base", "155m"], [0.5], 2, QUICK, repeat=1)
    found = records(tmp_path)
    assert [record["candidate"] for record in found] == 2 * QUICK
    skipped = {record["candidate"] for record in found if "skipped" in record}
    here = takes_bf16_products()
    ours_in_bf16 = set() if here else {name for name in QUICK if name.startswith("s") and name.endswith("bf16")}
    assert skipped == {"huggingface", "huggingface_bf16"} | ours_in_bf16  # the first two have no log-mel front end
    assert all(record["wall"] > 0 and record["processor"] > 0 for record in found if "skipped" not in record)
    report = (tmp_path / "inference.md").read_text()
    assert "/ huggingface" in report and "/ self_attention" in report and "1.00" in report


def test_attention_is_left_out_of_long_recordings(tmp_path, tiny_shapes, monkeypatch):
    monkeypatch.setattr(inference, "MAX_ATTENTION_SECONDS", 1)
    inference.run(tmp_path, ["155m"], [2], 1, ["summary_mixing", "self_attention"], repeat=1)
    chunks, attention = records(tmp_path)
    assert "wall" in chunks and attention["skipped"] == "one pass of more than 1 s"


def test_an_export_is_run_by_transformers(tmp_path, tiny_shapes):
    pytest.importorskip("transformers")
    inference.run(tmp_path, ["base", "155m"], [0.5], 1, ["export_hf"], repeat=1)
    base, other = records(tmp_path)
    assert base["wall"] > 0 and "skipped" in other


def test_an_export_is_a_candidate(tmp_path, tiny_shapes, monkeypatch):
    written = {}
    monkeypatch.setattr(graph, "write_onnx", lambda model, file, metadata: written.update(model=model))
    monkeypatch.setattr(graph, "open_onnx", lambda file: written["model"])  # exporting takes seconds; tested elsewhere
    inference.run(tmp_path, ["base"], [0.5], 1, ["onnx"], repeat=1)
    assert records(tmp_path)[0]["wall"] > 0


def test_earlier_records_stay(tmp_path, tiny_shapes):
    inference.run(tmp_path, ["155m"], [0.5], 1, ["summary_mixing"], repeat=1)
    inference.run(tmp_path, ["155m"], [0.7], 1, ["summary_mixing"], repeat=1)
    assert [record["seconds"] for record in records(tmp_path)] == [0.5, 0.7]
    assert "| 0.5 |" not in (tmp_path / "inference.md").read_text()


@pytest.mark.parametrize(
    "options, words",
    [
        (["--count", "0"], "--count must be at least 1; got 0"),
        (["--seconds", "1e30"], "--seconds must be at most 1000000; got 1e+30"),
        (["--threads", "100000"], "the cores of this machine; got 100000"),
        (["--out", "file"], "cannot write file: file is no folder"),
    ],
)
def test_what_cannot_be_measured_is_one_line(tmp_path, tiny_shapes, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "argv", ["inference.py", "--shapes", "base", *options])
    assert inference.main() == 1
    assert words in capsys.readouterr().err
