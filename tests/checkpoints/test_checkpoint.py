"""Is whatever file a user names read once and without running it, or named as what it is in one line?"""

import argparse
import io
import os
import pickle
import zipfile

import pytest

pytest.importorskip("fairseq")

import torch

from fairseq_summarymixing.checkpoints import Checkpoint, torch_files
from fairseq_summarymixing.downstream.restore import restore
from fairseq_summarymixing.errors import UserError


class CreatesFile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def read_as_old_torch(path, classes):
    """What torch < 2.4 does, whose weights-only reader takes no further classes."""
    extra = {"weights_only": False} if hasattr(torch.serialization, "add_safe_globals") else {}
    return torch.load(path, map_location="cpu", pickle_module=torch_files.restricted_pickle(classes), **extra)


@pytest.fixture(params=["this torch", "torch < 2.4"])
def reader(request, monkeypatch):
    if request.param == "torch < 2.4":
        monkeypatch.setattr(torch_files, "_read", read_as_old_torch)


def refuse(path, *parts):
    with pytest.raises(UserError) as caught:
        Checkpoint.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


@pytest.mark.parametrize("kind", ["stock", "lite"])
def test_pretrained_and_finetuned_checkpoints_are_recognised(reader, checkpoint, kind):
    name = "wav2vec2" if kind == "stock" else "wav2vec2_summarymixing"
    found, inside = Checkpoint.read(checkpoint(kind)), Checkpoint.read(checkpoint(kind, ctc=True))
    assert (found.name, found.encoder_name, found.is_finetuned, found.is_ctc) == (name, name, False, False)
    assert (inside.name, inside.encoder_name, inside.is_finetuned, inside.is_ctc) == ("wav2vec_ctc", name, True, True)
    assert found.num_updates == inside.num_updates == 5 and found.num_processes == 1
    assert found.dtype == "float32" and not found.normalize
    assert found.encoder_fields["encoder_layers"] == inside.encoder_fields["encoder_layers"] == 2
    assert inside.labels == "ltr" and "A" in inside.symbols and found.symbols is None
    assert inside.pretraining_task_fields["_name"] == found.task_fields["_name"]


@pytest.mark.parametrize("kind", ["stock", "lite"])
def test_weights_are_under_our_names_whatever_is_around_them(checkpoint, kind):
    found, inside = Checkpoint.read(checkpoint(kind)), Checkpoint.read(checkpoint(kind, ctc=True))
    assert found.encoder_weights.keys() == inside.encoder_weights.keys()
    assert any(name.startswith("encoder.layers.1.mixer.") for name in found.encoder_weights)
    around, around_inside = outside_of_the_encoder(found), outside_of_the_encoder(inside)
    assert {name.split(".")[0] for name in around} == {"quantizer", "project_q", "final_proj"}
    assert around_inside == ["w2v_encoder.proj.weight", "w2v_encoder.proj.bias"]
    assert len(found.encoder_weights) + len(around) == len(found.weights)
    assert len(inside.encoder_weights) + len(around_inside) == len(inside.weights)


def outside_of_the_encoder(checkpoint):
    """Names in the file of the parameters that are not the encoder's, which has other names for its own."""
    encoder = {id(value) for value in checkpoint.encoder_weights.values()}
    return [name for name, value in checkpoint.weights.items() if id(value) not in encoder]


@pytest.mark.parametrize("kind", ["stock", "lite"])
def test_fairseq_changes_nothing_of_a_checkpoint_that_it_builds_a_model_of(checkpoint, kind):
    found = Checkpoint.read(checkpoint(kind, ctc=True))
    names, fields, layout = list(found.weights), repr(found.fields), repr(found.state["optimizer_history"])
    for _ in range(2):
        restore(found, {"data": "/elsewhere"})
    assert (list(found.weights), repr(found.fields)) == (names, fields)
    assert repr(found.state["optimizer_history"]) == layout and isinstance(found.state["cfg"], dict)


def test_old_checkpoints_with_a_namespace_are_read(reader, tmp_path):
    path = tmp_path / "old.pt"
    args = argparse.Namespace(arch="wav2vec2", task="audio_pretraining")
    for zipped in (True, False):  # torch < 1.6 wrote bare pickles
        state = {"args": args, "model": {"weight": torch.ones(2).half()}}
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        found = Checkpoint.read(path)
        assert (found.name, found.task_fields["_name"]) == ("wav2vec2", "audio_pretraining")
        assert torch.equal(found.weights["weight"], torch.ones(2).half()) and found.dtype == "float16"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_runs_code_is_refused_and_nothing_runs(reader, tmp_path, zipped):
    path, created = tmp_path / "evil.pt", tmp_path / "created"
    state = {"cfg": {}, "model": {"weight": torch.ones(2)}, "extra": CreatesFile(created)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    refuse(path, "mkdir", "refused", "nothing in it was run")
    assert not created.exists()
    path.write_bytes(pickle.dumps(CreatesFile(created)))
    refuse(path)
    assert not created.exists()


def test_a_missing_file_is_an_error_that_lists_the_others(tmp_path):
    (tmp_path / "checkpoint_best.pt").write_bytes(b"")
    refuse(tmp_path / "checkpoint_lst.pt", "there is no checkpoint", "checkpoint_best.pt")


def test_a_folder_an_empty_file_and_text_are_named(tmp_path):
    refuse(tmp_path, "is a folder")
    for content, part in ((b"", "is empty"), (b"hello\n", "no checkpoint"), (b'{"a": 1}', "no checkpoint")):
        path = tmp_path / "some.pt"
        path.write_bytes(content)
        refuse(path, part)


def test_a_file_cut_short_is_named_at_every_length(reader, checkpoint, tmp_path):
    content = checkpoint("stock", ctc=True).read_bytes()
    path = tmp_path / "short.pt"
    for length in (3, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        refuse(path)
    buffer = io.BytesIO()
    torch.save({"cfg": {}, "model": {"w": torch.ones(99)}}, buffer, _use_new_zipfile_serialization=False)
    for length in (3, 60, len(buffer.getvalue()) - 9):
        path.write_bytes(buffer.getvalue()[:length])
        refuse(path)


def test_a_zip_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "archive.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    refuse(path, "zip archive but no checkpoint")


def test_a_safetensors_file_is_named(tmp_path):
    header = b'{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    refuse(path, "safetensors")


def test_parameters_without_a_configuration_are_named(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"encoder.weight": torch.ones(2)}, path)
    refuse(path, "bare state dict")
    torch.save({"model": {"encoder.weight": torch.ones(2)}}, path)
    refuse(path, "no configuration")
    torch.save({"epoch": 3}, path)
    refuse(path, "expected 'model' and 'cfg', found epoch")
    torch.save({"model": None, "cfg": {}}, path)
    refuse(path, "'model' holds no parameters but 'None'")
    torch.save([1, 2], path)
    refuse(path, "each by its name")


def test_reading_prints_nothing_and_leaves_logging_alone(checkpoint, capfd):
    import logging

    before = logging.root.level, list(logging.root.handlers)
    Checkpoint.read(checkpoint("stock", ctc=True))
    assert (logging.root.level, list(logging.root.handlers)) == before
    assert capfd.readouterr() == ("", "")
