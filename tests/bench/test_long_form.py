"""Does the script that measures long recordings time one, and count its memory?"""

import sys

import pytest
from tiny import EXAMPLES

sys.path.insert(0, str(EXAMPLES / "benchmarks"))

import long_form  # noqa: E402


def test_a_recording_is_timed_in_chunks(tiny_shapes):
    found = long_form.measure("base", 3, chunk_seconds=1)
    assert found["taken"] > 0 and found["taken_per_second"] == found["taken"] / 3 and found["peak_gb"] > 0.01


@pytest.mark.parametrize("seconds, words", [("nan", "at least 0.1; got nan"), ("1e300", "at most 1000000; got 1e+300")])
def test_a_length_that_cannot_be_is_reported_first(monkeypatch, capsys, seconds, words):
    monkeypatch.setattr(sys, "argv", ["long_form.py", "--seconds", seconds])
    assert long_form.main() == 1
    assert f"error: --seconds must be {words}" in capsys.readouterr().err
