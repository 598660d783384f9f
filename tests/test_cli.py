"""Does the command line name options where a function names arguments?"""

import ast
import os
import re
import subprocess
import sys

import pytest
from tiny import ROOT, accept_ctrl_c, tone, write_wave

from fairseq_summarymixing.cli import VERBS, build_parser, main
from fairseq_summarymixing.errors import UserError, one_line, option_names

PRINTS = (
    "import sys; from fairseq_summarymixing.errors import exit_status; sys.exit(exit_status(lambda: print('done')))"
)


@pytest.mark.parametrize("verb", ["export", "import"])
def test_what_fairseq_logs_while_it_is_imported_is_not_shown(verb, tmp_path):
    pytest.importorskip("fairseq", reason="converters import fairseq")
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    command = [sys.executable, "-m", "fairseq_summarymixing", verb, "hf", "nosuch", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_under_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", PRINTS]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (result.returncode, result.stderr) == (1, "error: cannot write: No space left on device\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["synth", "out", "--minutes", "0"], "--minutes must be above 0; got 0"),
        (["manifest", "folder", "audio", "out", "--workers", "0"], "--workers must be 1 or more; got 0"),
        (["manifest", "folder", "audio", "out", "--min-seconds", "9", "--max-seconds", "3"], "--min-seconds must be"),
        (["compare", "a", "b", "--names", "a"], "--names: expected 2 names"),
        (["bench", "run", "--work", "mixer", "--candidates", "some"], "--candidates of mixer are"),
        (["decode", "model.pt", "--data", "d", "--split", "s", "--batch-seconds", "-1"], "--batch-seconds must be 0"),
    ],
)
def test_a_mistake_names_the_option(arguments, message, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    monkeypatch.chdir(tmp_path)
    write_wave(tmp_path / "audio" / "a.wav", tone(0.2))
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_a_message_is_one_line_whatever_names_and_values_hold(tmp_path, capsys):
    assert main(["manifest", "merge", "a\nb\u2028c", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: expected two folders or more to merge, then OUT; got a\\nb\\u2028c and ")
    assert len(error.splitlines()) == 1
    assert one_line(ValueError("Value '\u2028' is no number\nfull_key: b")) == "Value '\\u2028' is no number"
    assert str(UserError("the run failed:", details="line 1\nline 2")) == "the run failed:\nline 1\nline 2"


def test_called_from_python_a_mistake_names_the_argument():
    from fairseq_summarymixing.data.demo.synth import make_corpus

    with pytest.raises(UserError, match="^`minutes` must be above 0; got 0$"):
        make_corpus("out", 0, 1)


def test_every_argument_that_an_error_names_has_an_option():
    parser = build_parser()
    verbs = parser._subparsers._group_actions[0].choices
    known = {name for verb in VERBS for name in option_names(verbs[verb])}
    rooms = [ROOT / "fairseq_summarymixing" / room for room in ("data", "downstream", "converters", "compare", "bench")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for room in rooms for path in room.rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    errors = [ast.unparse(call) for call in calls if getattr(call.func, "id", "") in ("UserError", "BadAudio")]
    named = {name for error in errors for name in re.findall(r"`(\w+)`", error)}
    assert len(named) > 20 and named - known == set()


@pytest.mark.parametrize("when", ["fairseq_summarymixing.cli", "numpy"])
def test_ctrl_c_while_modules_are_imported_is_one_line(when):
    code = f"""
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {when!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv[1:] = ["features", "nosuch.pt", "nosuch.wav", "-o", "out"]
from fairseq_summarymixing.__main__ import main
sys.exit(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, preexec_fn=accept_ctrl_c
    )
    line = "interrupted: run the same command again; what was finished is kept\n"
    assert (ended.returncode, ended.stderr) == (130, line)
