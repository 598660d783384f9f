"""Does a bad input end a command in one line, with nothing lost? A case of each kind; ``make fuzz`` runs many."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

sys.path.insert(0, str(Path(__file__).parent))

from campaign import KINDS, run_case
from inputs import write_directory, write_inputs

SEED, COUNT = 1, 1


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("fuzz") / "inputs")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_input_ends_in_one_line_with_nothing_lost(kind, inputs, tmp_path):
    if kind == "directories":
        pytest.importorskip("safetensors", reason="the hf extra is not installed")
        write_directory(inputs)
    for number in range(COUNT):
        case, outcome, wrong = run_case(kind, SEED, number, inputs, tmp_path / str(number))
        assert wrong is None, (case, outcome)
