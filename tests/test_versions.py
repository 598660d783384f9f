"""Does the package install beside what it was tested with, and not beside what nobody has tried?"""

import importlib.metadata
import re

import pytest
from tiny import ROOT

Requirement = pytest.importorskip("packaging.requirements", reason="packaging is not installed").Requirement
WORLDS = {"constraints.txt": "3.11", "constraints-legacy.txt": "3.10"}
BOUNDED = {"torch", "omegaconf", "hydra-core", "transformers", "numpy"}
EXTRAS = ("", "demo", "report", "hf", "onnx", "lm", "dev")


def declared(python):
    """What setup.py asks for on a version of Python, extras included: [(name, versions)]."""
    found = [Requirement(requirement) for requirement in importlib.metadata.requires("fairseq-summarymixing")]
    environments = [{"python_version": python, "extra": extra} for extra in EXTRAS]
    return [
        (requirement.name, requirement.specifier)
        for requirement in found
        if requirement.marker is None or any(requirement.marker.evaluate(environment) for environment in environments)
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_every_tested_version_is_admitted(world):
    tested = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / world).read_text(encoding="utf-8"), re.MULTILINE))
    asked = [(name, versions) for name, versions in declared(WORLDS[world]) if name in tested]
    assert {"torch", "numpy", "omegaconf", "hydra-core"} <= {name for name, _ in asked}
    refused = [f"{name}=={tested[name]}, {versions}" for name, versions in asked if tested[name] not in versions]
    assert not refused


@pytest.mark.parametrize("python", WORLDS.values())
def test_what_the_plugin_leans_on_has_an_upper_bound(python):
    bounded = {name for name, versions in declared(python) if "999" not in versions}
    assert bounded >= BOUNDED


def test_readme_installs_first_what_setup_py_admits():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"pip install (.*) cython setuptools wheel", readme)[1]
    versions = dict(declared("3.11"))
    for requirement in map(Requirement, first.replace("'", "").split()):
        assert set(requirement.specifier) <= set(versions[requirement.name])
    legacy = re.search(r"pip install 'pip<24\.1' '(torch==\S+)'", readme)[1]
    assert str(Requirement(legacy).specifier)[2:] in dict(declared("3.10"))["torch"]
    assert importlib.metadata.metadata("fairseq-summarymixing")["Requires-Python"] == ">=3.9"
    assert "On Python 3.9 and 3.10" in readme
