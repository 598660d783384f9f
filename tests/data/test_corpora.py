"""The scripts in manifests/, run as a user runs them."""

import os
from collections import Counter

import pytest
import soundfile

from fairseq_summarymixing.data.manifest import read_manifest

WORDS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]


@pytest.fixture
def librispeech(tmp_path, write_tone):
    corpus = tmp_path / "LibriSpeech"
    for speaker, split in enumerate(("train-clean-100", "train-clean-360", "dev-other", "test-clean"), start=10):
        folder = corpus / split / str(speaker) / "7"
        names = [f"{speaker}-7-{number:04d}" for number in range(3)]
        for name in names:
            write_tone(folder / f"{name}.flac")
        (folder / f"{speaker}-7.trans.txt").write_text("".join(f"{name} HELLO {split[:3].upper()}\n" for name in names))
    return corpus


def test_librispeech_gives_every_split_and_fairseqs_train_and_valid(librispeech, tmp_path, run):
    out = tmp_path / "out"
    result = run("librispeech.py", librispeech, out)
    assert result.returncode == 0, result.stderr
    rows = {path.stem: read_manifest(path, check_files=True)[1] for path in out.glob("*.tsv") if path.stem != "report"}
    assert rows.keys() == {"train-clean-100", "train-clean-360", "dev-other", "test-clean", "train", "valid"}
    assert rows["train"] == rows["train-clean-100"] + rows["train-clean-360"]
    assert rows["valid"] == rows["dev-other"]
    assert rows["test-clean"][0] == ("test-clean/13/7/13-7-0000.flac", 8000)
    assert (out / "valid.ltr").read_text().splitlines() == ["H E L L O | D E V |"] * 3
    assert (out / "train.wrd").read_text().splitlines() == ["HELLO TRA"] * 6
    assert (out / "dict.ltr.txt").read_text().splitlines()[:2] == ["L 24", "| 24"]
    assert "train: 3.0 seconds, 6 recordings" in result.stdout


def test_librispeech_reports_damaged_recordings(librispeech, tmp_path, run):
    (librispeech / "dev-other/12/7/12-7-0001.flac").write_bytes(b"")
    (librispeech / "dev-other/12/7/12-7-0002.flac").unlink()
    result = run("librispeech.py", librispeech, tmp_path / "out", "--train", "train-clean-360")
    assert result.returncode == 0, result.stderr
    assert "left out: 2 recordings" in result.stdout
    assert "12-7-0002.flac\tnot readable: No such file" in (tmp_path / "out" / "report.tsv").read_text()
    assert len(read_manifest(tmp_path / "out" / "valid.tsv")[1]) == 1
    assert len(read_manifest(tmp_path / "out" / "train.tsv")[1]) == 3


def test_what_librispeech_lacks_is_a_one_line_error(librispeech, tmp_path, run):
    for arguments, message in (
        ((tmp_path, tmp_path / "out"), "holds none of train-clean-100"),
        ((librispeech, tmp_path / "out", "--valid", "dev-clean"), "holds no dev-clean, only"),
    ):
        result = run("librispeech.py", *arguments)
        assert result.returncode == 1
        assert message in result.stderr and result.stderr.count("\n") == 1
    (librispeech / "dev-other/12/7/12-7.trans.txt").unlink()
    assert "unpack it again" in run("librispeech.py", librispeech, tmp_path / "out").stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def digits(tmp_path, write_tone):
    pytest.importorskip("scipy")
    for speaker in ("ann", "ben", "nicolas", "lucas"):
        for number in range(30):
            write_tone(tmp_path / "fsdd" / f"{number % 10}_{speaker}_{number // 10}.wav", 0.1 + number / 1000, 8000)
    return tmp_path / "fsdd"


def test_digits_are_joined_each_recording_once_with_two_speakers_held_out(digits, tmp_path, run):
    out = tmp_path / "out"
    result = run("spoken_digits.py", digits, out)
    assert result.returncode == 0, result.stderr
    spoken, speakers = Counter(), {}
    for split in ("train", "valid", "test"):
        root, rows = read_manifest(out / f"{split}.tsv", check_files=True)
        speakers[split] = {path.split("/")[0] for path, _ in rows}
        texts = (out / f"{split}.wrd").read_text().splitlines()
        assert len(texts) == len(rows)
        for (path, frames), text in zip(rows, texts):
            info = soundfile.info(os.path.join(root, path))
            assert (info.frames, info.samplerate) == (frames, 16000)
            assert len(text.split()) <= 8
            # Each digit lasts 0.1 to 0.13 s, each pause 0.05 to 0.3 s.
            count = len(text.split())
            assert count * 0.1 + (count + 1) * 0.05 - 0.01 <= info.duration <= count * 0.13 + (count + 1) * 0.3
            spoken.update(text.split())
    assert spoken == {word: 12 for word in WORDS}
    assert speakers["test"] == {"lucas", "nicolas"}
    assert speakers["train"] == {"ann", "ben"} and speakers["valid"] <= {"ann", "ben"}
    assert all(len(text.split()) >= 3 for text in (out / "test.wrd").read_text().splitlines())


def test_the_seed_decides_and_passes_join_the_training_recordings_again(digits, tmp_path, run):
    for out, seed, passes in (("a", 1, 1), ("b", 1, 1), ("c", 2, 1), ("d", 1, 3)):
        assert run("spoken_digits.py", digits, tmp_path / out, "--seed", seed, "--passes", passes).returncode == 0
    read = {out: (tmp_path / out / "train.wrd").read_text() for out in "abcd"}
    assert read["a"] == read["b"] != read["c"]
    assert (tmp_path / "d" / "test.tsv").read_text().replace("/d/", "/a/") == (tmp_path / "a" / "test.tsv").read_text()
    assert len(read["d"].split()) == 3 * len(read["a"].split())
    name = "ann/" + os.listdir(tmp_path / "a" / "audio" / "ann")[0]
    assert (tmp_path / "a" / "audio" / name).read_bytes() == (tmp_path / "b" / "audio" / name).read_bytes()


def test_what_is_wrong_with_digits_is_a_one_line_error(digits, tmp_path, run):
    (digits / "1_ben_0.wav").write_bytes(b"")
    for arguments, message in (
        ((tmp_path,), "holds no files named like"),
        ((digits, "--held-out", "zoe"), "must be some, not all, of the speakers ann,ben,lucas,nicolas"),
        ((digits, "--held-out", "ann,ben,lucas,nicolas"), "must be some, not all"),
        ((digits, "--seed", "-1"), "--seed must be from 0"),
        ((digits, "--passes", "0"), "--passes must be 1 or more"),
        ((digits, "--valid-percent", "100"), "--valid-percent"),
        ((digits,), "1_ben_0.wav: "),
    ):
        result = run("spoken_digits.py", arguments[0], tmp_path / "out", *arguments[1:])
        assert result.returncode == 1
        assert message in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "train.tsv").exists()
