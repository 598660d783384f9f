"""Does each part import without what it must not know?"""

import subprocess
import sys

import pytest
from tiny import ROOT

BLOCK = """
import importlib, pkgutil, sys
for name in {blocked!r}:
    sys.modules[name] = None
package = importlib.import_module("fairseq_summarymixing.{part}")
for module in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
    importlib.import_module(module.name)
"""

MUST_NOT_IMPORT = {
    "modules": ["fairseq", "transformers", "soundfile", "fairseq_summarymixing.models", "fairseq_summarymixing.tasks",
                "fairseq_summarymixing.data", "fairseq_summarymixing.cli"],
    "data": ["fairseq", "transformers", "torch", "scipy", "espeakng_loader", "fairseq_summarymixing.modules",
             "fairseq_summarymixing.cli"],
    "models": ["transformers", "fairseq_summarymixing.tasks", "fairseq_summarymixing.converters",
               "fairseq_summarymixing.cli"],
    "tasks": ["transformers", "fairseq_summarymixing.models", "fairseq_summarymixing.cli"],
    "hf": ["fairseq", "omegaconf", "fairseq_summarymixing.models", "fairseq_summarymixing.converters",
           "fairseq_summarymixing.cli"],
    "converters": ["fairseq_summarymixing.cli"],
    "checkpoints": ["fairseq", "transformers", "fairseq_summarymixing.models", "fairseq_summarymixing.modules",
                    "fairseq_summarymixing.cli"],
    "downstream": ["transformers", "fairseq_summarymixing.cli"],
    "compare": ["transformers", "matplotlib", "fairseq_summarymixing.cli"],
    "cli": ["fairseq", "transformers", "torch", "numpy", "soundfile"],
}  # fmt: skip


@pytest.mark.parametrize("part", MUST_NOT_IMPORT)
def test_part_imports_without_what_it_must_not_know(part):
    needs_fairseq = "fairseq" not in MUST_NOT_IMPORT[part]
    if needs_fairseq:
        pytest.importorskip("fairseq", reason=f"{part} is built on fairseq")
    if part in ("hf", "converters"):
        pytest.importorskip("transformers", reason="the hf extra is not installed")
    code = BLOCK.format(blocked=MUST_NOT_IMPORT[part], part=part)
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, fairseq_summarymixing; print([m for m in ('torch', 'fairseq', 'numpy') if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.stdout.strip() == "[]"
