"""Does an exported directory hold everything, and only where the numbers are the same?"""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace

import pytest

transformers = pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

import checkpoint_files
import tiny
import torch
from safetensors.torch import load_file

from fairseq_summarymixing import __version__
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.converters import export_hf as module
from fairseq_summarymixing.converters.export_hf import export_hf
from fairseq_summarymixing.converters.export_source import ExportSource
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.hf import code as hf_code
from fairseq_summarymixing.hf.code import CONFIGURATION, MODELING, code_files
from fairseq_summarymixing.modules.choices import CHOICES
from fairseq_summarymixing.modules.conformer import ConformerLayer
from fairseq_summarymixing.modules.frontend import LogMelExtractor
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing

NATIVE = ("twin", "stock", "stock-group_norm")


@pytest.mark.parametrize("ctc", [False, True], ids=["pretrained", "ctc"])
@pytest.mark.parametrize("kind", checkpoint_files.KINDS)
def test_every_kind_is_exported_with_proof(checkpoint, tmp_path, kind, ctc, capsys):
    assert main(["export", "hf", str(checkpoint(kind, ctc)), str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    assert "alone: 3 hidden states" in output and "padded: 3 hidden states" in output
    assert ("logits" if ctc else "projected_quantized_states") in output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"} <= names
    assert ("modeling_summarymixing.py" in names) == (kind not in NATIVE)
    assert ("vocab.json" in names) == ctc
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["layerdrop"] == 0 and len(config.get("auto_map", [])) == (0 if kind in NATIVE else 5)
    assert "/somewhere" not in (tmp_path / "out" / "config.json").read_text()


def test_the_blank_has_their_name_and_its_old_place(exported):
    vocabulary = json.loads((exported("paper", ctc=True) / "vocab.json").read_text())
    assert list(vocabulary)[:5] == ["<pad>", "<s>", "</s>", "<unk>", "|"]
    config = json.loads((exported("paper", ctc=True) / "config.json").read_text())
    assert config["pad_token_id"] == vocabulary["<pad>"] == 0 and config["vocab_size"] == len(vocabulary)


def test_normalisation_is_the_tasks(tmp_path):
    for normalize in (False, True):
        path = checkpoint_files.pretrained(tmp_path / f"{normalize}.pt", "lite", normalize=normalize)
        export_hf(path, tmp_path / str(normalize))
        preprocessor = json.loads((tmp_path / str(normalize) / "preprocessor_config.json").read_text())
        assert preprocessor["do_normalize"] is normalize


def test_masks_in_training_are_the_users_choice(checkpoint, tmp_path):
    for choice in ("on", "off"):
        assert main(["export", "hf", str(checkpoint("lite")), str(tmp_path / choice), "--spec-augment", choice]) == 0
        assert json.loads((tmp_path / choice / "config.json").read_text())["apply_spec_augment"] is (choice == "on")


def test_a_model_without_quantiser_is_exported_as_an_encoder(tmp_path):
    path = checkpoint_files.pretrained(
        tmp_path / "plain.pt", "lite", quantize_targets=False, latent_vars=320, latent_dim=0
    )
    export_hf(path, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["SummaryMixingModel"]
    assert not any("project" in name.split(".")[0] for name in load_file(tmp_path / "out" / "model.safetensors"))


def test_wrong_numbers_leave_nothing(checkpoint, tmp_path, monkeypatch):
    right = ExportSource.hf_state

    def wrong(self):
        state = right(self)
        state["wav2vec2.encoder.layers.1.mixer.summary.linear2.weight"][0, 0] += 0.01
        return state

    monkeypatch.setattr(ExportSource, "hf_state", wrong)
    with pytest.raises(UserError, match=r"hidden_states\.2 differs from fairseq's by .* nothing was written"):
        export_hf(checkpoint("lite"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(checkpoint, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(UserError, match="out is there already: name a new folder"):
        export_hf(checkpoint("lite"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_missing_package_is_named(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UserError, match=r"needs safetensors.*pip install 'fairseq-summarymixing\[hf\]'"):
        module.export_hf(checkpoint("lite"), tmp_path / "out")


@pytest.mark.parametrize("field, value", [("activation_fn", "gelu_fast"), ("quantizer_depth", 2)])
def test_a_stock_model_without_counterpart_is_refused_by_name(tmp_path, field, value):
    path = checkpoint_files.pretrained(tmp_path / "odd.pt", "stock", **{field: value})
    with pytest.raises(UserError, match=field):
        export_hf(path, tmp_path / "out")


def test_a_checkpoint_of_fairseqs_older_format_is_exported_without_its_paths(checkpoint, tmp_path):
    state = torch.load(checkpoint("stock"), weights_only=False)
    cfg = state.pop("cfg")
    args = {**cfg["task"], **cfg["model"], "arch": "wav2vec2", "task": "audio_pretraining", "save_dir": "/somewhere"}
    state["args"] = Namespace(**args, criterion="wav2vec", optimizer="adam", lr_scheduler="fixed")
    torch.save(state, tmp_path / "old.pt")
    export_hf(tmp_path / "old.pt", tmp_path / "out")
    assert "/somewhere" not in (tmp_path / "out" / "config.json").read_text()


def test_another_models_checkpoint_is_named(checkpoint, tmp_path):
    state = torch.load(checkpoint("lite"), weights_only=False)
    state["cfg"]["model"]["_name"] = "hubert"
    torch.save(state, tmp_path / "hubert.pt")
    with pytest.raises(UserError, match="checkpoint of the model 'hubert'; expected wav2vec2"):
        export_hf(tmp_path / "hubert.pt", tmp_path / "out")


BASE = {"mixer": "summary_mixing", "encoder_layer": "transformer", "positions": "conv", "frontend": "waveform"}
CHOSEN = [BASE] + [{**BASE, choice: value} for choice in BASE for value in CHOICES[choice] if value != BASE[choice]]
every_choice = pytest.mark.parametrize("config", CHOSEN, ids=lambda config: "-".join(config.values()))


@every_choice
def test_the_code_needs_torch_and_transformers_alone(config):
    for text in code_files(__version__, config).values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {node.module.split(".")[0]} if not node.level else set()
                assert not node.level or node.module == "configuration_summarymixing"
            else:
                continue
            assert roots <= {"torch", "transformers", *sys.stdlib_module_names}


@every_choice
def test_the_code_is_that_of_plain_layers_and_does_nothing_when_imported(config):
    for text in code_files(__version__, config).values():
        assert not re.search(r"\bLean|/lean|mkldnn|autograd|register_(?!buffer)", text)
        for node in ast.parse(text).body:
            # nothing is called for its effect: names are defined, tables of parts and fields with help texts among them
            assert isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.Expr))
            called = {ast.unparse(one.func) for one in calls_when_imported(node)}
            assert called <= {"Part", "option", "torch.no_grad"}, called


def calls_when_imported(node):
    """The calls that importing a statement runs: not those inside functions, but those of their decorators."""
    if isinstance(node, ast.Call):
        yield node
    inside = node.decorator_list if isinstance(node, ast.FunctionDef) else ast.iter_child_nodes(node)
    for child in () if isinstance(node, ast.Lambda) else inside:
        yield from calls_when_imported(child)


@every_choice
def test_the_code_is_what_its_configuration_chooses(config):
    files = code_files(__version__, config)
    text = "".join(files.values())
    for choice, chosen in config.items():
        for value, part in CHOICES[choice].items():
            assert text.count(f"class {part.kind.__name__}(") == (value == chosen), value
    own = {path.name: path.read_text() for path in (MODELING, CONFIGURATION)}
    for name, written in files.items():
        for node in ast.parse(written).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                used = len(re.findall(rf"\b{node.name}\b", text)) > text.count(f"def {node.name}(")
                assert used or node.name in own[name], node.name


def test_the_code_of_a_base_model_is_short():
    assert sum(len(text.splitlines()) for text in code_files(__version__, BASE).values()) <= 1000


def test_the_code_is_that_of_the_modules(exported):
    config = json.loads((exported("paper") / "config.json").read_text())
    for name, text in code_files(__version__, config).items():
        assert (exported("paper") / name).read_text() == text
    for kind in (SummaryMixing, LogMelExtractor, ConformerLayer):
        assert text.count(inspect.getsource(kind)) == 1


def test_another_mixer_in_config_json_is_refused_by_name(exported, tmp_path):
    folder = shutil.copytree(exported("summary_mixing"), tmp_path / "edited")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "mixer": "fastformer"}))
    code = module.import_code(folder)
    with pytest.raises(ValueError, match=r"^mixer must be one of summary_mixing; got 'fastformer'$"):
        code.SummaryMixingForPreTraining.from_pretrained(str(folder))


def test_a_mixer_without_a_line_in_our_table_is_refused_by_name():
    with pytest.raises(
        UserError, match=r"^mixer=mine cannot be exported: MIXERS in modules/build\.py has no such line$"
    ):
        code_files(__version__, {**BASE, "mixer": "mine"})


@pytest.mark.parametrize(
    "second, message",
    [
        ("from ..modules.a import SIZE\n\n\nclass SIZE:\n    pass\n", r"a\.py and b\.py both define SIZE"),
        ("from ..modules.a import SIZE\nimport cmath as math\n", r"b\.py imports cmath as math, and another file"),
        ("from ..modules.a import SIZE as size\n", r"b\.py renames what it imports from modules\.a"),
    ],
)
def test_two_things_of_one_name_are_refused(tmp_path, monkeypatch, second, message):
    package = tmp_path / "package"
    (package / "hf").mkdir(parents=True)
    (package / "modules").mkdir()
    (package / "modules" / "a.py").write_text('"""A."""\n\nimport math\n\nSIZE = math.pi\n')
    (package / "hf" / "b.py").write_text(f'"""B."""\n\n{second}')
    monkeypatch.setattr(hf_code, "MODELING", package / "hf" / "b.py")
    with pytest.raises(ValueError, match=message):
        code_files("0", BASE)


def test_registered_classes_need_no_trust(exported):
    import fairseq_summarymixing.hf as ours

    for auto, model in ours.AUTO_CLASSES.values():
        assert type(auto.from_pretrained(str(exported("paper")), trust_remote_code=False)) is model


def test_what_registered_classes_save_loads_without_this_package(exported, tmp_path):
    import fairseq_summarymixing.hf as ours

    ours.SummaryMixingForCTC.from_pretrained(str(exported("paper", ctc=True))).save_pretrained(tmp_path)
    names = {"configuration_summarymixing.py", "modeling_summarymixing.py"}
    assert names <= {path.name for path in tmp_path.iterdir()}
    assert json.loads((tmp_path / "config.json").read_text())["auto_map"]["AutoModel"].startswith("modeling_")


def test_no_compiled_code_lies_in_the_folder(checkpoint, tmp_path):
    command = [sys.executable, "-m", "fairseq_summarymixing", "export", "hf", str(checkpoint("lite")), "out"]
    environment = {**os.environ, "PYTHONPATH": str(tiny.ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert not any(path.is_dir() for path in (tmp_path / "out").iterdir())
