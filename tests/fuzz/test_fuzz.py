"""Does a bad input end a command in one line, with nothing lost? A case of each kind; ``make fuzz`` runs many."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

sys.path.insert(0, str(Path(__file__).parent))

from campaign import KINDS, run_case
from inputs import write_inputs

SEED, COUNT = 1, 1
SHORT = [kind for kind in KINDS if kind != "directories"]  # those take an export


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("fuzz") / "inputs")


@pytest.mark.parametrize("kind", SHORT)
def test_a_bad_input_ends_in_one_line_with_nothing_lost(kind, inputs, tmp_path):
    for number in range(COUNT):
        case, outcome, wrong = run_case(kind, SEED, number, inputs, tmp_path / str(number))
        assert wrong is None, (case, outcome)
