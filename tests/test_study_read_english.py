"""Does the study of read English run from the corpora to its report, stop in time, and go on?"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("fairseq", reason="trains with fairseq")
pytest.importorskip("matplotlib", reason="draws plots")

from fairseq import tasks
from tiny import EXAMPLES, ROOT, compose, tone, write_wave

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.compare.curves import read_curves
from fairseq_summarymixing.errors import UserError

STUDY = EXAMPLES / "studies" / "read_english"
SUMMARYMIXING = SimpleNamespace(model="summarymixing", seed=1, name="summarymixing-1")
SPLITS = ("train", "train_1h", "train_10min", "unlabelled", "dev", "test")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Four recordings of each split."""
    folder = tmp_path_factory.mktemp("corpora")
    rows = {"read_english": ["path\ttext\tspeaker\tseconds\tsplit"], "drink_orders": ["path\tlabel\tsplit"]}
    for number, split in enumerate(SPLITS):
        for clip in range(4):
            name, text = f"{split}/{clip}.wav", "" if split == "unlabelled" else "A B" if clip % 2 else "BA A"
            write_wave(folder / "read_english" / "audio" / name, tone(2.1, seed=10 * number + clip))
            rows["read_english"].append(f"{name}\t{text}\t{split}-{clip % 2}\t2.1\t{split}")
            if split in ("train", "dev", "test"):
                write_wave(folder / "drink_orders" / "audio" / name, tone(1.0, seed=10 * number + clip))
                rows["drink_orders"].append(f"{name}\t{'iced coffee' if clip % 2 else 'latte'}\t{split}")
    for name, lines in rows.items():
        (folder / name / "utterances.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    "mixer", ["summary_mixing", "self_attention", "hyper_mixing", "fastformer", "no_summary", None]
)
def test_all_models_have_about_as_many_parameters_and_take_the_same_batches(mixer):
    recipe = "pretraining_log_mel" if mixer else "pretraining_waveform"
    fields = {"task.data": ".", "checkpoint.save_dir": ".", **({"model.mixer": mixer} if mixer else {})}
    cfg = compose("studies/read_english", recipe, fields)
    # stock fairseq copies weights while building, which the meta device cannot
    with torch.device("meta" if mixer else "cpu"):
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
    least = 4.7e6 if mixer == "no_summary" else 4.9e6  # those of the summary are missing
    assert least < sum(parameter.numel() for parameter in model.parameters()) < 5.3e6
    other = compose("studies/read_english", "pretraining_log_mel", fields)
    assert (cfg.task, cfg.dataset, cfg.optimization) == (other.task, other.dataset, other.optimization)


def study(*arguments):
    command = [sys.executable, str(STUDY / "run.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


def test_manifests_hold_the_splits_that_each_stage_needs(corpora, tmp_path):
    result = study("--data", corpora, "--out", tmp_path, "--stages", "prepare")
    assert result.returncode == 0, result.stdout + result.stderr

    def rows(name):
        root, *lines = (tmp_path / "data" / name).read_text().splitlines()
        return [line.split("/")[0] for line in lines]

    assert sorted({*rows("pretraining/train.tsv")}) == ["train", "train_10min", "train_1h", "unlabelled"]
    assert {*rows("pretraining/valid.tsv")} == {*rows("one_hour/valid.tsv")} == {"dev"}
    assert sorted({*rows("one_hour/train.tsv")}) == ["train_10min", "train_1h"]
    assert {*rows("ten_minutes/train.tsv")} == {"train_10min"} and {*rows("ten_minutes/test.tsv")} == {"test"}
    assert (tmp_path / "data" / "one_hour" / "test.ltr").read_text().splitlines()[:2] == ["B A | A |", "A | B |"]
    assert (tmp_path / "data" / "drinks" / "valid.cls").read_text().split() == ["latte", "iced_coffee"] * 2
    assert (tmp_path / "data" / "speakers" / "test.cls").read_text().split() == ["test-0", "test-1"] * 2
    assert len(list((tmp_path / "audio" / "read_english").glob("*/*.flac"))) == 24


def test_runs_go_from_the_corpora_to_error_rates_past_one_that_fails_and_are_not_trained_again_elsewhere(
    corpora, tmp_path
):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    damaged = out / "pretraining" / "wav2vec2-1" / "checkpoints" / "checkpoint_last.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    options = ["--hour-updates", "2", "--minutes-updates", "2", "--minutes", "5", "--jobs", "1"]
    both = ["--only", "wav2vec2", "random_weights", *options]
    first = study("--data", corpora, "--out", out, *both, "--stages", "prepare", "pretrain")
    assert first.returncode == 1 and "error: pretraining/wav2vec2-1 failed; its output is in " in first.stdout
    assert str(damaged) in first.stderr and "Traceback" not in first.stderr
    head, *lines = map(json.loads, (out / "results/pretraining/random_weights-1.jsonl").read_text().splitlines())
    assert head["updates"] == 1 and head["trainings_at_once"] == 1 and head["processor"]
    assert lines[-1]["split"] == "valid" and 0 <= lines[-1]["accuracy"] < 0.1
    assert head["command"].startswith(
        "fairseq-hydra-train --config-dir examples/studies/read_english --config-name pretraining_log_mel "
        "+model.mixer=summary_mixing 'optimization.lr=[0.0]' task.data=OUT/data/pretraining common.seed=1 "
    )
    assert (out / "results/pretraining/random_weights-1.pt").stat().st_size < 12e6

    for labelled in ("one_hour", "ten_minutes"):
        shutil.copytree(out / "data" / labelled, elsewhere / "data" / labelled)
    shutil.copytree(out / "results", elsewhere / "results")
    stages = ["--only", "random_weights", *options, "--stages", "pretrain", "finetune"]
    second = study("--out", elsewhere, *stages)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "random_weights-1.pt is there" in second.stdout
    commands = [line for line in second.stdout.splitlines() if line.startswith("$ ")]
    assert [" decode " in line for line in commands] == [False, True] * 2, "each is decoded before the next is trained"
    assert json.loads((elsewhere / "results/ten_minutes/random_weights-1-test/result.json").read_text())["wer"] > 0


@pytest.fixture
def study_module(monkeypatch):
    """Import a module of the study."""
    monkeypatch.syspath_prepend(str(STUDY))
    return import_module


@pytest.fixture
def trainings(tmp_path, study_module, checkpoint):
    """Trainings in a folder with transcripts, which fine-tune a checkpoint of 5 updates."""
    args = dict(updates=5, hour_updates=2, minutes_updates=2, minutes=None, jobs=2, device="cpu", precision="fp32")
    made = study_module("trainings").Trainings(tmp_path, SimpleNamespace(**args))
    made.checkpoint(SUMMARYMIXING).parent.mkdir(parents=True)
    state = torch.load(checkpoint("summary_mixing"), weights_only=False)
    torch.save({**state, "optimizer_history": [{"num_updates": 5}]}, made.checkpoint(SUMMARYMIXING))
    for labelled in ("one_hour", "ten_minutes"):
        (tmp_path / "data" / labelled).mkdir(parents=True)
        (tmp_path / "data" / labelled / "train.ltr").touch()
    return made


def test_a_pre_training_that_was_stopped_is_not_fine_tuned(trainings):
    trainings.args.updates = 7
    with pytest.raises(UserError, match="summarymixing-1.pt has 5 updates, not 7: give --updates, or go on"):
        trainings.run("finetune", [SUMMARYMIXING])
    with pytest.raises(UserError, match="summarymixing-1.pt has 5 updates, not 7: give --updates, or go on"):
        trainings.run("pretrain", [SUMMARYMIXING])


def test_the_second_fine_tuning_goes_on_where_the_first_fails(trainings, monkeypatch):
    trained = []

    async def train(command, run):
        if run.parent.name == "one_hour":
            raise UserError("the first")
        await asyncio.sleep(0.01)
        trained.append(run.parent.name)

    monkeypatch.setattr("fairseq_summarymixing.jobs.Jobs.train", lambda self, command, run: train(command, run))
    with pytest.raises(UserError, match="the first"):
        trainings.run("finetune", [SUMMARYMIXING])
    assert trained == ["ten_minutes"]


def test_what_was_decoded_elsewhere_is_left_alone_and_a_newer_fine_tuning_is_decoded_again(trainings, monkeypatch):
    started = []

    async def train(command, run):
        best = run / "checkpoints" / "checkpoint_best.pt"
        best.parent.mkdir(parents=True, exist_ok=True)
        best.touch()
        started.append(f"train {run.parent.name}")

    async def output(command):
        started.append(f"decode {Path(command[-1]).parent.name}")
        return ""

    monkeypatch.setattr("fairseq_summarymixing.jobs.Jobs.train", lambda self, command, run: train(command, run))
    monkeypatch.setattr("fairseq_summarymixing.jobs.Jobs.output", lambda self, command: output(command))
    for labelled in ("one_hour", "ten_minutes"):
        (trainings.data / labelled / "test.ltr").touch()
        result = trainings.results / labelled / "summarymixing-1-test" / "result.json"
        result.parent.mkdir(parents=True)
        result.touch()
        os.utime(result, (0, 0))
    (trainings.out / "ten_minutes" / "summarymixing-1").mkdir(parents=True)
    assert trainings.run("finetune", [SUMMARYMIXING])
    assert started == ["train ten_minutes", "decode ten_minutes"]


def test_the_curves_in_the_repository_say_what_they_are():
    paths = sorted((STUDY / "results").rglob("*.jsonl"))
    assert paths
    for path in paths:
        run, folder = read_curves(path), path.parent.name
        what = "the first" if folder == "costs" else f"{run.updates:,} updates"
        assert run.name == path.stem and f"{folder}: {what}" in run.about["description"], path
        assert run.about["command"].startswith("fairseq-hydra-train "), path


def test_costs_are_measured_in_turns_and_once(corpora, tmp_path):
    measured = tmp_path / "results" / "costs" / "fastformer-1.jsonl"
    write_curves(measured, [0.0])
    before = measured.read_text()
    options = ["--stages", "prepare", "costs", "--only", "fastformer", "--cost-updates", "2"]
    result = study("--data", corpora, "--out", tmp_path, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert measured.read_text() == before
    last = json.loads((tmp_path / "results" / "costs" / "fastformer-2.jsonl").read_text().splitlines()[-1])
    assert last["updates"] == 2 and last["activation_mb_per_audio_second"] > 1


def test_all_trainings_stop_in_time_and_mistakes_are_one_line(tmp_path):
    (tmp_path / "data" / "pretraining").mkdir(parents=True)
    (tmp_path / "data" / "pretraining" / "train.tsv").touch()
    stopped = study("--out", tmp_path, "--stages", "pretrain", "--minutes", "0.001", "--jobs", "3")
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped after 0.001 minutes: run the same command again to go on" in stopped.stdout
    for arguments, message in [
        (["--minutes", "0"], "--minutes must be above 0; got 0"),
        (["--stages", "prepare"], "--data is missing"),
        (["--stages", "prepare", "--data", tmp_path], "there is no "),
        (
            ["--stages", "finetune"],
            f"there is no {tmp_path}/new/results/pretraining/summarymixing-1.pt: run the stage pretrain",
        ),
        (["--stages", "report"], "there are no curves in "),
    ]:
        result = study("--out", tmp_path / "new", *arguments)
        assert result.returncode == 1 and result.stderr.startswith(f"error: {message}"), result.stderr
        assert result.stderr.count("\n") == 1


def write_curves(path, accuracies, seconds=1.0):
    """Curves of a pre-training, by the accuracies after 250, 500, ... updates."""
    updates = range(250, 250 * len(accuracies) + 1, 250)
    about = {"device": "cpu", "processor": "P", "cores": 2, "trainings_at_once": 1, "versions": {"torch": "2"}}
    head = {"format": "fairseq-summarymixing curves 1", "name": path.stem, "kind": "pre-training", "parameters": 5e6}
    lines = [{**head, "updates": updates[-1], "model": {"_name": "wav2vec2"}, "inner_model": {}, **about}]
    for update, accuracy in zip(updates, accuracies):
        lines.append({"split": "train", "updates": update, "ups": 1 / seconds, "activation_mb_per_audio_second": 5.6})
        lines.append({"split": "valid", "updates": update, "accuracy": accuracy})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_report_compares_at_equal_updates_and_at_equal_time_with_intervals(study_module, tmp_path):
    results = tmp_path / "results"
    for seed, more in ((1, 0.0), (2, 0.02)):
        write_curves(results / "pretraining" / f"summarymixing-{seed}.jsonl", [0.1 + more, 0.2 + more])
        write_curves(results / "pretraining" / f"self_attention-{seed}.jsonl", [0.1, 0.3])
        for model, words in (("summarymixing", "A C"), ("self_attention", "A B")):
            folder = results / "one_hour" / f"{model}-{seed}-test"
            folder.mkdir(parents=True)
            (folder / "references.wrd").write_text("A B\n" * 8)
            (folder / "hypotheses.wrd").write_text(f"{words}\n" * 8)
            (folder / "result.json").write_text("{}")
    write_curves(results / "costs" / "summarymixing-1.jsonl", [0.0], seconds=1.0)
    write_curves(results / "costs" / "self_attention-1.jsonl", [0.0], seconds=2.0)
    values = {"summarymixing-1": 90.0, "summarymixing-2": 80.0, "self_attention-1": 70.0, "random_weights-1": 20.0}
    checkpoints = [{"name": name, "figures": {"accuracy": {"value": value}}} for name, value in values.items()]
    probe = {"task": "classify", "head": "linear", "figures": {"accuracy": {"title": "accuracy %"}}}
    (results / "probes").mkdir()
    (results / "probes" / "classify-linear.json").write_text(json.dumps({**probe, "checkpoints": checkpoints}))
    # on half of the resampled test sets all models are 8 points better
    draws = {name: "\t".join([f"{value}", f"{value + 8}"] * 500) for name, value in values.items()}
    lines = [f"accuracy\t{name}\t{of_name}\n" for name, of_name in draws.items()]
    (results / "probes" / "classify-linear.tsv").write_text("".join(lines))
    text = study_module("report").report(tmp_path).read_text()
    assert "| SummaryMixing | 2 | 5.0 M | 500 | 0.210 (0.200 to 0.220) | 1.000 | 5.60 | 50.0 | 33.3 | – | – |" in text
    # at the time of SummaryMixing's 500 updates the twin has done 250
    assert "| model | 2.08 min | 4.17 min | 6.25 min | 8.33 min |" in text
    assert "| self-attention twin | – | – | – | 0.100 |" in text
    # 0.01 to either side, times 12.7 / 1.41 * 1.41 / 1.41
    assert "| valid accuracy after 500 updates | 2 | -0.090 (-0.217 to +0.037) |" in text
    assert "| test WER %, 1 h | 2 | +50.0 |" in text
    assert "| model | classify (linear): accuracy % |" in text
    assert "| SummaryMixing | 85.0 (80.0 to 98.0) |" in text
    assert "| SummaryMixing, random weights | 20.0 (20.0 to 28.0) |" in text
    assert "| probe classify (linear): accuracy % | 1 | +20.0 |" in text
    assert {path.name for path in tmp_path.glob("*.png")} == {"accuracy.png", "errors.png"}


def test_times_of_models_timed_alone_and_side_by_side_are_not_compared(study_module, tmp_path):
    for model in ("summarymixing", "self_attention", "no_summary"):
        write_curves(tmp_path / "results" / "pretraining" / f"{model}-1.jsonl", [0.1, 0.2], seconds=2.0)
    report = study_module("report").report
    without_costs = report(tmp_path).read_text().partition("## Accuracy at equal time")[2]
    assert "| SummaryMixing without its summary | – | 0.100 | 0.150 | 0.200 |" in without_costs
    for model in ("summarymixing", "self_attention"):
        write_curves(tmp_path / "results" / "costs" / f"{model}-1.jsonl", [0.0], seconds=1.0)
    text = report(tmp_path).read_text()
    assert "| SummaryMixing without its summary | 1 | 5.0 M | 500 | 0.200 | – | 5.60 |" in text
    assert "without its summary" not in text.partition("## Accuracy at equal time")[2]


def test_a_result_whose_name_holds_no_seed_is_named(study_module, tmp_path):
    results = tmp_path / "results"
    write_curves(results / "pretraining" / "no_summary-best.jsonl", [0.1])
    report, expected = study_module("report").report, "expected the name of a model and its seed, such as"
    with pytest.raises(UserError, match=f"no_summary-best.jsonl: {expected} summarymixing-1; found 'no_summary-best'"):
        report(tmp_path)
    (results / "pretraining" / "no_summary-best.jsonl").rename(results / "pretraining" / "no_summary-1.jsonl")
    checkpoints = [{"name": "no_summary", "figures": {"accuracy": {"value": 1.0}}}]
    probe = {"task": "classify", "head": "linear", "figures": {"accuracy": {"title": "accuracy %"}}}
    (results / "probes").mkdir()
    (results / "probes" / "classify-linear.json").write_text(json.dumps({**probe, "checkpoints": checkpoints}))
    (results / "probes" / "classify-linear.tsv").write_text("accuracy\tno_summary\t1.0\n")
    with pytest.raises(UserError, match=f"classify-linear.json: {expected} summarymixing-1; found 'no_summary'"):
        report(tmp_path)


def test_every_model_has_a_bar_and_a_colour_of_its_own(study_module, tmp_path, monkeypatch):
    plots, runs = study_module("plots"), study_module("runs")
    for model in runs.MODELS:
        write_curves(tmp_path / "pretraining" / f"{model}-1.jsonl", [0.1])
        folder = tmp_path / "one_hour" / f"{model}-1-test"
        folder.mkdir(parents=True)
        for name, text in (("references.wrd", "A B\n"), ("hypotheses.wrd", "A C\n"), ("result.json", "{}")):
            (folder / name).write_text(text)
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(figure))
    plots.draw_errors(study_module("results").Results(tmp_path), tmp_path / "errors.png")
    axes, _ = drawn[0].axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        title.replace("`", "") for title in runs.TITLES.values()
    ]
    assert len({bar.get_facecolor() for bar in axes.patches}) == len(runs.MODELS)


def test_frozen_encoders_are_probed_together_with_those_probed_before(
    study_module, corpora, checkpoint, tmp_path, monkeypatch
):
    stage, runs = study_module("probes"), study_module("runs")

    def run_here(command):
        return SimpleNamespace(returncode=main([*command[3:], "--epochs", "2", "--lr", "0.01", "--seeds", "1", "2"]))

    monkeypatch.setattr(stage.subprocess, "run", run_here)
    pretrained = tmp_path / "results" / "pretraining"
    for name, kind in (("summarymixing-1", "summary_mixing"), ("self_attention-1", "stock")):
        write_curves(pretrained / f"{name}.jsonl", [0.1])
        shutil.copy(checkpoint(kind), pretrained / f"{name}.pt")
    study_module("prepare").prepare(corpora, tmp_path)
    stage.probe(tmp_path, [runs.Run("self_attention", 1)], "cpu")
    states = {path: path.stat().st_mtime_ns for path in (tmp_path / "probes" / "states").rglob("*.f16")}
    stage.probe(tmp_path, [runs.Run("summarymixing", 1)], "cpu")
    assert states and all(path.stat().st_mtime_ns == time for path, time in states.items())
    found = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "results" / "probes").glob("*.json")}
    assert sorted(found) == ["classify-statistics", "ctc-linear", "verify-xvector"]
    (pair,) = found["verify-xvector"]["pairs"]
    low, high = pair["ci"]
    text = study_module("report").report(tmp_path).read_text()
    assert f"| probe verify (xvector): EER % | 1 | {pair['difference']:+.1f} ({low:+.1f} to {high:+.1f}) |" in text
    assert "| ctc (linear): WER % | ctc (linear): CER % | verify (xvector): EER % |" in text
