"""Does a graph compute what fairseq computes, for any batch and length?"""

import json

import pytest

pytest.importorskip("fairseq")

import torch

if not hasattr(torch, "export") or not hasattr(torch.export, "Dim"):
    pytest.skip("torch.export came with torch 2.5", allow_module_level=True)

import checkpoint_files

from fairseq_summarymixing.checkpoints import Checkpoint, state
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.converters import graph, parity
from fairseq_summarymixing.converters.export_source import read_export_source
from fairseq_summarymixing.errors import UserError

KINDS = [
    ("summary_mixing", False),
    ("paper", True),
    ("stock-group_norm", True),
    ("twin", False),
    ("twin", True),
    ("stock", False),
    ("hyper_mixing", True),
    ("fastformer", False),
]


# Exporting and checking are the same as for ONNX, which all kinds go through below
@pytest.mark.parametrize("kind, ctc", [("summary_mixing", False), ("paper", True), ("stock-group_norm", True)])
def test_a_torch_program_computes_the_same(checkpoint, tmp_path, kind, ctc, capsys):
    file = tmp_path / "model.pt2"
    assert main(["export", "torch", str(checkpoint(kind, ctc)), str(file)]) == 0
    assert "largest difference from fairseq, short" in capsys.readouterr().out
    extra = {"metadata.json": ""}
    program = torch.export.load(str(file), extra_files=extra).module()
    metadata = json.loads(extra["metadata.json"])
    assert metadata["sample_rate"] == "16000" and ("symbols" in metadata) == ctc
    wave = torch.randn(2, 16123)
    both, lengths = program(wave, torch.ones(2, 16123, dtype=torch.int64))
    alone, _ = program(wave[:1], torch.ones(1, 16123, dtype=torch.int64))
    assert torch.allclose(both[:1], alone, atol=1e-5) and lengths.tolist() == [both.shape[1]] * 2


@pytest.mark.parametrize("kind, ctc", KINDS)
def test_onnxruntime_computes_the_same(checkpoint, tmp_path, kind, ctc):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    file = tmp_path / "model.onnx"
    assert main(["export", "onnx", str(checkpoint(kind, ctc)), str(file)]) == 0
    session = onnxruntime.InferenceSession(str(file))
    assert [tensor.name for tensor in session.get_inputs()] == ["input_values", "attention_mask"]
    assert [tensor.name for tensor in session.get_outputs()] == ["logits" if ctc else "features", "output_lengths"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["sample_rate"] == "16000"
    assert not ctc or json.loads(metadata["symbols"])[0] == "<s>"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    ours = graph.onnx_session(file).get_session_options()
    assert ours.intra_op_num_threads == torch.get_num_threads()  # as benchmarks take for granted


def test_normalisation_is_inside(tmp_path):
    path = checkpoint_files.pretrained(tmp_path / "normalised.pt", "stock", normalize=True)
    model = graph.waveform_model(read_export_source(Checkpoint.read(path)))
    wave = torch.randn(2, 16000)
    mask = torch.ones(2, 16000, dtype=torch.int64)
    mask[1, 12000:] = 0
    found, lengths = model(wave, mask)
    again, _ = model(5 * wave + 3, mask)
    assert torch.allclose(found[0], again[0], atol=1e-4)
    assert torch.allclose(found[1, : lengths[1]], again[1, : lengths[1]], atol=1e-4)


@pytest.mark.parametrize("kind, ctc", [("paper", True), ("stock", False)])
def test_the_checkpoint_is_read_once(checkpoint, tmp_path, monkeypatch, kind, ctc):
    read, paths = state.read_torch_file, []
    monkeypatch.setattr(state, "read_torch_file", lambda path, classes: paths.append(path) or read(path, classes))
    graph.export_torch(checkpoint(kind, ctc), tmp_path / "model.pt2")
    assert paths == [checkpoint(kind, ctc)]


def test_a_wrong_graph_is_not_written(checkpoint, tmp_path, monkeypatch):
    right = parity.fairseq_outputs

    def wrong(*arguments):
        outputs, mask = right(*arguments)
        return {name: value + 0.01 for name, value in outputs.items()}, mask

    monkeypatch.setattr(parity, "fairseq_outputs", wrong)
    with pytest.raises(UserError, match="nothing was written"):
        graph.export_torch(checkpoint("lite"), tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []
