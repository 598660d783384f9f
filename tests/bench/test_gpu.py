"""Does the script that measures a GPU run every one of its paths where there is none?"""

import json
import sys

import pytest
from tiny import ROOT

pytest.importorskip("torch.utils.flop_counter", reason="counts operations with torch >= 2.1")

sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

import gpu  # noqa: E402

from fairseq_summarymixing.bench import checks, measure  # noqa: E402
from fairseq_summarymixing.modules.compiling import compile_layers  # noqa: E402


@pytest.fixture
def few(monkeypatch):
    """One short row of each kind, one model to check, which is quick to compute on a CPU, and a compiler that is
    quick."""
    monkeypatch.setattr(gpu, "check", lambda **options: checks.check(["155m"], **{**options, "long_seconds": (2,)}))
    monkeypatch.setattr(gpu, "ROWS", kinds(row._replace(batch=2, seconds=30) for row in gpu.ROWS))
    monkeypatch.setattr(gpu, "PROFILED", kinds((shape, 1, 30, names) for shape, _, _, names in gpu.PROFILED))
    monkeypatch.setattr(checks, "MIXERS", ("summary_mixing",))
    monkeypatch.setattr(measure, "compile_layers", lambda module: compile_layers(module, backend="aot_eager"))


def kinds(rows):
    return tuple(dict.fromkeys(rows))


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_checks_every_kind_of_row_profiles_and_a_report(tmp_path, tiny_shapes, few):
    gpu.run(tmp_path, "cpu", minutes=60, repeat=1, scale=0.02)
    assert [check for check in records(tmp_path / "checks.jsonl") if not check["held"]] == []
    measured = records(tmp_path / "bench.jsonl")
    kind = ("work", "shape", "dtype", "compiled", "candidate")
    assert [tuple(record[name] for name in kind) for record in measured] == [
        (row.work, row.shape, row.dtype, row.compiled, name) for row in gpu.ROWS for name in row.names
    ]
    skipped = {record["candidate"] for record in measured if "skipped" in record}
    assert skipped <= {"huggingface"}, "the one that may not be installed"
    assert all(record["step"] > 0 for record in measured if "skipped" not in record)
    profiles = records(tmp_path / "profile.jsonl")
    assert [(profile["shape"], profile["candidate"]) for profile in profiles] == [
        (shape, name) for shape, _, _, names in gpu.PROFILED for name in names
    ]
    assert all(profile["launches"] > 100 and profile["top"][0][1] > 0 for profile in profiles)
    text = (tmp_path / "report.md").read_text()
    assert "checks held" in text and "time / self_attention" in text and "## Profile: 155m step" in text


def test_what_time_does_not_allow_is_named(tmp_path, tiny_shapes, few, monkeypatch):
    monkeypatch.setattr(gpu, "check", lambda **options: iter(()))
    gpu.run(tmp_path, "cpu", minutes=0, repeat=1, scale=0.05)
    assert (tmp_path / "report.md").read_text().count("left out for lack of time") == len(gpu.ROWS)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "this torch sees no GPU; --device cpu tries the script itself"),
        (["--device", "cpu", "--repeat", "0"], "--repeat must be at least 1; got 0"),
        (["--device", "cpu", "--scale", "-1"], "--scale must be above 0; got -1"),
        (["--device", "cpu", "--minutes", "nan"], "--minutes must be 0 or more; got nan"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "out"), *arguments])
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert capsys.readouterr().err == f"error: {message}\n" and not (tmp_path / "out").exists()


def test_checks_notice_a_lean_layer_that_is_wrong(tiny_shapes, monkeypatch):
    def wrong(model):
        for parameter in model.parameters():
            parameter.data.mul_(1.001)
        return model

    monkeypatch.setattr(checks, "make_lean", wrong)
    monkeypatch.setattr(checks, "MIXERS", ("summary_mixing",))
    found = {check["check"]: check for check in checks.check(["155m"], "cpu", seconds=1, long_seconds=())}
    assert not found["lean, 155m encoder, summary_mixing, fp32"]["held"]


def test_a_check_that_ends_in_an_error_without_words_is_named_by_the_errors_kind(tiny_shapes, monkeypatch):
    def fails(model):
        raise NotImplementedError

    monkeypatch.setattr(checks, "make_lean", fails)
    first = next(checks.check(["155m"], "cpu", seconds=1, long_seconds=()))
    assert first["failure"] == "NotImplementedError" and not first["held"]
