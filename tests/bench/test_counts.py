"""Does a step cost what it did, and is a change for the worse named?"""

import json
import re

import pytest
import torch

from fairseq_summarymixing.bench import counts
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.errors import UserError

pytestmark = pytest.mark.skipif(
    not hasattr(torch.amp, "is_autocast_available"), reason="torch < 2.4 lacks operations on meta"
)


def test_no_step_costs_more_than_the_file_in_the_repository_says(capsys):
    """Where this fails by intention: fairseq-summarymixing bench check --write, and say why in the commit."""
    status = main(["bench", "check"])
    assert status == 0, capsys.readouterr().err


def test_counts_are_those_of_the_cpu(tiny_shapes, monkeypatch):
    from fairseq_summarymixing.bench.candidates import build
    from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes

    monkeypatch.setattr(counts, "MIXERS", ("summary_mixing",))
    found = counts.count()
    candidate = build("step", "155m", "summary_mixing", 2, 10, "cpu", torch.float32)
    with count_activation_bytes(candidate.module) as saved:
        candidate.forward()
    short, long = (found[f"155m, summary_mixing, 2 x {seconds} s"] for seconds in (10, 30))
    assert short["activation_bytes"] == pytest.approx(saved.total, rel=0.02)  # masks are drawn
    assert long["activation_bytes"] < 4 * short["activation_bytes"], "similarities grow with the square"
    assert long["calls"] == short["calls"]


def test_what_has_become_worse_is_named_and_what_is_better_shown(tmp_path, monkeypatch):
    file = tmp_path / "counts.json"
    monkeypatch.setattr(counts, "count", lambda: {"a step": {"operations": 1000, "calls": 50}})
    with pytest.raises(UserError, match="counts.json holds no counts of these steps; write them: bench check --write"):
        counts.check(file)
    counts.check(file, write=True)
    assert counts.check(file) == "1 steps cost what they did"
    file.write_text(json.dumps({"a step": {"operations": 980, "calls": 60}}))
    with pytest.raises(UserError, match="more than 1 % more than in counts.json: a step: operations\n"):
        counts.check(file)
    file.write_text(json.dumps({"a step": {"operations": 995, "calls": 60}}))
    assert re.search(r"a step +calls +60 +50 +0.833", counts.check(file))
