"""Does a file that somebody else made run anything here, or lose a bit on its way unnoticed?"""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("fairseq")

import fairseq
import tiny
import torch

from fairseq_summarymixing.checkpoints import Checkpoint, torch_files
from fairseq_summarymixing.checkpoints.evaluated_fields import EVALUATED, check_evaluated_fields
from fairseq_summarymixing.checkpoints.hf_directory import read_weights
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.restore import restore
from fairseq_summarymixing.errors import UserError

VARIABLES = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD")


class CreatesFolder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def read_checkpoint(path):
    return Checkpoint.read(path)


def read_directory(path):
    folder = path.parent / "folder"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "pytorch_model.bin")
    return read_weights(folder)


@pytest.fixture(params=[read_checkpoint, read_directory], ids=["checkpoint", "pytorch_model.bin"])
def read(request):
    """Both readers of torch's files."""
    return request.param


@pytest.fixture(params=["this torch", "torch < 2.4"])
def old_and_new(request, monkeypatch):
    if request.param == "torch < 2.4" and hasattr(torch.serialization, "add_safe_globals"):
        load = torch.load
        monkeypatch.delattr(torch.serialization, "add_safe_globals")
        # which was the default before torch 2.6
        monkeypatch.setattr(torch, "load", lambda path, **options: load(path, weights_only=False, **options))


@pytest.mark.parametrize("names", [VARIABLES[:1], VARIABLES[1:], VARIABLES], ids=["never", "always", "both"])
def test_no_variable_chooses_another_reader(checkpoint, tmp_path, monkeypatch, read, old_and_new, names):
    for name in names:
        monkeypatch.setenv(name, "1")
    found = Checkpoint.read(checkpoint("lite", ctc=True))  # holds a Dictionary and a configuration
    assert found.pretrained_fields["mixer"] == "summary_mixing_lite"
    torch.save({"model": {"weight": CreatesFolder(tmp_path / "created")}}, tmp_path / "evil.pt")
    with pytest.raises(
        UserError, match=r"(evil\.pt|pytorch_model\.bin) .*mkdir.*it was refused and nothing in it was run"
    ):
        read(tmp_path / "evil.pt")
    assert not (tmp_path / "created").exists()
    assert all(os.environ[name] == "1" for name in names)


def test_a_command_in_such_an_environment_runs_nothing(tmp_path):
    torch.save({"model": {"weight": CreatesFolder(tmp_path / "created")}}, tmp_path / "evil.pt")
    call = [
        sys.executable,
        "-m",
        "fairseq_summarymixing",
        "decode",
        str(tmp_path / "evil.pt"),
        "--data",
        ".",
        "--split",
        "test",
    ]
    environment = {**os.environ, VARIABLES[0]: "1", "PYTHONPATH": str(tiny.ROOT)}
    process = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert process.returncode == 1 and "it was refused and nothing in it was run" in process.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pt"]


def test_a_tar_archive_is_refused_whatever_its_first_name(tmp_path, read):
    path = tmp_path / "archive.pt"
    for name in ("sys_info", "\udc80\x02sys_info"):  # the second begins as a pickle does
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        with pytest.raises(UserError, match="is no checkpoint|is a tar archive"):
            read(path)
    assert path.read_bytes().startswith(torch_files.PICKLE_MAGIC)


def test_a_torchscript_archive_is_refused(tmp_path, read):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(UserError, match="is a TorchScript archive, which holds code"):
        read(tmp_path / "script.pt")


def test_a_flipped_bit_in_any_part_is_seen(tmp_path):
    path = tmp_path / "some.pt"
    torch.save({"cfg": {}, "model": {"weight": torch.ones(99), "bias": torch.ones(7).half()}}, path)
    content = path.read_bytes()
    Checkpoint.read(path)
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    for part in parts:
        descriptor = content.index(b"PK\x07\x08", part.header_offset)  # follows the part
        damaged = bytearray(content)
        damaged[descriptor - 1] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=f"is damaged: the checksum of its part {part.filename} is wrong"):
            Checkpoint.read(path)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "bare pickle"])
def test_files_without_checksums_are_read(tmp_path, options):
    set_crc32_options = getattr(torch.serialization, "set_crc32_options", None)
    if not options and set_crc32_options is None:
        pytest.skip("this torch always writes checksums")
    try:
        if set_crc32_options is not None:
            set_crc32_options(False)
        torch.save({"cfg": {}, "model": {"weight": torch.ones(99)}}, tmp_path / "some.pt", **options)
    finally:
        if set_crc32_options is not None:
            set_crc32_options(True)
    assert Checkpoint.read(tmp_path / "some.pt").weights["weight"].sum() == 99


def code_that_creates(path):
    return f"__import__('os').mkdir({str(path)!r}) or [(16, 10, 5)]"


@pytest.mark.parametrize("where", ["pretrained", "inside a fine-tuned model", "args"])
def test_code_in_a_field_that_fairseq_evaluates_is_refused(checkpoint, tmp_path, where):
    state = torch.load(checkpoint("stock", ctc=where.startswith("inside")), weights_only=False)
    model = state["cfg"]["model"]
    model = model["w2v_args"]["model"] if "w2v_args" in model else model
    model["conv_feature_layers"] = code_that_creates(tmp_path / "created")
    if where == "args":
        state.update(args=argparse.Namespace(**{**model, "arch": "wav2vec2", "task": "audio_pretraining"}), cfg=None)
    torch.save(state, tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"evil\.pt has code in the field conv_feature_layers"):
        restore(Checkpoint.read(tmp_path / "evil.pt"))
    assert not (tmp_path / "created").exists()


def test_code_in_the_recipe_of_a_directory_is_refused(exported, tmp_path, capsys):
    shutil.copytree(exported("stock"), tmp_path / "folder")
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    config["fairseq"]["model"]["conv_feature_layers"] = code_that_creates(tmp_path / "created")
    (tmp_path / "folder" / "config.json").write_text(json.dumps(config))
    assert main(["import", "hf", str(tmp_path / "folder"), str(tmp_path / "out.pt")]) == 1
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "created").exists() and not (tmp_path / "out.pt").exists()


def test_literals_names_and_paths_are_no_code():
    for text in ("[(512, 10, 5)] + [(512, 3, 2)] * 4", " True", "0.1,0.2", "{'a': 1}", "a/b-c.pt", "not python", ""):
        check_evaluated_fields("here", {"model": {"conv_feature_layers": text, "encoder_layers": 12}})
    for text in ("f(x)", " [x for x in y]", "lambda: 0", "(f)(x)", "a[b]", "f'{a}'", b"[]"):
        with pytest.raises(UserError, match="^here has code in the field conv_feature_layers"):
            check_evaluated_fields("here", [{"w2v_args": argparse.Namespace(conv_feature_layers=text)}])


def test_every_field_that_fairseq_evaluates_while_it_builds_is_known():
    folder = Path(fairseq.__file__).parent
    evaluating = re.compile(r"\beval(?:_bool|_str_list|_str_dict)?\(\s*(?:self\.)?(?:args|cfg)\.(\w+)")
    parts = ("models", "modules", "model_parallel", "optim", "criterions", "tasks")
    files = [path for part in parts for path in (folder / part).rglob("*.py")]
    found = {name for path in files for name in evaluating.findall(path.read_text(encoding="utf-8"))}
    assert "conv_feature_layers" in found and found <= EVALUATED
