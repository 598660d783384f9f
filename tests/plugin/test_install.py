"""Does an import change no more of fairseq than plugin/README.md lists, and a command of fairseq's all of it?"""

import json
import re
import subprocess
import sys

import pytest
from tiny import ROOT

pytest.importorskip("fairseq")

READING = {
    "fairseq.checkpoint_utils.load_checkpoint_to_cpu",
    "fairseq.checkpoint_utils.load_ema_from_checkpoint",
    "fairseq.models.build_model",
}
# One of each file's
INSTALLED = {
    "fairseq.distributed.utils._broadcast_object_slow",
    "fairseq.trainer.Trainer.load_checkpoint",
    "fairseq.trainer.Trainer.train_step",
    "fairseq.data.iterators.EpochBatchIterator.__init__",
    "fairseq_cli.train.add_defaults",
    "fairseq.models.build_model",
    "fairseq.tasks.audio_finetuning.AudioFinetuningTask.load_dataset",
    "fairseq.tasks.fairseq_task.FairseqTask.get_batch_iterator",
    "fairseq.checkpoint_utils.torch_persistent_save",
}
SCRIPT = """
import argparse, importlib, json, multiprocessing, os, sys
import fairseq_cli.train, fairseq.trainer, fairseq.tasks.audio_finetuning, fairseq.nan_detector
from fairseq.utils import import_user_module

def functions():
    found = {"sys.excepthook": sys.excepthook}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("fairseq", "fairseq_cli"):
            for key, value in list(vars(module).items()):
                found[f"{name}.{key}"] = value
                if isinstance(value, type) and value.__module__ == name:
                    found.update({f"{name}.{key}.{part}": inner for part, inner in vars(value).items()})
                if callable(value) and hasattr(value, "_buffer"):
                    found[f"{name}.{key}._buffer"] = True
    return found

def load():
    for room in ("models", "tasks"):
        importlib.import_module(f"fairseq_summarymixing.{room}")

def changed(case):
    before = functions()
    if case == "off":
        os.environ["FAIRSEQ_SUMMARYMIXING_PLUGIN"] = "off"
    if case == "script":
        load()
    else:
        import_user_module(argparse.Namespace(user_dir="fairseq_summarymixing"))
    after = functions()
    assert "wav2vec2_summarymixing" in fairseq.models.MODEL_REGISTRY
    compared = [name for name in before if not name.endswith(("__dict__", "__weakref__"))]
    return case, sorted(name for name in compared if before[name] is not after[name])

with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps(dict(pool.map(changed, ("script", "on", "off"), chunksize=1))))
"""


@pytest.fixture(scope="module")
def changed():
    """Names of fairseq's functions that are others after an import by a script, and by fairseq with the plugin on and
    off."""
    process = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return {case: set(names) for case, names in json.loads(process.stdout.splitlines()[-1]).items()}


def test_a_script_that_imports_our_models_changes_only_how_checkpoints_are_read(changed):
    assert changed["script"] == READING


def test_a_command_of_fairseqs_is_guarded_everywhere(changed):
    assert changed["on"] >= READING | INSTALLED


def test_the_switch_leaves_commands_alone(changed):
    assert changed["off"] == READING


def test_another_value_of_the_switch_is_named(monkeypatch):
    from fairseq_summarymixing import plugin
    from fairseq_summarymixing.errors import UserError

    monkeypatch.setenv(plugin.SWITCH, "no")
    with pytest.raises(UserError, match="FAIRSEQ_SUMMARYMIXING_PLUGIN must be on or off; got 'no'"):
        plugin.prepare()


def test_the_page_names_every_file_and_has_a_row_for_those_that_change_something():
    folder = ROOT / "fairseq_summarymixing" / "plugin"
    page = (folder / "README.md").read_text(encoding="utf-8")
    files = {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert set(re.findall(r"`([\w/]+\.py)`", page)) == set(files)
    changing = {name for name, text in files.items() if "def install(" in text} - {"__init__.py"}
    rows = set(re.findall(r"^\| (?:\.\.\. )?`([\w/]+\.py)` \|", page, re.MULTILINE))
    assert len(changing) > 5 and changing <= rows
