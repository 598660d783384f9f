"""Are the names of what is compared short and different?"""

import pytest

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.unique_names import unique_names


@pytest.mark.parametrize(
    "paths, names",
    [
        (["runs/a", "runs/b"], ["a", "b"]),
        (["a/run", "b/run"], ["a/run", "b/run"]),
        (["a/last.pt", "b/last.pt"], ["a/last", "b/last"]),
        (["a/x/last.pt", "a/y/last.pt", "b/best.pt"], ["x/last", "y/last", "b/best"]),
    ],
)
def test_names_are_as_much_of_the_ends_of_paths_as_makes_them_differ(paths, names):
    assert unique_names("run", paths) == names


def test_files_that_differ_in_the_ending_alone_have_whole_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert unique_names("run", ["a.pt", "a.bin"]) == [str(tmp_path / "a.pt"), str(tmp_path / "a.bin")]


def test_what_follows_a_dot_in_a_folders_name_is_no_ending(tmp_path):
    for name in ("model-1.0", "model-1.5"):
        (tmp_path / name).mkdir()
    assert unique_names("checkpoint", sorted(tmp_path.iterdir())) == ["model-1.0", "model-1.5"]


def test_given_names_are_used():
    assert unique_names("run", ["a", "b"], ["x", " y"]) == ["x", "y"]


@pytest.mark.parametrize("names", [["x"], ["x", "x"], ["x", " "], ["x", "y", "z"]])
def test_names_that_are_not_one_for_each_are_refused(names):
    with pytest.raises(UserError, match="`names`: expected 2 names, one of its own for each run, .* got x"):
        unique_names("run", ["a", "b"], names)


def test_a_path_given_twice_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(UserError, match="the run .*link is given twice; name each once"):
        unique_names("run", [tmp_path / "link", tmp_path / "run"])


def test_nothing_to_name_is_refused():
    with pytest.raises(UserError, match="there is no checkpoint: name one or more"):
        unique_names("checkpoint", [])
