"""Are curves kept as text, and drawn below other runs?"""

import json

import pytest
from run_logs import finetuning, heading, inner, valid

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.compare.curves import read_curves
from fairseq_summarymixing.compare.references import read_reference, shipped
from fairseq_summarymixing.compare.report import compare
from fairseq_summarymixing.compare.run import PRETRAINING
from fairseq_summarymixing.compare.runs import read_run
from fairseq_summarymixing.errors import UserError


def test_a_runs_curves_are_kept_as_text_and_drawn_below_another_run(write, tmp_path):
    pytest.importorskip("matplotlib")
    healthy = write("healthy", heading(), inner(10, "nan", gnorm=1.5, lr=0.001), inner(20), valid(20, 4.5))
    main(["compare", str(healthy), "--out", str(tmp_path / "first")])
    curves = tmp_path / "first" / "curves" / "healthy.jsonl"
    head, *lines = map(json.loads, curves.read_text().splitlines())
    assert (head["name"], head["kind"], head["parameters"]) == ("healthy", "pre-training", 95044608)
    assert [(line["split"], line["updates"], line["loss"]) for line in lines] == [
        ("train", 10, None),
        ("train", 20, 6.0),
        ("valid", 20, 4.5),
    ]
    back, run = read_curves(curves), read_run(healthy, "healthy")
    assert back.values("gnorm") == ([10], [1.5]) and back.values("loss", valid=True) == ([20], [4.5])
    assert (back.architecture, back.chance_accuracy) == (run.architecture, run.chance_accuracy)
    assert back.seconds_per_update == run.seconds_per_update

    own, out = write("own", heading(), inner(10, gnorm=2.0)), tmp_path / "second"
    assert main(["compare", str(own), "--out", str(out), "--reference", str(curves)]) == 0
    assert [run["name"] for run in json.loads((out / "compare.json").read_text())] == ["own", "reference healthy"]
    assert "reference healthy" in (out / "compare.html").read_text()
    assert {"pretraining-gradient-norm", "pretraining-learning-rate"} <= {path.stem for path in out.glob("*.png")}
    assert [path.name for path in (out / "curves").iterdir()] == ["own.jsonl"]


def test_a_reference_that_cannot_be_drawn_is_a_one_line_error(write, tmp_path, capsys):
    pretraining, tuned = write("pre", heading(), inner(10)), finetuning(write)
    compare([pretraining], tmp_path / "out")
    (tmp_path / "table.jsonl").write_text('{"step": 1}\n')
    curves = str(tmp_path / "out" / "curves" / "pre.jsonl")
    for names, message in [
        (["nowhere"], "--reference: nowhere is neither a file nor one of the curves that ship"),
        ([str(tmp_path / "table.jsonl")], "table.jsonl holds no curves: expected JSON lines of which the first is an"),
        ([curves], "pre.jsonl is of pre-training, and the runs are of fine-tuning"),
    ]:
        options = [option for name in names for option in ("--reference", name)]
        assert main(["compare", str(tuned), "--out", str(tmp_path / "tuned"), *options]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "tuned").exists()
    with pytest.raises(UserError, match="`references`: .*pre.jsonl is given twice, or named as another"):
        compare([pretraining], tmp_path / "twice", references=[curves, curves])


@pytest.mark.parametrize("name", shipped())
def test_curves_that_ship_are_of_whole_runs_and_say_what_they_are(name):
    run = read_reference(name)
    assert run.about["description"] and run.values("loss")[0] and run.values("gnorm")[0] and run.values("lr")[0]
    if run.kind == PRETRAINING:
        assert run.last("accuracy", valid=True) > 10 * run.chance_accuracy and run.values("code_perplexity")[0]
