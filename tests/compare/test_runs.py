"""What of a run's folder counts, and what do runs that cannot be compared say?"""

import os

import pytest
import torch
from run_logs import finetuning, inner, write_decode

from fairseq_summarymixing.compare.run import FINETUNING
from fairseq_summarymixing.compare.runs import read_run, read_runs
from fairseq_summarymixing.compare.tables import table
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.tables import markdown


def test_the_checkpoint_gives_model_mixer_and_parameters(write):
    folder = write("run", inner(10))
    (folder / "checkpoints").mkdir()
    model = {"_name": "wav2vec2_summarymixing", "mixer": "summary_mixing", "num_negatives": 100}
    state = {"cfg": {"model": model}, "model": {"weight": torch.zeros(3, 4), "bias": torch.zeros(4)}}
    torch.save(state, folder / "checkpoints" / "checkpoint_last.pt")
    run = read_run(folder, "run")
    assert run.architecture == "wav2vec2_summarymixing / summary_mixing"
    assert run.parameters == 16
    assert run.chance_accuracy == pytest.approx(1 / 101)
    state["cfg"]["model"] = {"_name": "wav2vec_ctc", "w2v_args": {"model": model}}
    torch.save(state, folder / "checkpoints" / "checkpoint_last.pt")
    run = read_run(folder, "run")
    assert (run.kind, run.architecture) == (FINETUNING, "wav2vec2_summarymixing / summary_mixing")


def test_a_bad_checkpoint_is_a_note_and_the_next_is_read(write):
    folder = write("run", inner(10))
    (folder / "checkpoint_last.pt").write_bytes(b"")
    torch.save({"cfg": {"model": {"_name": "wav2vec2"}}, "model": {}}, folder / "checkpoint_best.pt")
    run = read_run(folder, "run")
    assert "checkpoint_last.pt is empty" in run.notes[0]
    assert run.model["_name"] == "wav2vec2"


def test_decode_results_are_found_and_broken_ones_noted(write):
    folder = finetuning(write)
    write_decode(folder, 20.0, (18.0, 22.0), "other", "checkpoint_best-other")
    broken = folder / "decode" / "result.json"
    broken.parent.mkdir()
    broken.write_text("{")
    write_decode(folder, None, None, "unlabelled", "checkpoint_best-unlabelled")
    run = read_run(folder, "fine")
    assert len(run.notes) == 1
    assert [decode["wer"] for decode in run.decodes] == [20.0, 12.5]
    assert "decode/result.json is no decode result" in run.notes[-1].replace(os.sep, "/")
    text = markdown(*table([run]))
    assert "other 20.0 (18.0 to 22.0); test 12.5 (11.0 to 14.0)" in text


def test_missing_and_empty_folders_are_one_clear_error(write, tmp_path):
    with pytest.raises(UserError, match="there is no folder .*nowhere; expected a run.s"):
        read_run(tmp_path / "nowhere", "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no \*.log file; .* tee -a .*empty/train.log or common.log_file="):
        read_run(tmp_path / "empty", "run")
    write("outer/inner", inner(10))
    with pytest.raises(UserError, match="there are inner.train.log"):
        read_run(tmp_path / "outer", "run")
    with pytest.raises(UserError, match="no JSON lines in train.log; train with common.log_format=json"):
        read_run(write("simple", "epoch 001 | loss 6.0\n"), "run")


def test_runs_have_names_of_their_own(write):
    folders = [write("a/run", inner(10)), write("b/run", inner(10))]
    assert [run.name for run in read_runs(folders)] == ["a/run", "b/run"]
    assert [run.name for run in read_runs(folders, ["x", "y"])] == ["x", "y"]


@pytest.mark.parametrize(
    "result",
    ["", "[]", "3", "{", "[" * 100000, '{"wer": 1}', '{"wer": "x", "wer_ci": [1, 2]}', '{"wer": 1, "wer_ci": [1]}']
    + [
        '{"wer": NaN, "wer_ci": [1, 2]}',
        '{"wer": 1e400, "wer_ci": [1, 2]}',
        '{"wer": 1, "wer_ci": [1, 2], "cer": "x"}',
    ],
)
def test_a_decode_result_that_is_none_is_left_out(result, write):
    folder = finetuning(write)
    (folder / "result.json").write_text(result)
    run = read_run(folder, "run")
    assert len(run.decodes) == 1 and run.notes == ["result.json is no decode result; left out"]
