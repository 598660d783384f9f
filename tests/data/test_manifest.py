import errno
import os
import time

import pytest

from fairseq_summarymixing.data.manifest import Row, read_manifest, write_splits
from fairseq_summarymixing.errors import UserError


def manifest(tmp_path, *rows, root=None):
    path = tmp_path / "train.tsv"
    path.write_text("\n".join([str(root or tmp_path), *rows]) + "\n", encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path):
    rows = [Row("é/a b.wav", 5), Row("z.flac", 7)]
    write_splits(tmp_path / "out", tmp_path, {"train": rows})
    assert read_manifest(tmp_path / "out" / "train.tsv") == (str(tmp_path), [("é/a b.wav", 5), ("z.flac", 7)])
    assert sorted(os.listdir(tmp_path / "out")) == ["train.tsv"]


def test_labels_stand_line_by_line_beside_the_recordings(tmp_path):
    splits = {"train": [Row("a.wav", 1, "HI YOU"), Row("b.wav", 1, "I")], "valid": [Row("c.wav", 1, "OH")]}
    write_splits(tmp_path, tmp_path, splits)
    assert (tmp_path / "train.wrd").read_text() == "HI YOU\nI\n"
    assert (tmp_path / "train.ltr").read_text() == "H I | Y O U |\nI |\n"
    assert (tmp_path / "valid.ltr").read_text() == "O H |\n"
    assert (tmp_path / "dict.ltr.txt").read_text() == "| 4\nH 2\nI 2\nO 2\nU 1\nY 1\n"


def test_a_recording_in_two_splits_counts_once_in_the_dictionary(tmp_path):
    rows = [Row("a.wav", 1, "A")]
    write_splits(tmp_path, tmp_path, {"train": rows, "train-clean-100": rows})
    assert (tmp_path / "dict.ltr.txt").read_text() == "A 1\n| 1\n"


@pytest.mark.parametrize("rows", [[Row("a.wav", 1, "A"), Row("b.wav", 1)], [Row("a\tb.wav", 1)], [Row("a\n.wav", 1)]])
def test_rows_that_would_break_the_format_are_refused_before_anything_is_written(tmp_path, rows):
    with pytest.raises(UserError):
        write_splits(tmp_path / "out", tmp_path, {"train": rows})
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_every_old_manifest_and_no_new_one(tmp_path, monkeypatch):
    write_splits(tmp_path, tmp_path, {"train": [Row("old.wav", 1)], "valid": [Row("old.wav", 1)]})
    calls = []

    def full_at_the_second_file(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_second_file)
    with pytest.raises(UserError, match="No space left on device"):
        write_splits(tmp_path, tmp_path, {"train": [Row("new.wav", 1)], "valid": [Row("new.wav", 1)]})
    assert sorted(os.listdir(tmp_path)) == ["train.tsv", "valid.tsv"]
    assert read_manifest(tmp_path / "train.tsv")[1] == read_manifest(tmp_path / "valid.tsv")[1] == [("old.wav", 1)]


@pytest.mark.parametrize(
    "row, reason",
    [
        ("a.wav", "two fields; found 1"),
        ("", "two fields; found 1"),
        ("a.wav 12", "two fields; found 1"),
        ("a.wav\t12\t13", "two fields; found 3"),
        ("a.wav\ttwelve", "positive number of frames; found 'twelve'"),
        ("a.wav\t12.0", "positive number of frames"),
        ("a.wav\t0", "positive number of frames"),
        ("a.wav\t-5", "positive number of frames"),
        ("a.wav\t1000000000000000", "at most 68719476736 frames, as FLAC files hold; found 1000000000000000 for a.wav"),
        ("a.wav\t" + "9" * 5000, "at most 68719476736 frames"),
        ("/data/a.wav\t12", "absolute /data/a.wav"),
        ("x.zip:12\t12", "file.zip:offset:length"),
        ("x.zip:12:b\t12", "file.zip:offset:length"),
    ],
)
def test_a_damaged_row_is_refused_with_file_line_and_reason(tmp_path, row, reason):
    path = manifest(tmp_path, "good.wav\t12", row, "other.wav\t12")
    with pytest.raises(UserError, match=reason) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert "\n" not in str(caught.value)


def test_a_row_may_stand_there_several_times(tmp_path):
    path = manifest(tmp_path, *["a.wav\t12", "b.wav\t7"] * 2)
    assert read_manifest(path)[1] == [("a.wav", 12), ("b.wav", 7)] * 2


def test_the_forms_that_fairseq_reads_are_accepted(tmp_path):
    path = manifest(tmp_path, "deep/a.wav\t12", "x.zip:30:4000\t12", "../up.flac\t3")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_manifest(path)[1] == [("deep/a.wav", 12), ("x.zip:30:4000", 12), ("../up.flac", 3)]


@pytest.mark.parametrize("content, reason", [("", ":1: expected the folder"), ("\n", ":1: expected the folder")])
def test_an_empty_manifest_is_refused(tmp_path, content, reason):
    (tmp_path / "train.tsv").write_text(content)
    with pytest.raises(UserError, match=reason):
        read_manifest(tmp_path / "train.tsv")


def test_a_manifest_without_rows_without_its_root_or_not_text_is_refused(tmp_path):
    with pytest.raises(UserError, match="no rows"):
        read_manifest(manifest(tmp_path))
    with pytest.raises(UserError, match=":1: the folder .*gone does not exist"):
        read_manifest(manifest(tmp_path, "a.wav\t1", root=tmp_path / "gone"))
    with pytest.raises(UserError, match="there is no manifest .*none.tsv"):
        read_manifest(tmp_path / "none.tsv")
    (tmp_path / "train.tsv").write_bytes(b"RIFF\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_manifest(tmp_path / "train.tsv")


def test_missing_files_are_found_when_asked_for(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "x.zip").touch()
    path = manifest(tmp_path, "a.wav\t1", "x.zip:0:4\t1", "b.wav\t1")
    assert len(read_manifest(path)[1]) == 3
    with pytest.raises(UserError, match=":4: the file .*b.wav does not exist"):
        read_manifest(path, check_files=True)


def test_a_hundred_thousand_rows_take_well_under_a_second(tmp_path):
    path = manifest(tmp_path, *(f"speaker/{number}.flac\t16000" for number in range(100_000)))
    started = time.perf_counter()
    read_manifest(path)
    assert time.perf_counter() - started < 2  # a loaded machine included
