"""Is the commit in a record that of the code that was measured?"""

import shutil
import subprocess

import pytest

from fairseq_summarymixing.bench.machine import commit_of, describe_machine

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path):
    """A repository of a package and a script, and the abbreviation of its commit."""
    for name in ("package/__init__.py", "package/sub/module.py", "package/beside.py", "script.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one = 1\n")
    git(tmp_path, "init", "--quiet")
    return tmp_path, commit(tmp_path)


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder):
    git(folder, "add", "package", "script.py")
    git(folder, "commit", "--quiet", "--message", "one")
    return git(folder, "rev-parse", "--short", "HEAD").strip()


def installed(folder):
    """Return a copy of the package in an environment of the checkout, without the file that is installed elsewhere."""
    copy = folder / ".venv/lib/site-packages/package"
    shutil.copytree(folder / "package", copy)
    (copy / "beside.py").unlink()
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__/module.pyc").touch()
    return copy


def test_a_checkout_has_its_commit_and_a_mark_where_the_package_was_changed(checkout):
    folder, head = checkout
    (folder / "script.py").write_text("one = 2\n")
    assert commit_of(folder / "package") == head
    (folder / "package/sub/new.py").touch()
    assert commit_of(folder / "package") == f"{head}+"
    (folder / "package/sub/new.py").unlink()
    (folder / "package/sub/module.py").write_text("one = 2\n")
    assert commit_of(folder / "package") == f"{head}+"


def test_a_copy_has_the_commit_of_a_checkout_that_it_is_equal_to_and_else_none(checkout):
    folder, head = checkout
    copy = installed(folder)
    assert commit_of(copy) == head
    (folder / "package/sub/module.py").write_text("one = 2\n")  # the copy is still of HEAD
    assert commit_of(copy) == head
    assert commit(folder) != head and commit_of(copy) is None


def test_code_that_the_repository_around_it_does_not_hold_has_no_commit(checkout):
    folder, _ = checkout
    (folder / ".venv/lib/site-packages/other").mkdir(parents=True)
    (folder / ".venv/lib/site-packages/other/__init__.py").touch()
    assert commit_of(folder / ".venv/lib/site-packages/other") is None


def test_without_git_there_is_no_commit_and_no_error(monkeypatch, tiny_shapes):
    monkeypatch.setenv("PATH", "")
    assert describe_machine()["commit"] is None
