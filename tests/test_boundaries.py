"""Does each part import without what it must not know?"""

import ast
import subprocess
import sys

import pytest
from tiny import ROOT

PACKAGE = ROOT / "fairseq_summarymixing"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())

BLOCK = """
import importlib, pkgutil, sys
for name in {blocked!r}:
    sys.modules[name] = None
package = importlib.import_module("fairseq_summarymixing.{part}")
for module in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
    importlib.import_module(module.name)
"""

# Packages that each part imports without
MUST_NOT_IMPORT = {
    "modules": ["fairseq", "transformers", "soundfile"],
    "checkpoints": ["fairseq", "transformers"],
    "data": ["fairseq", "transformers", "torch", "scipy", "espeakng_loader"],
    "models": ["transformers"],
    "tasks": ["transformers"],
    "plugin": ["transformers"],
    "hf": ["fairseq", "omegaconf"],
    "downstream": ["transformers"],
    "compare": ["transformers", "matplotlib"],
    "bench": ["fairseq", "transformers", "matplotlib", "omegaconf", "numpy", "tqdm", "soundfile"],
    "cli": ["fairseq", "transformers", "torch", "numpy", "soundfile"],
}
# Who may import whom of our own rooms, wherever the import stands; all may import the files at the top but cli
MAY_IMPORT = {
    "modules": [],
    "data": [],
    "checkpoints": [],
    "plugin": ["checkpoints", "data", "modules"],
    "models": ["checkpoints", "modules", "plugin"],
    "tasks": ["checkpoints", "data", "modules", "plugin"],
    "hf": ["checkpoints", "modules"],
    "downstream": ["checkpoints", "data", "integrations", "models", "modules", "plugin", "tasks"],
    "converters": ["checkpoints", "downstream", "hf", "models", "modules", "plugin", "tasks"],
    "integrations": ["checkpoints", "hf"],
    "compare": ["checkpoints"],
    "bench": ["modules"],
}


@pytest.mark.parametrize("part", MUST_NOT_IMPORT)
def test_part_imports_without_what_it_must_not_know(part):
    needs_fairseq = part in ("models", "tasks", "plugin", "downstream")
    if needs_fairseq:
        pytest.importorskip("fairseq", reason=f"{part} is built on fairseq")
    if part == "hf":
        pytest.importorskip("transformers", reason="the hf extra is not installed")
    code = BLOCK.format(blocked=MUST_NOT_IMPORT[part], part=part)
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_no_room_but_those_below_it(room):
    found = {name for path in (PACKAGE / room).rglob("*.py") for name in imported(path)} - {room}
    assert found & {*ROOMS, "cli", "__main__"} <= set(MAY_IMPORT[room])


def test_rooms_that_may_not_import_each_other_mean_one_sample_rate():
    from fairseq_summarymixing.data.audio import SAMPLE_RATE
    from fairseq_summarymixing.modules import log_mel

    assert log_mel.SAMPLE_RATE == SAMPLE_RATE


def test_the_method_is_read_in_one_page_that_needs_no_other_file_of_ours():
    path = PACKAGE / "modules" / "summary_mixing.py"
    assert not list(imported(path))
    assert len(path.read_text(encoding="utf-8").splitlines()) < 120


def imported(path):
    """Rooms and files of this package that a file imports, at its top or inside a function, by name or relatively."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Constant) and str(node.value).startswith(f"{PACKAGE.name}."):  # of import_module
            names = [node.value.split(".")]
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                here = path.relative_to(ROOT).with_suffix("").parts
                module = [*here[: len(here) - node.level], *module]
            names = [[*module, alias.name] for alias in node.names]
        for name in names:
            if name[0] == PACKAGE.name and len(name) > 1:
                yield name[1]


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, fairseq_summarymixing; print([m for m in ('torch', 'fairseq', 'numpy') if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.stdout.strip() == "[]"
