"""Does an export or import for which there is no room end in one line, and leave nothing?"""

import contextlib
import resource

import pytest

pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

import torch

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.converters import graph
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.files import atomic_file


@contextlib.contextmanager
def no_file_above(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", ["export hf", "import hf"])
@pytest.mark.parametrize("size", [1000, 20000])
def test_no_room_is_one_line(kind, size, checkpoint, exported, tmp_path, capfd):
    source = exported("lite") if kind == "import hf" else checkpoint("lite")
    with no_file_above(size):
        status = main([*kind.split(), str(source), str(tmp_path / "out")])
    error = capfd.readouterr().err
    assert status == 1 and error.startswith("error: cannot write") and error.count("\n") == 1, error
    assert "it was not written" in error and not list(tmp_path.iterdir())


def test_no_room_for_a_program_of_torch_is_one_line(tmp_path, monkeypatch):
    export = pytest.importorskip("torch.export")
    program = export.export(torch.nn.Linear(64, 64), (torch.zeros(1, 64),))
    monkeypatch.setattr(graph, "_program", lambda model: program)
    with pytest.raises(UserError, match="cannot write .*out: File too large; it was not written"):
        with no_file_above(5000), atomic_file(tmp_path / "out") as temporary:
            graph.write_torch(None, temporary, {})
    assert not list(tmp_path.iterdir())
