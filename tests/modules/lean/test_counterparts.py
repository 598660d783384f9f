"""Does who edits a plain layer train what is written there?"""

import logging
import sys

import pytest
import torch

from fairseq_summarymixing.modules.lean import counterparts
from fairseq_summarymixing.modules.lean.replace import LEAN, make_lean
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing

PLAIN_FILES = sorted({kind.__module__ for kind in LEAN if kind.__module__.startswith(counterparts.PLAIN)})
CODE = 'def f(x):\n    """What f does."""\n    return f"{x}, 1" + str(x)  # a comment\n'


@pytest.mark.parametrize("name", PLAIN_FILES)
def test_lean_layers_were_written_after_the_plain_layers_of_today(name):
    """Where this fails: bring the lean layer up to date, run test_equality.py, then take the new fingerprint."""
    with open(sys.modules[name].__file__, encoding="utf-8") as file:
        found = counterparts.fingerprint(file.read())
    assert counterparts.WRITTEN_AFTER[name.rpartition(".")[2]] == found


def test_an_edited_layer_runs_as_it_is_written_and_a_warning_says_so(monkeypatch, caplog):
    monkeypatch.setitem(counterparts.WRITTEN_AFTER, "summary_mixing", "another")
    counterparts.is_unchanged.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            mixer = make_lean(SummaryMixing(8, 2))
    finally:
        counterparts.is_unchanged.cache_clear()
    assert type(mixer) is SummaryMixing
    assert "modules/summary_mixing.py was edited" in caplog.text
    torch.testing.assert_close(mixer.eval()(torch.ones(1, 3, 8)), SummaryMixing.forward(mixer, torch.ones(1, 3, 8)))


@pytest.mark.parametrize(
    "edited, same",
    [
        (CODE.replace("What f does.", "Something else."), True),
        (CODE.replace("# a comment", "# another"), True),
        (CODE.replace("f(x)", "f(\n    x,\n)"), True),
        (CODE.replace("str(x)", "str(x + x)"), False),
        (CODE.replace(", 1", "; 1"), False),
    ],
)
def test_code_counts_and_comments_docstrings_and_layout_do_not(edited, same):
    assert (counterparts.fingerprint(edited) == counterparts.fingerprint(CODE)) == same
