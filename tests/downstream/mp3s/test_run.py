"""Does ``mp3s run`` start each recipe once, keep what is done, and take no run without a score for one?"""

import json
import multiprocessing
import os
import signal
import sys
import time

import pytest

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.mp3s.locks import claimed, one_at_a_time


def run(stage, corpora, *options, checkpoints=None):
    checkpoints = [str(path) for path in checkpoints or stage.encoders]
    places = ["--benchmarks", str(stage.benchmarks), "--corpora", str(corpora), "-o", str(stage.out)]
    return main(["mp3s", "run", *places, "--python", str(stage.python), "--checkpoints", *checkpoints, *options])


def result(stage, name):
    return json.loads((stage.out / "runs" / name / "result.json").read_text())


def test_every_task_model_and_seed_gets_a_score_and_is_not_run_again(stage, corpora, capsys):
    path, options = (
        corpora("librispeech", "slurp"),
        ["--tasks", "LibriSpeech/LSTM", "SLURP/linear", "--seeds", "1", "2"],
    )
    assert run(stage, path, *options) == 0
    assert len(stage.started()) == 8
    first = stage.started()[0]
    assert first["cwd"] == str(stage.benchmarks / "benchmarks/MP3S/LibriSpeech/LSTM")
    before = ["-m", "fairseq_summarymixing.integrations.mp3s", "--use-lengths", "--frozen", "--layer-weights"]
    assert first["argv"][:5] == before and first["argv"][6:8] == ["train.py", "hparams/ssl.yaml"]
    assert {"--encoder_dim=768", "--seed=1", "--device=cpu"} <= set(first["argv"])
    assert ["--normalise" in one["argv"] for one in stage.started()[:2]] == [
        False,
        True,
    ]  # as the encoder's directory says
    kept = result(stage, "LibriSpeech-LSTM/twin/seed-2")
    assert kept["scores"] == {"test-clean": 5.2, "test-other": 5.2} and kept["layer_weights"] == [0.5, 0.3, 0.2]
    assert kept["versions"]["speechbrain"] == "1.0"
    assert result(stage, "SLURP-linear/ours/seed-1")["scores"] == {"test": 94.9}
    assert run(stage, path, *options) == 0
    assert len(stage.started()) == 8 and "8 runs, 8 done before" in capsys.readouterr().out
    assert run(stage, path, *options[:-3], "--seeds", "1", "2", "3") == 0
    assert len(stage.started()) == 12


def test_iemocap_is_run_over_ten_speakers(stage, corpora):
    assert run(stage, corpora("iemocap"), "--tasks", "IEMOCAP/linear", checkpoints=stage.encoders[:1]) == 0
    speakers = [next(one for one in run["argv"] if "test_spk_id" in one) for run in stage.started()]
    assert speakers == [f"--test_spk_id={number}" for number in range(1, 11)]


@pytest.mark.parametrize("behaviour, reason", [("silent", "status 0, but no score"), ("crash", "out of memory")])
def test_a_run_without_a_score_fails_alone_and_is_repeated(stage, corpora, capsys, behaviour, reason):
    stage.behave(SLURP=behaviour)
    path, options = corpora("librispeech", "slurp"), ["--tasks", "LibriSpeech/LSTM", "SLURP/linear"]
    assert run(stage, path, *options) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "2 of 4 runs failed, such as SLURP/linear, ours" in err and reason in err
    assert "see " in err and (stage.out / "runs/SLURP-linear/ours/seed-1986/output.log").exists()
    assert not list(stage.out.glob("runs/SLURP-linear/*/*/result.json"))
    stage.behave()
    assert run(stage, path, *options) == 0
    assert [one["task"] for one in stage.started()] == ["LibriSpeech"] * 2 + ["SLURP"] * 4


def test_scores_of_a_failed_try_do_not_count(stage, corpora):
    path, options = corpora("slurp"), ["--tasks", "SLURP/linear"]
    folder = stage.out / "runs/SLURP-linear/ours/seed-1986"
    folder.mkdir(parents=True)
    (folder / "train_log.txt").write_text("Epoch loaded: 1 - test loss: 1.0, test error_rate: 0.00e+00\n")
    stage.behave(SLURP="silent")
    assert run(stage, path, *options) == 1 and not (folder / "result.json").exists()


def test_a_changed_encoder_is_not_taken_for_the_old_one(stage, corpora, capsys):
    path, options = corpora("slurp"), ["--tasks", "SLURP/linear"]
    assert run(stage, path, *options) == 0
    (stage.encoders[0] / "model.safetensors").write_bytes(b"other weights")
    assert run(stage, path, *options) == 1
    assert "was run with another encoder: choose another OUT" in capsys.readouterr().err
    assert len(stage.started()) == 2


def test_a_run_of_another_process_is_left_to_it(stage, corpora, capsys):
    path = corpora("slurp")
    with claimed(stage.out / "runs/SLURP-linear/ours/seed-1986"):
        assert run(stage, path, "--tasks", "SLURP/linear") == 0
    assert "1 of 2 runs have a score, 1 are being run by other processes" in capsys.readouterr().out


def test_a_recipe_whose_runner_was_killed_is_left_to_its_end(stage, corpora, capsys):
    path, folder = corpora("slurp"), stage.out / "runs/SLURP-linear/ours/seed-1"
    options, pid = {"checkpoints": stage.encoders[:1]}, folder / "pid"
    stage.behave(SLURP="sleep")
    process = multiprocessing.get_context("fork").Process(
        target=run, args=(stage, path, "--tasks", "SLURP/linear", "--seeds", "1"), kwargs=options
    )
    process.start()
    while not (pid.exists() and pid.read_text()):
        assert process.is_alive(), capsys.readouterr().err
        time.sleep(0.05)
    process.kill()
    process.join()
    try:
        assert run(stage, path, "--tasks", "SLURP/linear", "--seeds", "1", **options) == 0
        assert "another process is running it" in capsys.readouterr().out and len(stage.started()) == 1
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    with one_at_a_time(folder):  # the kernel has ended the recipe
        stage.behave()
    assert run(stage, path, "--tasks", "SLURP/linear", "--seeds", "1", **options) == 0
    assert result(stage, "SLURP-linear/ours/seed-1")["scores"] == {"test": 94.9}


def test_what_is_missing_is_said_before_anything_runs(stage, corpora, capsys, tmp_path):
    path = corpora("librispeech")
    for options, message in (
        (["--tasks", "SLURP"], "names no folder for slurp"),
        (["--tasks", "LibriSpeech", "--epochs", "0"], "--epochs must be 1 or more"),
        (["--tasks", "LibriSpeech", "--names", "a"], "--names: expected 2"),
        (["--tasks", "LibriSpeech", "--names", "a,a"], "a name of its own, for a folder; found 'a'"),
        (["--tasks", "LibriSpeech", "--python", str(tmp_path / "none")], "cannot be run"),
        (["--tasks", "LibriSpeech", "--python", "false"], "--python false needs speechbrain, transformers and,"),
        (["--tasks", "LibriSpeech", "--benchmarks", str(tmp_path)], "holds no benchmarks/MP3S: git clone"),
    ):
        assert run(stage, path, *options) == 1
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and message in line
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text('{"hidden_size": 768, "num_layers": 12}')
    for checkpoint, message in ((tmp_path / "none.pt", "cannot read"), (tmp_path / "text", "has no num_hidden_layers")):
        assert run(stage, path, "--tasks", "LibriSpeech", checkpoints=[checkpoint]) == 1
        assert message in capsys.readouterr().err
    assert stage.started() == []


def test_ctrl_c_ends_the_recipe_too(stage, corpora, capfd):
    path = corpora("slurp")
    stage.behave(SLURP="sleep")
    pid = stage.out / "runs/SLURP-linear/ours/seed-1986/pid"

    def work():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(run(stage, path, "--tasks", "SLURP/linear", checkpoints=stage.encoders[:1]))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    while not (pid.exists() and pid.read_text()):
        assert process.is_alive(), capfd.readouterr().err
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode == 130 and "run the same command again" in capfd.readouterr().err
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
