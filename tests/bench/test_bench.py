"""Does the bench count what it reports, alternate its candidates, and report without measuring?"""

import json
import time

import pytest
import torch
from tiny import ROOT

from fairseq_summarymixing.bench import candidates, flops, measure
from fairseq_summarymixing.bench.parts import measure_parts
from fairseq_summarymixing.bench.records import measured, read_records
from fairseq_summarymixing.bench.report import report
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.modules.attention import SelfAttention
from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes

pytestmark = pytest.mark.usefixtures("tiny_shapes")


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_activation_bytes_are_those_of_distinct_storages_without_parameters():
    linear = torch.nn.Linear(8, 16)
    x = torch.randn(10, 8, requires_grad=True)
    with count_activation_bytes(linear) as saved:
        y = linear(x)  # keeps x
        (y * y).sum()  # keeps y, twice the same
    assert saved.total == 4 * (10 * 8 + 10 * 16)


@pytest.mark.parametrize("shape", ["base", "155m"])
@pytest.mark.parametrize("work", ["mixer", "encoder", "step"])
def test_every_candidate_is_measured_or_skipped_with_a_reason(work, shape, tmp_path):
    out = tmp_path / "bench.jsonl"
    command = ["bench", "run", "--work", work, "--shape", shape, "--seconds", "1,2", "--repeat", "1", "-o", str(out)]
    assert main(command) == 0
    found = records(out)
    assert {record["candidate"] for record in found if record["seconds"] == 1.0} == set(candidates.CANDIDATES[work])
    for record in found:
        assert record.get("skipped") or (record["step"] > 0 and record["activation_bytes"] > 0 and record["machine"])
        assert record["candidate"] not in candidates.OUR_MODELS or "skipped" not in record
        ours = record["candidate"] in (*candidates.OUR_MODELS, "self_attention_unfused")
        assert ("parts" in record) == (ours and work != "mixer")


@pytest.mark.parametrize("shape", ["base", "155m"])
def test_the_parts_are_the_whole(shape):
    (record,) = measure.measure("step", shape, [2], names=["summary_mixing"], repeat=1)
    parts = record["parts"]
    named = {"front end", "positions", "mixers", "feed-forwards", "norms, dropout, other", "quantiser and objective"}
    assert set(parts) == named | ({"convolution modules"} if shape == "155m" else set())
    assert sum(part["activation_bytes"] for part in parts.values()) == pytest.approx(
        record["activation_bytes"], rel=0.05
    )
    for name in ("front end", "mixers", "feed-forwards", "quantiser and objective"):
        assert parts[name]["forward"] > 0 and parts[name]["backward"] > 0


def test_a_part_that_is_slow_backward_is_found(monkeypatch):
    class Slow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            time.sleep(0.2)
            return gradient

    candidate = candidates.build("encoder", "base", "self_attention", 1, 1, "cpu", torch.float32)
    layer = candidate.module.layers[0]
    project = layer.mixer.out_proj.forward
    monkeypatch.setattr(layer.mixer.out_proj, "forward", lambda x: Slow.apply(project(x)))
    parts = measure_parts(candidate, "cpu")
    assert parts["mixers"]["backward"] > 0.2 > sum(part["backward"] for part in parts.values()) - 0.2


def test_attention_without_dropout_is_the_twin_otherwise():
    for work in ("mixer", "encoder"):
        without, twin = (
            candidates.build(work, "base", name, 1, 1, "cpu", torch.float32).module
            for name in ("self_attention_no_dropout", "self_attention")
        )
        attention = [module for module in without.modules() if isinstance(module, SelfAttention)]
        assert attention and all(module.dropout == 0 for module in attention)
        assert without.state_dict().keys() == twin.state_dict().keys()


@pytest.mark.parametrize("shape", ["base", "155m"])
def test_layers_of_stock_fairseq_have_the_sizes_of_ours(shape):
    pytest.importorskip("fairseq", reason="builds its layers")
    ours, stock = (
        candidates.build("encoder", shape, name, 1, 1, "cpu", torch.float32).module.layers
        for name in ("self_attention", "fairseq")
    )
    # without biases: stock's convolution module has none
    sizes = [sum(p.numel() for p in layers.parameters() if p.dim() > 1) for layers in (ours, stock)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    "error, reason",
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "DefaultCPUAllocator: can't allocate memory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_memory_does_not_hold_is_skipped_and_the_others_go_on(error, reason, monkeypatch):
    step = measure.time_step

    def fails_once(candidate, *rest):
        if candidate.name == "self_attention":
            raise error
        return step(candidate, *rest)

    monkeypatch.setattr(measure, "time_step", fails_once)
    found = list(measure.measure("mixer", "base", [1], names=["self_attention", "summary_mixing"], repeat=1))
    assert found[0]["skipped"] == f"out of memory ({reason})"
    assert "skipped" not in found[1]


def test_an_error_that_is_no_lack_of_memory_ends_the_run(monkeypatch):
    def fails(*_):
        raise RuntimeError("the allocated tensor has the wrong shape")

    monkeypatch.setattr(measure, "time_step", fails)
    with pytest.raises(RuntimeError, match="wrong shape"):
        list(measure.measure("mixer", "base", [1], names=["summary_mixing"], repeat=1))


def test_a_grouped_convolution_costs_three_times_its_forward():
    pytest.importorskip("torch.utils.flop_counter", reason="counts operations with torch >= 2.1")
    convolution = torch.nn.Conv1d(8, 8, 3, groups=4)
    x = torch.randn(2, 8, 12, requires_grad=True)
    with flops.flop_counter() as counter:
        convolution(x).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * (2 * 10) * 8 * 2 * 3


def test_more_audio_costs_more():
    pytest.importorskip("torch.utils.flop_counter", reason="counts operations with torch >= 2.1")
    found = list(measure.measure("encoder", "base", [2, 4], names=["summary_mixing", "self_attention"], repeat=1))
    by = {(record["candidate"], record["seconds"]): record for record in found}
    assert by["summary_mixing", 4]["flops"] == pytest.approx(2 * by["summary_mixing", 2]["flops"], rel=0.02)
    assert by["self_attention", 4]["activation_bytes"] > by["self_attention", 2]["activation_bytes"]


def test_the_report_holds_ratios_to_the_baseline_and_draws_plots(tmp_path):
    pytest.importorskip("matplotlib", reason="draws plots")
    out = tmp_path / "bench.jsonl"
    options = dict(work="mixer", shape="base", names=["summary_mixing", "self_attention"], repeat=1)
    measure.run(out, seconds=[1.0, 2.0], **options)
    text = report([out], ["self_attention", "summary_mixing"], out=tmp_path / "report")
    first, second = records(out)[:2]
    assert f"| {first['activation_bytes'] / second['activation_bytes']:.3f} | 1.000 |" in text
    rows = [line for line in text.splitlines() if line.startswith(("| 1", "| 2"))]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| 1", "self_attention"],
        ["| 1", "summary_mixing"],
        ["| 2", "self_attention"],
        ["| 2", "summary_mixing"],
    ]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "bench.md",
        "memory-mixer-base-1-fp32-cpu.png",
        "time-mixer-base-1-fp32-cpu.png",
    ]


def test_the_report_shows_parts(tmp_path):
    pytest.importorskip("matplotlib", reason="draws plots")
    out = tmp_path / "bench.jsonl"
    measure.run(out, work="encoder", shape="155m", seconds=[1.0], names=["summary_mixing"], repeat=1)
    text = report([out], ["summary_mixing"], out=tmp_path / "report")
    mixers = records(out)[0]["parts"]["mixers"]
    assert f"| {mixers['forward'] + mixers['backward']:.3g} ({mixers['activation_bytes'] / 1e9:.3f}) |" in text
    assert (tmp_path / "report" / "parts-encoder-155m-1-fp32-cpu.png").exists()
    with pytest.raises(UserError, match=r"`baselines` must be .* \(summary_mixing\); got fairseq"):
        report([out], ["fairseq"])


def test_mistakes_are_one_line_errors(tmp_path, capsys):
    with pytest.raises(UserError, match="`names` of mixer are .*; got attention"):
        list(measure.measure("mixer", "base", [1], names=["attention"]))
    (tmp_path / "bad.jsonl").write_text("{}\n")
    assert main(["bench", "report", str(tmp_path / "bad.jsonl")]) == 1
    assert "bad.jsonl:1: expected a record of bench run" in capsys.readouterr().err
    assert main(["bench", "run", "--seconds", "1;2"]) == 1
    assert "--seconds must be numbers with commas between; got 1;2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "field, value",
    [
        ("step", 0),
        ("step", "fast"),
        ("step", None),
        ("step", float("nan")),
        ("seconds", "ten"),
        ("seconds", -5),
        pytest.param("activation_bytes", 10**400, id="activation_bytes-huge"),
        ("peak_bytes", "large"),
        ("compiled", [1]),
        ("candidate", 5),
        ("candidate", "a | b\n"),
        ("shape", "../../shape"),
        ("skipped", None),
        ("parts", [1, 2]),
        ("parts", {"mixers": {"forward": "a", "backward": 1, "activation_bytes": 1}}),
        ("optimizer", None),
    ],
)
def test_a_damaged_value_of_a_record_is_named(tmp_path, capsys, field, value):
    lines = (ROOT / "examples/benchmarks/cpu/bench.jsonl").read_text().splitlines()
    record = next(json.loads(line) for line in lines if '"parts"' in line)
    out = tmp_path / "bench.jsonl"
    out.write_text(f"{lines[0]}\n{json.dumps({**record, field: value})}\n")
    assert main(["bench", "report", str(out), "--out", str(tmp_path / "report")]) == 1
    error = capsys.readouterr().err
    assert f"bench.jsonl:2: {field} of a record of bench run cannot be " in error and error.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_records_are_not_appended_to_json_of_something_else(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="holds something else than records of bench run: name another file"):
        measure.run(tmp_path / "config.json", work="mixer", shape="base", seconds=[1.0])
    assert (tmp_path / "config.json").read_text() == '{"a": 1}\n'


@pytest.mark.parametrize(
    "option, value", [("--seconds", "0"), ("--seconds", "nan"), ("--batch", "0"), ("--repeat", "0")]
)
def test_counts_below_one_are_one_line_errors(option, value, tmp_path, capsys):
    assert main(["bench", "run", option, value, "-o", str(tmp_path / "bench.jsonl")]) == 1
    assert f"{option} must be at least" in capsys.readouterr().err


def test_what_a_killed_run_left_is_reported(tmp_path, capsys):
    out = tmp_path / "bench.jsonl"
    measure.run(out, work="mixer", shape="base", seconds=[1.0], names=["summary_mixing", "self_attention"], repeat=1)
    out.write_text(out.read_text() + '\n{"work": "mi')
    assert "| summary_mixing |" in report([out])
    measure.run(out, work="mixer", shape="base", seconds=[0.5], names=["summary_mixing"], repeat=1)
    assert sorted({record["seconds"] for record in read_records([out])}) == [0.5, 1.0]
    out.write_bytes(b"\x89PNG\xff")
    assert main(["bench", "report", str(out)]) == 1
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_the_records_in_the_repository_are_read():
    records = measured(read_records([ROOT / "examples/benchmarks/cpu/bench.jsonl"]))
    assert all(record["activation_bytes"] > 0 for record in records)
    assert all("activation_bytes" in part for record in records for part in record.get("parts", {}).values())
