"""Does a model whose parameters nobody can use get any further than the file that it comes in?"""

import re
import shutil
import zipfile

import pytest

pytest.importorskip("fairseq")

import tiny
import torch

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.checkpoints.weights import check_weights
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.errors import UserError

PARAMETER = re.compile(r"encoder\.layers\.1\.feed_forward\.(fc1|intermediate_dense)\.weight")
KINDS = {
    "nan": "weight holds NaN (2 of 1536 values); the file is damaged or its training had diverged: use an earlier",
    "inf": "weight holds inf (2 of 1536 values)",
    "huge": "weight holds magnitudes above 1e+18 (2 of 1536 values)",
    "integer": "weight is int64, not floating point",
    "complex": "weight is complex64, not floating point",
    "flipped bit": "is damaged: the checksum of its part ",
}
SPOILED = {"nan": float("nan"), "inf": float("-inf"), "huge": -1e30}


def spoil(weights, kind):
    """The same parameters, but for two values or the type of one of the last layer."""
    name = next(key for key in weights if PARAMETER.search(key))
    value = weights[name].clone()
    if kind in SPOILED:
        value.view(-1)[:2] = SPOILED[kind]
    elif kind != "flipped bit":
        value = value.to({"integer": torch.int64, "complex": torch.complex64}[kind])
    return {**weights, name: value}


def flip_bit(path):
    """The lowest bit of a byte in the middle of the largest part of a file of torch.save."""
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda entry: entry.file_size)
    content = bytearray(path.read_bytes())
    content[part.header_offset + part.file_size // 2] ^= 1
    path.write_bytes(content)


def spoil_checkpoint(source, path, kind):
    state = torch.load(source, weights_only=False)
    torch.save({**state, "model": spoil(state["model"], kind)}, path)
    if kind == "flipped bit":
        flip_bit(path)
    return path


def spoil_directory(source, folder, kind):
    """Returns the folder; safetensors has no checksums, so the flipped bit goes into a pytorch_model.bin."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder)
    weights = spoil(load_file(folder / "model.safetensors"), kind)
    if kind == "flipped bit":
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
        flip_bit(folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tiny.write_corpus(tmp_path_factory.mktemp("corpus"), clips=2, splits=("train", "valid", "test"))
    return folder


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def assert_refused(message, path, kind):
    assert KINDS[kind] in message and f"{path}" in message and "\n" not in message.strip()
    assert kind == "flipped bit" or PARAMETER.search(message)


@pytest.mark.parametrize("command", ["features", "decode", "export hf"])
def test_a_command_names_file_and_parameter_and_writes_nothing(checkpoint, corpus, tmp_path, capsys, command, kind):
    if command == "export hf":
        pytest.importorskip("transformers", reason="the hf extra is not installed")
    out = tmp_path / "out"
    corpus = shutil.copytree(corpus, tmp_path / "corpus", ignore=shutil.ignore_patterns("dict.*"))  # the checkpoint's
    path = spoil_checkpoint(checkpoint("lite", ctc=command == "decode"), tmp_path / "spoiled.pt", kind)
    arguments = {
        "features": ["features", path, corpus / "audio" / "test-0.wav", "-o", out, "--layers", "0"],
        "decode": ["decode", path, "--data", corpus, "--split", "test", "--out", out],
        "export hf": ["export", "hf", path, out],
    }[command]
    assert main([str(argument) for argument in arguments]) == 1
    assert_refused(capsys.readouterr().err, path, kind)
    assert not out.exists()


def test_a_directory_of_hugging_face_is_no_way_in(exported, tmp_path, capsys, kind):
    folder = spoil_directory(exported("lite"), tmp_path / "folder", kind)
    assert main(["import", "hf", str(folder), str(tmp_path / "out.pt")]) == 1
    assert_refused(capsys.readouterr().err, folder, kind)
    assert not (tmp_path / "out.pt").exists()


@pytest.mark.parametrize("source", ["checkpoint", "directory"])
def test_training_does_not_start_from_it(request, corpus, tmp_path, source, kind):
    if source == "checkpoint":
        path = spoil_checkpoint(request.getfixturevalue("checkpoint")("lite"), tmp_path / "spoiled.pt", kind)
    else:
        path = spoil_directory(request.getfixturevalue("exported")("lite"), tmp_path / "folder", kind)
    of_lite = dict(model__mixer="summary_mixing_lite", model__extractor_mode="layer_norm", model__latent_dim=12)
    settings = tiny.pretraining(corpus, tmp_path / "run", model__init_from=str(path), **of_lite)
    with pytest.raises(UserError) as caught:
        tiny.train("pretraining", "summarymixing_base_librispeech", settings)
    assert_refused(str(caught.value), path, kind)
    assert not list((tmp_path / "run").glob("*.pt"))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """Settings of a run of one update, and its checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    settings = tiny.pretraining(corpus, folder, model__latent_dim=12, dataset__disable_validation=True)
    tiny.train("pretraining", "summarymixing_base_librispeech", settings)
    return settings, folder / "checkpoint_last.pt"


def test_no_run_goes_on_from_it(run, tmp_path, kind):
    path = spoil_checkpoint(run[1], tmp_path / "checkpoint_last.pt", kind)
    before = path.read_bytes()
    settings = {**run[0], "checkpoint.save_dir": str(tmp_path), "optimization.max_update": 2}
    with pytest.raises(UserError) as caught:
        tiny.train("pretraining", "summarymixing_base_librispeech", settings)
    assert_refused(str(caught.value), path, kind)
    assert path.read_bytes() == before


def test_fine_tuning_does_not_start_from_it(run, corpus, tmp_path, kind):
    path = spoil_checkpoint(run[1], tmp_path / "pretrained.pt", kind)
    settings = tiny.finetuning(corpus, tmp_path / "run", path)
    with pytest.raises(UserError) as caught:
        tiny.train("finetuning", "base_10h", settings)
    assert_refused(str(caught.value), path, kind)
    assert not list((tmp_path / "run").glob("*.pt"))


def test_a_run_goes_on_from_a_spoiled_optimizer_only_without_it(run, tmp_path):
    state = torch.load(run[1], weights_only=False)
    state["last_optimizer_state"]["state"][3]["exp_avg_sq"].view(-1)[0] = float("inf")
    torch.save(state, tmp_path / "checkpoint_last.pt")
    settings = {**run[0], "checkpoint.save_dir": str(tmp_path), "optimization.max_update": 2}
    with pytest.raises(
        UserError, match=r"checkpoint_last\.pt: optimizer\.3\.exp_avg_sq holds NaN or inf; .*reset_optim"
    ):
        tiny.train("pretraining", "summarymixing_base_librispeech", settings)
    tiny.train("pretraining", "summarymixing_base_librispeech", {**settings, "checkpoint.reset_optimizer": True})
    saved = torch.load(tmp_path / "checkpoint_last.pt", weights_only=False)["last_optimizer_state"]["state"][3]
    assert saved["exp_avg_sq"].isfinite().all()


def test_every_parameter_of_a_diverged_model_is_counted(checkpoint):
    weights = Checkpoint.read(checkpoint("stock", ctc=True)).weights
    spoiled = {name: value * float("nan") for name, value in weights.items()}
    with pytest.raises(UserError, match=rf"^here: \S+ holds NaN .* and {len(weights) - 3} more tensors; the file"):
        check_weights("here", spoiled)
    with pytest.raises(UserError, match=r"^here: w2v_encoder\.proj\.bias holds NaN \(10 of 10 values\); the file"):
        check_weights("here", {**weights, "w2v_encoder.proj.bias": spoiled["w2v_encoder.proj.bias"]})


def test_what_trained_models_hold_is_taken():
    norm = torch.nn.BatchNorm1d(4)
    norm(100 * torch.randn(8, 4))
    check_weights(
        "here",
        {
            **norm.state_dict(),  # its counter is an integer
            "fp16": torch.full((2,), 65504.0, dtype=torch.float16),
            "bf16": torch.ones(2).bfloat16(),
            "fp64": torch.full((2,), -1e12, dtype=torch.float64),
            "empty": torch.ones(0),
            "version": torch.tensor([3]),
            "decoder.embed_positions._float_tensor": torch.tensor([float("nan")]),
        },
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor([7e4, 1.0]).half(), r"holds inf \(1 of 2 values\)"),
        (torch.tensor([1e30, float("nan")]).bfloat16(), r"holds NaN \(1 of 2 values\) and magnitudes above 1e\+18"),
        (torch.tensor([1e300], dtype=torch.float64), r"holds inf"),
        (torch.ones(2, 2).to_sparse(), r"is torch\.sparse_coo, not dense"),
        (torch.ones(2, dtype=torch.bool), r"is bool, not floating point"),
        (torch.tensor(1j), r"is complex64"),
    ],
)
def test_what_no_layer_can_use_is_refused_in_any_precision(value, message):
    with pytest.raises(UserError, match=f"^here: weight {message}"):
        check_weights("here", {"weight": value})
