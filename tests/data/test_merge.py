"""Several corpora as one, each with its weight, and labels and trials that go with a manifest."""

import pytest

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.data.labels import read_labels, read_trials
from fairseq_summarymixing.data.manifest import Row, Trial, read_manifest, write_splits
from fairseq_summarymixing.data.merge import merge_manifests
from fairseq_summarymixing.errors import UserError


@pytest.fixture
def two(tmp_path):
    """Folders of manifests A and B, with roots audio/a and audio/b."""
    for name, texts in (("a", ["HI YOU", "OH"]), ("b", ["SO"])):
        root = tmp_path / "audio" / name
        root.mkdir(parents=True)
        rows = [Row(f"s/{number}.wav", 16000 + number, text) for number, text in enumerate(texts)]
        for row in rows:
            (root / "s").mkdir(exist_ok=True)
            (root / row.path).touch()
        write_splits(tmp_path / name.upper(), root, {"train": rows, "valid": rows[:1]})
        (tmp_path / name.upper() / "valid.trials").write_text("0\ts/0.wav\ts/0.wav\n")
    (tmp_path / "A" / "report.tsv").write_text("path\treason\n")
    return tmp_path


def test_rows_are_repeated_by_their_corpus_weight_in_training_alone(two, capsys):
    assert main(["manifest", "merge", f"{two}/A=2", f"{two}/B=3", f"{two}/out"]) == 0
    root, train = read_manifest(two / "out" / "train.tsv", check_files=True)
    assert root == str(two / "audio")
    a, b = [("a/s/0.wav", 16000), ("a/s/1.wav", 16001)], [("b/s/0.wav", 16000)]
    assert train == a * 2 + b * 3
    assert (two / "out" / "train.wrd").read_text().splitlines() == ["HI YOU", "OH"] * 2 + ["SO"] * 3
    assert (two / "out" / "train.ltr").read_text().splitlines()[1::5] == ["O H |", "S O |"]
    assert read_manifest(two / "out" / "valid.tsv")[1] == a[:1] + b
    assert read_trials(two / "out" / "valid.tsv", ["a/s/0.wav", "b/s/0.wav"]) == [
        Trial(False, "a/s/0.wav", "a/s/0.wav"),
        Trial(False, "b/s/0.wav", "b/s/0.wav"),
    ]
    # A recording counts once, whatever its weight
    assert (two / "out" / "dict.ltr.txt").read_text() == "| 4\nO 3\nH 2\nI 1\nS 1\nU 1\nY 1\n"
    assert not (two / "out" / "report.tsv").exists()
    assert f"train: 7 rows: 2 x 2 of {two}/A" in capsys.readouterr().out


def test_labels_that_not_all_have_are_left_out_and_reported(two, capsys):
    (two / "A" / "train.phn").write_text("h\nou\n")
    (two / "B" / "valid.wrd").unlink()
    merge_manifests([(two / "A", 1), (two / "B", 1)], two / "out")
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {name} is left out: {two}/B has {name[:5]}.tsv without it; to keep it, write {two}/B/{name}, a line "
        "for each row, empty where there is no label"
        for name in ("train.phn", "valid.wrd")
    ]
    assert not (two / "out" / "train.phn").exists() and (two / "out" / "train.ltr").exists()


def test_a_corpus_without_transcripts_does_not_take_the_dictionary_of_the_others(two):
    for path in [path for path in (two / "B").iterdir() if path.name != "valid.tsv"]:
        path.unlink()
    merge_manifests([(two / "A", 1), (two / "B", 1)], two / "out")
    assert (two / "out" / "train.ltr").exists() and not (two / "out" / "valid.ltr").exists()
    assert (two / "out" / "dict.ltr.txt").read_text() == (two / "A" / "dict.ltr.txt").read_text()


def test_a_dictionary_that_not_all_have_is_left_out_and_reported(two, capsys):
    (two / "B" / "dict.ltr.txt").unlink()
    merge_manifests([(two / "A", 1), (two / "B", 1)], two / "out")
    assert (two / "out" / "train.ltr").exists() and not (two / "out" / "dict.ltr.txt").exists()
    assert f"warning: dict.ltr.txt is left out, without which fairseq does not train on ltr: there is no {two}/B/" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "corpora, out, message",
    [
        (["A"], "out", "two folders or more"),
        (["A", "B"], "A", "is one of the folders"),
        (["A", "none"], "out", "there is no folder .*none"),
        (["A", "audio"], "out", "audio holds no manifest"),
        (["A", "B"], "old", "holds test.tsv"),
        (["A", "short"], "out", "train.ltr has 1 line but .*train.tsv has 2 rows"),
        (["A", "odd"], "out", "dict.ltr.txt:1: expected 'symbol count'"),
    ],
)
def test_what_cannot_be_merged_is_one_clear_line(two, corpora, out, message):
    write_splits(two / "old", two, {"test": [Row("x.wav", 1)]})
    rows = [Row("x.wav", 1, "A"), Row("y.wav", 1, "B")]
    for folder in ("short", "odd"):
        write_splits(two / folder, two, {"train": rows})
    (two / "short" / "train.ltr").write_text("A |\n")
    (two / "odd" / "dict.ltr.txt").write_text("A\n")
    with pytest.raises(UserError, match=message):
        merge_manifests([(two / folder, 1) for folder in corpora], two / out)
    assert not (two / "out").exists()


@pytest.mark.parametrize("argument", ["A=0", "A=1.5", "A=-1", "A="])
def test_a_weight_is_a_whole_number(two, argument, capsys):
    with pytest.raises(SystemExit):
        main(["manifest", "merge", f"{two}/{argument}", f"{two}/B", f"{two}/out"])
    assert "a whole number from 1" in capsys.readouterr().err


def test_labels_and_trials_are_read_back(tmp_path):
    rows = [
        Row("a.wav", 1, label="caffe latte"),
        Row("b c.wav", 1, label="mocha"),
        Row("a.wav", 1, label="caffe latte"),
    ]
    trials = [Trial(True, "a.wav", "a.wav"), Trial(False, "a.wav", "b c.wav")]
    write_splits(tmp_path, tmp_path, {"test": rows}, trials={"test": trials})
    manifest = tmp_path / "test.tsv"
    assert read_labels(manifest, "cls", 3) == ["caffe_latte", "mocha", "caffe_latte"]
    assert (tmp_path / "dict.cls.txt").read_text() == "caffe_latte 1\nmocha 1\n"
    assert read_trials(manifest, [row.path for row in rows]) == trials
    with pytest.raises(UserError, match="test.cls has 3 lines but .* has 2 rows"):
        read_labels(manifest, "cls", 2)
    with pytest.raises(UserError, match="there are no labels .*test.ltr"):
        read_labels(manifest, "ltr", 3)
    for line, message in (("2\ta.wav\ta.wav", "expected '0 or 1"), ("1\ta.wav\tz.wav", "z.wav is not in")):
        (tmp_path / "test.trials").write_text(f"1\ta.wav\ta.wav\r\n{line}\r\n")
        with pytest.raises(UserError, match=f"test.trials:2: .*{message}"):
            read_trials(manifest, ["a.wav"])
    with pytest.raises(UserError, match="a trial of test names z.wav"):
        write_splits(tmp_path, tmp_path, {"test": rows}, trials={"test": [Trial(True, "z.wav", "a.wav")]})
    with pytest.raises(UserError, match="b.wav has no label, other recordings have one"):
        write_splits(tmp_path, tmp_path, {"test": [rows[0], Row("b.wav", 1)]})


def test_a_folder_that_is_named_twice_is_refused(tmp_path):
    """Its test split would be twice as large."""
    with pytest.raises(UserError, match="one is named more than once: give it once, as .*one=2"):
        merge_manifests([(tmp_path / "one", 1), (tmp_path / "two" / ".." / "one", 1)], tmp_path / "out")
