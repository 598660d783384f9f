import errno
import os

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.data.folder import make_manifests
from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.errors import UserError


def report(out):
    lines = (out / "report.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "path\treason"
    return dict(line.split("\t") for line in lines[1:])


@pytest.fixture
def damaged(corpus, write_tone):
    """The corpus and one file of each kind of damage that a header shows."""
    (corpus / "empty.wav").touch()
    (corpus / "text.wav").write_text("not audio\n" * 100)
    write_tone(corpus / "one_sample.wav", 1 / 16000)
    for name in ("cut.wav", "cut.flac"):
        path = write_tone(corpus / name, 2)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    write_tone(corpus / "tab\tin name.wav")
    write_tone(corpus / "line\nend.wav")
    write_tone(corpus / " space.wav")
    (corpus / "dangling.wav").symlink_to(corpus / "nowhere.wav")
    soundfile.write(corpus / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    return corpus


REASONS = {
    "empty.wav": "empty file",
    "text.wav": "not readable as audio",
    "one_sample.wav": " s, shorter than 0.1 s",
    "cut.wav": "truncated",
    "cut.flac": "truncated",
    "tab\\tin name.wav": "rename it",
    "line\\nend.wav": "rename it",
    " space.wav": "rename it",
    "dangling.wav": "not readable: No such file",
}


@pytest.mark.parametrize("resample", [None, 16000])
def test_bad_files_are_left_out_and_reported_the_others_kept(damaged, tmp_path, resample):
    # cut.wav and cut.flac would share a copy; only one of them is looked into then.
    expected = dict(REASONS)
    if resample:
        expected.update({"nan.wav": "NaN or infinite samples", "cut.wav": "same name as that of cut.flac"})
    summary = make_manifests(damaged, tmp_path / "out", valid_percent=0, resample=resample)
    found = report(tmp_path / "out")
    assert found.keys() == expected.keys()
    for path, reason in expected.items():
        assert reason in found[path]
    kept = read_manifest(tmp_path / "out" / "train.tsv", check_files=True)[1]
    assert len(kept) == (40 if resample else 41)  # a header does not show NaN
    assert f"left out: {len(expected)} of {len(expected) + len(kept)} recordings" in summary


def test_a_name_that_is_not_utf8_is_reported(corpus, tmp_path):
    try:
        os.rename(os.fsencode(corpus / "speaker0" / "000.wav"), os.fsencode(corpus) + b"/\xff.wav")
    except OSError:
        pytest.skip("this file system refuses such names")
    make_manifests(corpus, tmp_path / "out", valid_percent=0)
    assert "not UTF-8" in report(tmp_path / "out")["\\udcff.wav"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_reported(corpus, tmp_path):
    os.chmod(corpus / "speaker3", 0)
    try:
        make_manifests(corpus, tmp_path / "out", valid_percent=0)
    finally:
        os.chmod(corpus / "speaker3", 0o755)
    assert "folder not readable" in report(tmp_path / "out")["speaker3"]


def test_only_bad_files_is_an_error_that_names_one(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.wav").touch()
    with pytest.raises(UserError, match=r"no recording in .* can be used, of 1 \(a.wav: empty file\).*report.tsv"):
        make_manifests(tmp_path / "src", tmp_path / "out")


def test_only_files_of_another_rate_is_an_error_with_the_way_out(tmp_path, write_tone):
    write_tone(tmp_path / "src" / "a.wav", rate=8000)
    with pytest.raises(UserError, match="no recording in .* is at 16000 Hz.*`resample` 16000"):
        make_manifests(tmp_path / "src", tmp_path / "out")


def test_a_full_disk_while_resampling_is_one_clear_line(corpus, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        make_manifests(corpus, tmp_path / "out", resample=16000)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_without_scipy_the_error_names_what_to_install(tmp_path, write_tone, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    monkeypatch.setitem(__import__("sys").modules, "scipy.signal", None)
    write_tone(tmp_path / "src" / "a.wav", rate=8000)
    with pytest.raises(UserError, match=r"pip install 'fairseq-summarymixing\[demo\]'"):
        make_manifests(tmp_path / "src", tmp_path / "out", resample=16000)
