import os
import shutil

import pytest
import soundfile

from fairseq_summarymixing.data.folder import make_manifests
from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.errors import UserError, duration

HALF = {"valid_percent": 30, "test_percent": 20}


def paths(out, split):
    return [path for path, _ in read_manifest(out / f"{split}.tsv", check_files=True)[1]]


def contents(out, root):
    """What is in the manifests and the copies, without the root folder's own name."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes().replace(os.fsencode(root), b"ROOT") for path in files}


@pytest.mark.parametrize(
    "seconds, text", [(0, "0.0 seconds"), (6.12, "6.1 seconds"), (90, "1.5 minutes"), (3690, "1.02 hours")]
)
def test_a_length_is_given_in_a_unit_of_its_size(seconds, text):
    assert duration(seconds) == text


def test_each_recording_is_in_one_split_sorted_with_its_native_frames(corpus, tmp_path):
    summary = make_manifests(corpus, tmp_path / "out", **HALF)
    found = [paths(tmp_path / "out", split) for split in ("train", "valid", "test")]
    assert all(split == sorted(split) for split in found)
    assert sorted(found[0] + found[1] + found[2]) == sorted(
        f"speaker{number % 8}/{number:03d}.wav" for number in range(40)
    )
    root, rows = read_manifest(tmp_path / "out" / "train.tsv")
    assert root == str(corpus)
    assert all(frames == soundfile.info(os.path.join(root, path)).frames for path, frames in rows)
    assert f"train: 6.1 seconds, {len(found[0])} recordings" in summary
    assert "left out: 0 of 40 recordings" in summary


def test_running_again_and_elsewhere_and_in_more_threads_gives_the_same_bytes(corpus, tmp_path):
    make_manifests(corpus, tmp_path / "out", workers=1, **HALF)
    first = contents(tmp_path / "out", corpus)
    make_manifests(corpus, tmp_path / "out", workers=5, **HALF)
    assert contents(tmp_path / "out", corpus) == first
    shutil.copytree(corpus, tmp_path / "moved")
    make_manifests(tmp_path / "moved", tmp_path / "out2", **HALF)
    assert contents(tmp_path / "out2", tmp_path / "moved") == first


def test_new_recordings_do_not_move_old_ones_to_another_split(corpus, tmp_path, write_tone):
    make_manifests(corpus, tmp_path / "out", **HALF)
    before = {split: set(paths(tmp_path / "out", split)) for split in ("train", "valid", "test")}
    for number in range(20):
        write_tone(corpus / "new" / f"{number}.wav")
    make_manifests(corpus, tmp_path / "out", **HALF)
    assert all(before[split] <= set(paths(tmp_path / "out", split)) for split in before)


def test_by_speaker_no_speaker_is_in_two_splits(corpus, tmp_path):
    summary = make_manifests(corpus, tmp_path / "out", split_by="speaker", valid_percent=45)
    train, valid = ({path.split("/")[0] for path in paths(tmp_path / "out", split)} for split in ("train", "valid"))
    assert not train & valid
    assert len(train | valid) == 8
    assert f"{len(train)} speakers" in summary


def test_the_speaker_may_be_anywhere_in_the_path(tmp_path, write_tone):
    for speaker in range(12):
        for number in range(2):
            write_tone(tmp_path / "flat" / f"{number}_s{speaker}.wav")
    write_tone(tmp_path / "flat" / "nobody.wav")
    make_manifests(tmp_path / "flat", tmp_path / "out", split_by="speaker", speaker_regex=r"_(s\d+)", valid_percent=40)
    train, valid = ({path.split("_")[1] for path in paths(tmp_path / "out", split)} for split in ("train", "valid"))
    assert not train & valid
    assert "nobody.wav\tno speaker" in (tmp_path / "out" / "report.tsv").read_text()


def test_a_table_of_transcripts_makes_labels_and_unlabelled_recordings_are_reported(corpus, tmp_path):
    lines = [f"{number:03d}\tword {number}" for number in range(39)] + ["nothing\tnobody said this"]
    (tmp_path / "table.tsv").write_text("\n".join(lines))
    summary = make_manifests(corpus, tmp_path / "out", valid_percent=40, transcripts=tmp_path / "table.tsv")
    for split in ("train", "valid"):
        words = (tmp_path / "out" / f"{split}.wrd").read_text().splitlines()
        letters = (tmp_path / "out" / f"{split}.ltr").read_text().splitlines()
        numbers = [int(path.split("/")[1][:-4]) for path in paths(tmp_path / "out", split)]
        assert words == [f"word {number}" for number in numbers]
        assert letters == [f"w o r d | {' '.join(str(number))} |" for number in numbers]
    assert (tmp_path / "out" / "dict.ltr.txt").read_text().startswith("| 78\nd 39\no 39\nr 39\nw 39\n")
    report = (tmp_path / "out" / "report.tsv").read_text()
    assert "speaker7/039.wav\tno transcript\n" in report
    assert "nothing\ttranscript without a recording\n" in report
    assert "left out: 1 of 40" in summary and "1 other line there" in summary


def test_sidecar_texts_make_labels(corpus, tmp_path):
    for path in corpus.rglob("*.wav"):
        path.with_suffix(".txt").write_text(f"hello\n{path.stem}\n")
    (corpus / "speaker0" / "000.txt").write_bytes(b"\xff\xff")
    (corpus / "speaker0" / "008.txt").write_text("a|b")
    (corpus / "speaker0" / "016.txt").write_text(" \n")
    make_manifests(corpus, tmp_path / "out", valid_percent=0, transcripts="sidecar")
    assert (tmp_path / "out" / "train.wrd").read_text().splitlines()[0] == "hello 024"
    report = (tmp_path / "out" / "report.tsv").read_text()
    for line in (
        "000.wav\tits transcript: ",
        "008.wav\tits transcript contains '|'",
        "016.wav\tno transcript",
    ):
        assert f"speaker0/{line}" in report


def test_resampling_writes_16_khz_mono_copies_once(tmp_path, write_tone):
    pytest.importorskip("scipy")
    write_tone(tmp_path / "src" / "a.wav", 1, 8000)
    write_tone(tmp_path / "src" / "b.wav", 1, 44100, channels=2)
    write_tone(tmp_path / "src" / "c.flac", 1, 16000)
    options = {"resample": 16000, "valid_percent": 0}
    make_manifests(tmp_path / "src", tmp_path / "out", **options)
    root, rows = read_manifest(tmp_path / "out" / "train.tsv", check_files=True)
    assert root == str(tmp_path / "out" / "audio")
    assert rows == [("a.flac", 16000), ("b.flac", 16000), ("c.flac", 16000)]
    infos = [soundfile.info(os.path.join(root, path)) for path, _ in rows]
    assert {(info.samplerate, info.channels, info.subtype) for info in infos} == {(16000, 1, "PCM_16")}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "audio").glob("*.flac")}
    manifest = (tmp_path / "out" / "train.tsv").read_bytes()
    write_tone(tmp_path / "src" / "d.wav", 1, 8000)
    make_manifests(tmp_path / "src", tmp_path / "out", **options)
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    assert (tmp_path / "out" / "train.tsv").read_bytes() == manifest + b"d.flac\t16000\n"


def test_the_split_is_the_same_with_and_without_resampling(corpus, tmp_path):
    make_manifests(corpus, tmp_path / "out", valid_percent=40)
    make_manifests(corpus, tmp_path / "out2", valid_percent=40, resample=16000)
    stems = [
        [path[:-4] for path in paths(tmp_path / "out", "valid")],
        [path[:-5] for path in paths(tmp_path / "out2", "valid")],
    ]
    assert stems[0] == stems[1]


def test_other_rates_are_left_out_with_what_to_do(corpus, tmp_path, write_tone):
    write_tone(corpus / "slow.wav", rate=8000)
    write_tone(corpus / "wide.wav", channels=2)
    make_manifests(corpus, tmp_path / "out", valid_percent=0)
    assert "wide.wav" in paths(tmp_path / "out", "train")
    assert "slow.wav" not in paths(tmp_path / "out", "train")
    assert "slow.wav\t8000 Hz" in (tmp_path / "out" / "report.tsv").read_text()
    assert "fairseq needs 16000: resample it" in (tmp_path / "out" / "report.tsv").read_text()


def test_length_limits_leave_out_what_is_outside(corpus, tmp_path):
    make_manifests(corpus, tmp_path / "out", valid_percent=0, min_seconds=0.21, max_seconds=0.22)
    assert sorted(path[-7:-4] for path in paths(tmp_path / "out", "train")) == [f"{n:03d}" for n in range(10, 21)]


def test_extensions_are_found_in_either_case_and_hidden_files_are_passed_over(tmp_path, write_tone):
    for name in ("a.WAV", "b.flac", "c.aiff", "._a.wav", ".hidden/d.wav"):
        write_tone(tmp_path / "src" / name)
    make_manifests(tmp_path / "src", tmp_path / "out", valid_percent=0)
    assert paths(tmp_path / "out", "train") == ["a.WAV", "b.flac", "c.aiff"]
    make_manifests(tmp_path / "src", tmp_path / "out", valid_percent=0, extensions=[" .AIFF"])
    assert paths(tmp_path / "out", "train") == ["c.aiff"]


def test_linked_folders_are_followed_and_loops_end(corpus, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a").symlink_to(corpus)
    (tmp_path / "links" / "loop").symlink_to(tmp_path / "links")
    make_manifests(tmp_path / "links", tmp_path / "out", valid_percent=0)
    assert len(paths(tmp_path / "out", "train")) == 40


@pytest.mark.parametrize(
    "options, message",
    [
        ({"valid_percent": 60, "test_percent": 41}, "100 or less together; got 60 \\+ 41"),
        ({"resample": 8000}, "`resample` must be 16000"),
        ({"min_seconds": 3, "max_seconds": 2}, "`min_seconds`"),
        ({"extensions": ["raw"]}, "`extensions`"),
        ({"extensions": [""]}, "`extensions`"),
        ({"workers": 0}, "`workers` must be 1 or more"),
        ({"split_by": "speaker", "speaker_regex": "("}, "no regular expression"),
        ({"split_by": "speaker", "speaker_regex": "speaker"}, "must have one group"),
        ({"split_by": "speaker", "speaker_regex": "(x)y"}, "no recording in .* can be used, of 40 .* no speaker"),
        ({"valid_percent": 0.001}, "no file of 40 fell into valid at `valid_percent` 0.001; raise it"),
        ({"valid_percent": 99.999}, "nothing to train on"),
        ({"transcripts": "missing.tsv"}, "cannot read missing.tsv"),
        ({"transcripts": "sidecar"}, "no transcript"),
    ],
)
def test_options_that_cannot_work_are_one_clear_line(corpus, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as caught:
        make_manifests(corpus, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*.ltr")) and not (tmp_path / "out" / "train.tsv").exists()


def test_a_table_that_fits_nothing_shows_both_spellings(corpus, tmp_path):
    (tmp_path / "table.tsv").write_text("clip-1\tHELLO\n")
    with pytest.raises(UserError, match="it names 'clip-1', SRC holds 'speaker0/000.wav'"):
        make_manifests(corpus, tmp_path / "out", transcripts=tmp_path / "table.tsv")


def test_places_that_cannot_work_are_one_clear_line(corpus, tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        make_manifests(tmp_path / "none", tmp_path / "out")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        make_manifests(corpus / "speaker0" / "000.wav", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no audio files"):
        make_manifests(tmp_path / "empty", tmp_path / "out")
    for inside in (corpus, corpus / "manifest"):
        with pytest.raises(UserError, match=f"OUT must not lie in {corpus}, "):
            make_manifests(corpus, inside)
    os.rename(corpus, tmp_path / "audio")
    with pytest.raises(UserError, match="over the recordings in"):
        make_manifests(tmp_path / "audio", tmp_path, resample=16000)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        make_manifests(tmp_path / "audio", tmp_path / "file")


def test_manifests_of_an_earlier_run_that_this_run_would_not_renew_are_refused(corpus, tmp_path):
    make_manifests(corpus, tmp_path / "out", **HALF)
    with pytest.raises(UserError, match="holds test.tsv"):
        make_manifests(corpus, tmp_path / "out", valid_percent=30)
