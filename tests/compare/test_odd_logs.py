"""Do odd lines and values of logs leave a page, or end in one line?"""

import json
import os

import pytest
from run_logs import heading, inner, valid

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.compare.report import compare
from fairseq_summarymixing.compare.runs import read_run

ODD_LINES = [
    '{"epoch": 1, "loss": "nan", "num_updates": "nan"}',
    '{"epoch": 1, "loss": "6", "num_updates": "inf"}',
    '{"epoch": 1, "loss": "6", "num_updates": "-3"}',
    '{"epoch": 1, "loss": "6", "num_updates": "1e300"}',
    '{"epoch": 1, "loss": "6", "num_updates": "many"}',
    '{"epoch": 1, "loss": 6}',
    '{"epoch": 1, "lo',
    '{"epoch": ' + "[" * 100000,
    '{"epoch": 1, "loss": ' + "9" * 5000 + ', "num_updates": 7}',
    "num. shared model params: " + "9" * 5000,
    "num. shared model params: ,",
    "total memory = ... GB",
    "'model': {'_name': 'wav2vec2', 'num_negatives': " + "9" * 5000,
    "\0\1\2\udcff",
]


@pytest.mark.parametrize("value", ["1e308", "-1e308", "inf", "nan", "1e-320", "[1]", "9" * 400])
def test_absurd_values_leave_a_page(value, write, tmp_path):
    pytest.importorskip("matplotlib")
    more = {key: value for key in ("accuracy", "code_perplexity", "ups", "wps", "wpb", "gb_free", "peak_memory_gb")}
    folder = write("run", heading(), inner(10, value, **more), valid(10, value), inner(20))
    compare([folder], tmp_path / "out")
    assert json.loads((tmp_path / "out" / "compare.json").read_text())[0]["updates"] == 20


def test_a_log_in_utf_16_is_read(write, tmp_path):
    log = write("run", heading(), inner(10), valid(10)) / "train.log"
    log.write_text(log.read_text(), encoding="utf-16")
    assert list(read_run(log.parent, "run").train) == [10]


def test_odd_lines_of_a_log_are_left_out_and_counted(write, tmp_path):
    folder = write("run", heading(), inner(10))
    with open(folder / "train.log", "ab") as file:
        file.write("\n".join([*ODD_LINES, ""]).encode(errors="surrogateescape"))
        file.write(inner(20).encode())
    run = read_run(folder, "run")
    assert run.updates == 20 and run.values("loss")[0] == [10, 20] and run.parameters == 95044608
    assert any("9 unreadable lines left out" in note for note in run.notes)


@pytest.mark.parametrize("text", ["", "\0" * 100, "a log of something else\n", "\n".join(ODD_LINES[:9])])
def test_a_log_without_a_usable_line_is_one_error(text, write, tmp_path, capsys):
    assert main(["compare", str(write("run", text)), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "no JSON lines in train.log" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_what_is_named_like_a_log_and_is_no_file_is_passed_over(write):
    folder = write("run", inner(10))
    (folder / "old.log").mkdir()
    os.mkfifo(folder / "pipe.log")
    os.mkfifo(folder / "result.json")
    assert read_run(folder, "run").updates == 10
