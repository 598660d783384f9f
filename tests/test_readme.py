"""Does what README.md and its kin show run, and is what they name there?"""

import re

import checkpoint_files
import pytest
from tiny import ROOT

from fairseq_summarymixing.modules import build

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("examples/**/*.md")),
    ROOT / "fairseq_summarymixing/plugin/README.md",
    ROOT / "manifests/README.md",
    ROOT / "tests/README.md",
]
LAYER, CHECKPOINT = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_layer_is_used_as_shown():
    shown = {}
    exec(LAYER, shown)
    assert shown["h"].shape == (2, 1000, 768)


def test_a_checkpoint_is_loaded_as_shown(tmp_path):
    path = checkpoint_files.pretrained(tmp_path / "checkpoint.pt", "summary_mixing")
    shown = {}
    exec(CHECKPOINT.replace("RUN/checkpoints/checkpoint_best.pt", str(path)), shown)
    assert shown["features"].shape == (1, 49, 32)
    assert [state.shape for state in shown["hidden_states"]] == [(1, 49, 32)] * 3


def test_a_mixer_is_a_line_in_the_table_as_shown():
    name, line = re.search(r'"(\w+)": (Part\(.*\)),', README).groups()
    shown, found = eval(line, vars(build)), build.MIXERS[name]
    assert (shown.kind, shown.arguments) == (found.kind, found.arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_recipes_that_are_named_are_there(page):
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for folder, name in re.findall(r"--config-dir (?:\$PWD/)?(\S+) +--config-name (\w+)", text):
        assert (ROOT / folder / f"{name}.yaml").exists(), name


def test_readme_is_read_in_one_sitting():
    assert len(README.splitlines()) <= 200
