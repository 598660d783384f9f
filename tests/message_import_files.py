"""The checkpoints and directories of Hugging Face that the commands of messages.txt name, each with one fault."""

import io
import json
import pickle
import shutil
import tarfile
import zipfile

import torch
from checkpoint_files import ctc, pretrained

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.converters.export_hf import write
from fairseq_summarymixing.converters.export_source import read_export_source


def write_models(folder):
    """Write everything that is named here into folder/models, of the whole checkpoints in folder."""
    for name in ("pretrained", "ctc"):
        (folder / "models").mkdir(exist_ok=True)
        shutil.copyfile(folder / f"{name}.pt", folder / f"models/{name}.pt")
    folder = folder / "models"
    write_checkpoints(folder)
    write_archives(folder)
    for name in ("pretrained", "ctc", "stock"):
        (folder / f"hf-{name}").mkdir()
        write(read_export_source(Checkpoint.read(folder / f"{name}.pt")), folder / f"hf-{name}")
    write_directories(folder)


def write_checkpoints(folder):
    state = torch.load(folder / "pretrained.pt", weights_only=False)
    stock = torch.load(pretrained(folder / "stock.pt", "stock"), weights_only=False)
    tuned = torch.load(folder / "ctc.pt", weights_only=False)
    lite = torch.load(pretrained(folder / "lite.pt", "lite"), weights_only=False)
    layer = "encoder.layers.0.mixer."
    odd = {
        "deeper": with_fields(state, encoder_layers=3),
        "no-parameters": {"model": "x"},
        "odd-kind": {**state, "task_state": 3},
        "taskless": {**state, "cfg": {**state["cfg"], "task": None}},
        "other-task": {**state, "cfg": {**state["cfg"], "task": {"_name": "my_task"}}},
        "former-lite": {**lite, "model": {**lite["model"], f"{layer}combiner.weight": torch.zeros(2)}},
        "quick-gelu": with_fields(stock, activation_fn="gelu_accurate"),
        "cropped": with_fields(stock, crop_seq_to_multiple=2),
        "odd-joined": {**tuned, "cfg": {**tuned["cfg"], "criterion": {"_name": "ctc", "post_process": "subword_nmt"}}},
    }
    for name, content in odd.items():
        torch.save(content, folder / f"{name}.pt")
    ctc(folder / "pieces.pt", folder / "pretrained.pt", ["|", "\u2581", "A"], "sentencepiece")


def with_fields(state, **fields):
    return {**state, "cfg": {**state["cfg"], "model": {**state["cfg"]["model"], **fields}}}


def write_archives(folder):
    """Write files that begin as checkpoints do, and are something else."""
    for name, parts in (("torchscript", ("data.pkl", "constants.pkl")), ("no-version", ("data.pkl",))):
        with zipfile.ZipFile(folder / f"{name}.pt", "w") as archive:
            for part in parts:
                archive.writestr(f"a/{part}", b"\x80\x02}.")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"abc" * 1000)
    data = bytearray(packed.getvalue())
    data[40:44] = b"\xff" * 4
    (folder / "packed.pt").write_bytes(data)
    with tarfile.open(folder / "tar.pt", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("\x80\x02"))
    (folder / "pickle.pt").write_bytes(pickle.dumps({1, 2}, protocol=2))
    torch.save([torch.zeros(100)], folder / "former.pt", _use_new_zipfile_serialization=False)
    (folder / "former.pt").write_bytes((folder / "former.pt").read_bytes()[:-300])


def write_directories(folder):
    """Write directories of Hugging Face, each a copy of a whole one with other files in it."""
    for name, (source, changes) in DIRECTORIES.items():
        shutil.copytree(folder / source, folder / name)
        for file, change in changes.items():
            change(folder / name / file)


def entries(**values):
    """A change of a JSON file: values by name."""

    def change(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def content(data):
    return lambda path: path.write_bytes(data)


def gone(path):
    path.unlink()


def parameters(change):
    """A change of a file of parameters."""

    def write_changed(path):
        from safetensors.torch import load_file, save_file

        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return write_changed


def without(part):
    return parameters(lambda weights: {name: value for name, value in weights.items() if part not in name})


def twice_named(weights):
    """Name the weight norm of the positions as two versions of torch do."""
    former, name = "weight_g", "parametrizations.weight.original0"
    (there,) = (each for each in weights if each.endswith((former, name)))
    missing = there.replace(name, former) if there.endswith(name) else there.replace(former, name)
    return {**weights, missing: weights[there].clone()}


WEIGHTS = "model.safetensors"
DIRECTORIES = {
    "hf-kinds": ("hf-pretrained", {"config.json": entries(num_hidden_layers="two")}),
    "hf-dtype": ("hf-pretrained", {"config.json": entries(fairseq={"dtype": "float99"})}),
    "hf-odd": ("hf-pretrained", {"config.json": entries(conv_dim=[])}),
    "hf-vocab": ("hf-pretrained", {"config.json": entries(vocab_size="x")}),
    "hf-nameless": ("hf-pretrained", {"config.json": entries(fairseq={"model": {"encoder_layers": 2}})}),
    "hf-shapes": ("hf-pretrained", {"config.json": entries(intermediate_size=64, fairseq=None)}),
    "hf-wider": ("hf-pretrained", {"config.json": entries(intermediate_size=64)}),
    "hf-deeper": ("hf-pretrained", {"config.json": entries(num_hidden_layers=3)}),
    "hf-encoder": ("hf-pretrained", {WEIGHTS: without("quantizer")}),
    "hf-layerless": ("hf-pretrained", {WEIGHTS: without("layers.1.final_layer_norm")}),
    "hf-more": ("hf-pretrained", {WEIGHTS: parameters(lambda found: {**found, "extra": torch.zeros(1)})}),
    "hf-twice": ("hf-stock", {WEIGHTS: parameters(twice_named)}),
    "hf-weightless": ("hf-pretrained", {WEIGHTS: gone}),
    "hf-unprepared": ("hf-pretrained", {"preprocessor_config.json": gone}),
    "hf-indexed": ("hf-pretrained", {WEIGHTS: gone, f"{WEIGHTS}.index.json": content(b"{}")}),
    "hf-cut": ("hf-pretrained", {WEIGHTS: lambda path: path.write_bytes(path.read_bytes()[:-100])}),
    "hf-listed": (
        "hf-pretrained",
        {WEIGHTS: gone, "pytorch_model.bin": lambda path: torch.save([1], path)},
    ),
    "hf-unspelled": ("hf-ctc", {"vocab.json": gone}),
    "hf-lettered": ("hf-ctc", {"vocab.json": entries(A="one")}),
    "hf-reordered": ("hf-ctc", {"vocab.json": entries(A=99)}),
}
