"""Does ``probe`` learn what an encoder knows, choose without the test split, and compute nothing twice?"""

import json
import shutil

import numpy as np
import pytest
import torch

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.probe import hidden_states, study
from fairseq_summarymixing.downstream.probe import train as train_module

QUICK = ["--epochs", "2", "--lr", "0.01", "0.03", "--seeds", "1", "2", "--hidden-size", "8", "--batch-seconds", "60"]


def probe(task, *checkpoints, data, out, options=()):
    return main(["probe", task, *map(str, checkpoints), "--data", str(data), "-o", str(out), *QUICK, *options])


def result(folder):
    return json.loads((folder / "result.json").read_text())


def figures(folder, name):
    return [checkpoint["figures"][name] for checkpoint in checkpoints_of(folder)]


def checkpoints_of(folder):
    return result(folder)["checkpoints"]


@pytest.fixture
def copy(tones, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in tones.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize(
    "task, head, options, figure, reaches",
    [
        ("classify", "linear", "--epochs 10 --lr 0.01 0.03 --batch-seconds 3", "accuracy", lambda value: value > 85),
        ("classify", "statistics", "--epochs 10 --lr 0.03 --batch-seconds 3", "accuracy", lambda value: value > 85),
        ("ctc", "linear", "--epochs 12 --lr 0.05 --batch-seconds 1.5", "wer", lambda value: value < 65),
        ("ctc", "blstm", "--epochs 30 --lr 0.02 --batch-seconds 1.5", "wer", lambda value: value < 75),
        ("verify", "xvector", "--epochs 8 --lr 0.005 --batch-seconds 3", "eer", lambda value: value < 25),
    ],
)
def test_a_probe_learns_what_random_encoders_tell_apart(
    task, head, options, figure, reaches, checkpoint, tones, tmp_path, capsys
):
    checkpoints, seeds = [checkpoint("stock"), checkpoint("paper")], ["1", "2"]
    if head != "linear":
        checkpoints, seeds = checkpoints[:1], ["2"]
    options = ["--head", head, "--seeds", *seeds, *options.split()]
    assert probe(task, *checkpoints, data=tones, out=tmp_path, options=options) == 0
    out = tmp_path / f"{task}-{head}"
    found = figures(out, figure)
    assert all(reaches(of["value"]) for of in found), found
    for of in found:
        assert of["ci"][0] <= of["value"] <= of["ci"][1] and of["value"] == pytest.approx(
            np.mean(of["seeds"]), abs=1e-3
        )
    for of in checkpoints_of(out):
        assert all(sum(shares) == pytest.approx(1) and len(shares) == 3 for shares in of["layer_weights"])
    assert len(result(out)["pairs"]) == (len(checkpoints) - 1) * (2 if task == "ctc" else 1)
    draws = {tuple(row[:2]): row[2:] for row in map(str.split, (out / "bootstrap.tsv").read_text().splitlines())}
    for of in checkpoints_of(out):
        for name in of["figures"]:
            values = [float(value) for value in draws[name, of["name"]]]
            assert np.nanpercentile(values, [2.5, 97.5]) == pytest.approx(of["figures"][name]["ci"], abs=1e-3)
    text = capsys.readouterr().out
    assert "stock" in text and "95 % CI" in text and str(out) in text
    assert "| checkpoint |" in (out / "result.md").read_text()


def test_the_plot_shows_the_layer_weights(checkpoint, tones, tmp_path):
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path) == 0
    assert (tmp_path / "classify-linear" / "layer-weights.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_no_plot_but_a_note(checkpoint, tones, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path) == 0
    assert "pip install 'fairseq-summarymixing[report]'" in "".join(result(tmp_path / "classify-linear")["notes"])


def fail(*_):
    raise AssertionError("this was computed already")


def test_a_second_run_and_another_task_compute_nothing_twice(checkpoint, tones, tmp_path, monkeypatch):
    checkpoints = [checkpoint("summary_mixing"), checkpoint("stock")]
    assert probe("classify", *checkpoints, data=tones, out=tmp_path) == 0
    out = tmp_path / "classify-linear"
    before = figures(out, "accuracy")
    monkeypatch.setattr(hidden_states, "load_encoder", fail)
    assert probe("ctc", *checkpoints, data=tones, out=tmp_path) == 0
    states = ["--states", str(tmp_path / "states")]
    assert probe("ctc", checkpoints[0], data=tones, out=tmp_path / "more", options=states) == 0
    monkeypatch.setattr(study, "train_probe", fail)
    assert probe("classify", *reversed(checkpoints), data=tones, out=tmp_path, options=["--names", "a,b"]) == 0
    assert figures(out, "accuracy") == before[::-1]


def test_an_interrupted_study_goes_on_with_the_probe_that_was_not_finished(checkpoint, tones, tmp_path, monkeypatch):
    train, trained = study.train_probe, []

    def interrupted(*args):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(args[-2:])
        return train(*args)

    monkeypatch.setattr(study, "train_probe", interrupted)
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path / "a") == 130
    assert not (tmp_path / "a" / "classify-linear" / "result.json").exists()
    monkeypatch.setattr(study, "train_probe", lambda *args: trained.append(args[-2:]) or train(*args))
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path / "a") == 0
    assert trained[:2] == [(0.01, 1), (0.03, 1)] and len(trained) == len(set(trained)) == 3
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path / "b") == 0
    assert (
        result(tmp_path / "a" / "classify-linear")["checkpoints"]
        == result(tmp_path / "b" / "classify-linear")["checkpoints"]
    )


@pytest.mark.parametrize("task, ending", [("ctc", "ltr"), ("classify", "cls"), ("verify", "cls")])
def test_the_test_split_has_no_part_in_the_choice(task, ending, checkpoint, tones, copy, tmp_path):
    """With garbage for its labels, figures change; rates, epochs and probes stay what they were."""
    path, states = checkpoint("paper"), ["--states", str(tmp_path / "states")]
    (copy / f"test.{ending}").write_text("A | A |\nB |\n" * 6 if task == "ctc" else "hum\nhiss\n" * 6)
    outs = []
    for data in (tones, copy):
        assert probe(task, path, data=data, out=tmp_path / data.name, options=states) == 0
        (found,) = (tmp_path / data.name).glob("*/result.json")
        outs.append(found.parent)
    probes = [sorted(folder.rglob("*.pt")) for folder in outs]
    assert [file.name for file in probes[0]] == [file.name for file in probes[1]]
    for first, second in zip(*probes):
        assert first.read_bytes() == second.read_bytes()
    (good,), (garbage,) = (checkpoints_of(folder) for folder in outs)
    assert good["rate"] == garbage["rate"] and good["valid"] == garbage["valid"]
    tables = [sorted(folder.rglob("*.tsv")) for folder in outs]
    assert len(tables[0]) == 3  # of two seeds, and of all draws
    assert all(first.read_text() != second.read_text() for first, second in zip(*tables))


def test_the_rate_that_is_best_on_valid_is_taken(checkpoint, tones, tmp_path):
    options = ["--lr", "0.00000001", "0.03", "--epochs", "10", "--batch-seconds", "3"]
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path, options=options) == 0
    (found,) = checkpoints_of(tmp_path / "classify-linear")
    assert found["rate"] == 0.03 and found["valid"]["0.03"] > found["valid"]["1e-08"]
    note = "stock: the learning rate 0.03 is the highest of those tried"
    assert note in result(tmp_path / "classify-linear")["notes"]


def test_the_encoder_is_not_trained(checkpoint, tones, tmp_path):
    path = checkpoint("summary_mixing")
    before = path.read_bytes()
    assert probe("classify", path, data=tones, out=tmp_path) == 0
    assert path.read_bytes() == before
    found = [torch.load(file)["parameters"] for file in tmp_path.rglob("*.pt")]
    trained = {"sum.weights", "head.output.weight", "head.output.bias"}
    assert all({name for name in each if not name.startswith("head.norm.")} == trained for each in found)
    (described,) = checkpoints_of(tmp_path / "classify-linear")
    assert described["probe_parameters"] == sum(found[0][name].numel() for name in trained)


def test_speakers_are_not_learned_from_batches_of_hardly_more_than_one_utterance(checkpoint, tones, tmp_path, capsys):
    """Batch normalisation of one utterance takes away what tells its speaker; the message names enough for all."""
    options = ["--batch-seconds", "1", "--seeds", "1", "--lr", "0.01"]
    assert probe("verify", checkpoint("stock"), data=tones, out=tmp_path, options=options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: --batch-seconds 1 holds 1.")
    assert message.endswith("recordings of train on average, and the head xvector needs 3 or more: name 3")
    options[1] = "3"
    assert probe("verify", checkpoint("stock"), data=tones, out=tmp_path, options=options) == 0


def test_trials_are_read_where_there_are_any(checkpoint, tones, copy, tmp_path):
    from fairseq_summarymixing.data.labels import read_labels

    labels = read_labels(tones / "test.tsv", "cls", 12)
    same = [number for number in range(1, 12) if labels[number] == labels[0]][:2]
    pairs = [(1, number) for number in same] + [(0, labels.index("hum" if labels[0] == "hiss" else "hiss"))]
    lines = [f"{is_same}\taudio/test-0.wav\taudio/test-{number}.wav" for is_same, number in pairs]
    (copy / "test.trials").write_text("\n".join(lines) + "\n")
    assert probe("verify", checkpoint("stock"), data=copy, out=tmp_path) == 0
    assert result(tmp_path / "verify-xvector")["notes"][0] == (
        "test has 2 trials of one speaker and 1 of two, among 2 speakers; so few speakers make no interval"
    )


@pytest.mark.parametrize(
    "task, change, message",
    [
        ("classify", lambda data: (data / "valid.cls").unlink(), "there are no labels"),
        ("classify", lambda data: (data / "valid.tsv").unlink(), "there is no"),
        (
            "classify",
            lambda data: (data / "test.cls").write_text("hum\nC\n" * 6),
            "test.cls:2: the class 'C' is not in",
        ),
        ("classify", lambda data: (data / "train.cls").write_text("A\n" * 24), "holds 1 class, 'A': expected two"),
        ("classify", lambda data: (data / "train.cls").write_text("A\nB\n"), "has 2 lines but"),
        ("classify", lambda data: (data / "train.cls").write_text("A\n\n" * 12), "train.cls:2: the line is empty"),
        ("ctc", lambda data: (data / "test.ltr").write_text("\n" * 12), "test.ltr holds no words"),
        ("ctc", lambda data: (data / "train.ltr").write_text("\n" * 24), "train.ltr holds no letters"),
        ("verify", lambda data: (data / "test.cls").write_text("A\n" * 12), "test has no pair of recordings of two"),
        (
            "classify",
            lambda data: [shutil.copy(data / f"valid.{ending}", data / f"test.{ending}") for ending in ("tsv", "cls")],
            "--splits: valid and test share 8 recordings, such as",
        ),
    ],
)
def test_labels_that_cannot_be_used_are_one_line_errors(task, change, message, checkpoint, copy, tmp_path, capsys):
    change(copy)
    assert probe(task, checkpoint("stock"), data=copy, out=tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--head", "blstm"], "--head of classify must be one of linear, statistics; got blstm"),
        (["--seeds", "1", "1"], "--seeds must be different numbers"),
        (["--lr", "0"], "--lr must be different numbers between 0 and 1; got 0.0"),
        (["--seeds", "9" * 20], "--seeds must be different numbers from 0 to 4294967295; got 9999"),
        (["--epochs", "0"], "--epochs must be from 1 to 1000000; got 0"),
        (["--hidden-size", "9" * 14], "--hidden-size must be from 1 to 4096; got 9999"),
        (["--batch-seconds", "0"], "--batch-seconds must be from 1 to 1000000; got 0"),
        (["--batch-seconds", "1e308"], "--batch-seconds must be from 1 to 1000000; got 1e+308"),
        (
            ["--names", "a,b"],
            "--names: expected 1 name, one of its own for each checkpoint, commas between; got a,b",
        ),
        (["--labels", "emotion"], "there are no labels"),
        (["--window", "30"], "--window is for self-attention"),
    ],
)
def test_options_that_cannot_be_used_are_one_line_errors(options, message, checkpoint, tones, tmp_path, capsys):
    assert probe("classify", checkpoint("summary_mixing"), data=tones, out=tmp_path, options=options) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_checkpoint_given_twice_and_one_that_is_not_there_are_one_line_errors(checkpoint, tones, tmp_path, capsys):
    path = checkpoint("stock")
    assert probe("classify", path, path, data=tones, out=tmp_path) == 1
    assert "is given twice" in capsys.readouterr().err
    assert probe("classify", tmp_path / "no.pt", data=tones, out=tmp_path) == 1
    assert "there is no checkpoint" in capsys.readouterr().err


def test_a_probe_that_diverges_later_is_that_of_an_earlier_epoch_with_a_warning(
    checkpoint, tones, tmp_path, monkeypatch, capsys
):
    train_epoch, losses = train_module._train_epoch, []

    def diverge(*args):
        losses.append(train_epoch(*args))
        return float("nan") if len(losses) == 3 else losses[-1]

    monkeypatch.setattr(train_module, "_train_epoch", diverge)
    options = ["--epochs", "4", "--lr", "0.03", "--seeds", "1", "2"]
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path, options=options) == 0
    (found,) = checkpoints_of(tmp_path / "classify-linear")
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(losses) == 3 + 4 and found["epochs"][0] in (1, 2)
    assert warnings == [
        "warning: stock, learning rate 0.03, seed 1: the loss was not finite in epoch 3, so the training ended there; "
        f"the probe is that of epoch {found['epochs'][0]}"
    ]


@pytest.mark.parametrize(
    "diverging, message",
    [
        ([(0.01, 1)], None),
        ([(0.01, 1), (0.03, 1)], "the loss was not finite at any of --lr [0.01, 0.03]"),
        ([(0.01, 1), (0.03, 2)], "stock: the probe of seed 2 diverged at the learning rate 0.03, which seed 1 chose"),
    ],
)
def test_probes_that_diverge_are_not_chosen_and_never_counted(
    diverging, message, checkpoint, tones, tmp_path, monkeypatch, capsys
):
    make, train = train_module.make_probe, study.train_probe

    def broken(*args):
        made = make(*args)
        torch.nn.init.constant_(made.head.output.weight, float("nan"))
        return made

    def train_or_diverge(*args):
        with monkeypatch.context() as patch:
            patch.setattr(train_module, "make_probe", broken if args[-2:] in diverging else make)
            return train(*args)

    monkeypatch.setattr(study, "train_probe", train_or_diverge)
    assert probe("classify", checkpoint("stock"), data=tones, out=tmp_path) == (message is not None)
    if message:
        assert message in capsys.readouterr().err and not list(tmp_path.rglob("result.json"))
    else:
        (found,) = checkpoints_of(tmp_path / "classify-linear")
        assert found["rate"] == 0.03 and found["valid"]["0.01"] is None
