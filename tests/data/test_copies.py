"""Is a copy that ``--resample`` made kept as long as it is right, and no longer?"""

import os
import threading

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.data.audio import probe
from fairseq_summarymixing.data.copies import Copies
from fairseq_summarymixing.data.folder import make_manifests
from fairseq_summarymixing.data.sources import NAME, Sources
from fairseq_summarymixing.errors import UserError


@pytest.fixture
def make(tmp_path, write_tone):
    """make(): copies tmp_path/a.wav in a run of its own. Returns (samples, whether the copy was made now)."""
    pytest.importorskip("scipy", reason="resamples with scipy")
    target = tmp_path / "copies" / "a.flac"
    write_tone(tmp_path / "a.wav")

    def make():
        before = target.stat().st_ino if target.exists() else None
        source = tmp_path / "a.wav"
        frames = Copies(target.parent).make(source, probe(source).frames, target.name).frames
        assert probe(target).frames == frames
        return frames, target.stat().st_ino != before

    return make


def test_a_copy_is_kept_until_its_source_changes(make, tmp_path, write_tone):
    assert make() == (8000, True)
    assert make() == (8000, False)
    write_tone(tmp_path / "a.wav", 1.0)
    os.utime(tmp_path / "a.wav", (0, 0))  # as of a recording that was copied with its time
    assert make() == (16000, True)
    write_tone(tmp_path / "a.wav", 1.0, frequency=330)
    os.utime(tmp_path / "a.wav", (0, 1))
    assert make() == (16000, True)
    assert make() == (16000, False)


def test_a_copy_that_is_not_whole_or_of_unknown_origin_is_made_anew(make, tmp_path):
    make()
    copy, notes = tmp_path / "copies" / "a.flac", tmp_path / "copies" / NAME
    content = copy.read_bytes()
    for damaged in (b"damaged", content[: len(content) // 2]):
        copy.write_bytes(damaged)
        assert make() == (8000, True)
    soundfile.write(copy, np.zeros(4000), 16000)
    assert make() == (8000, True)
    notes.unlink()
    assert make() == (8000, True)
    for cut in (3, 8, 1):
        notes.write_bytes(notes.read_bytes()[:-cut])
        assert make() == (8000, True)
    assert make() == (8000, False)


def test_a_copy_made_between_two_notes_is_of_unknown_origin(make, tmp_path, write_tone, monkeypatch):
    make()
    old = (tmp_path / "a.wav").read_bytes()
    stat = (tmp_path / "a.wav").stat()
    write_tone(tmp_path / "a.wav", 0.5, frequency=330)
    note = Sources.note

    def killed(self, name, numbers):
        if numbers:
            raise KeyboardInterrupt
        note(self, name, numbers)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Sources, "note", killed)
        make()
    (tmp_path / "a.wav").write_bytes(old)
    os.utime(tmp_path / "a.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert make() == (8000, True)


def test_threads_note_at_once_and_the_notes_end_in_order(tmp_path):
    sources = Sources(tmp_path)
    threads = [
        threading.Thread(target=lambda part=part: [sources.note(f"{part}-{n}.flac", (part, n)) for n in range(50)])
        for part in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Sources(tmp_path)
    assert all(again.get(f"{part}-{n}.flac") == (part, n) for part in range(8) for n in range(50))
    again.tidy()
    lines = (tmp_path / NAME).read_text().splitlines()
    assert len(lines) == 400 and lines == sorted(lines)


def test_notes_are_not_written_through_a_link(tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="cannot write"):
        Sources(tmp_path / "copies").note("a.flac", (1,))
    assert not (tmp_path / "elsewhere").exists()


def test_a_recording_replaced_by_an_older_one_changes_the_manifest(tmp_path, write_tone):
    pytest.importorskip("scipy", reason="resamples with scipy")
    options = {"resample": 16000, "valid_percent": 0}
    for name in ("a.wav", "b.wav"):
        write_tone(tmp_path / "src" / name, 1, 8000)
    make_manifests(tmp_path / "src", tmp_path / "out", **options)
    write_tone(tmp_path / "src" / "a.wav", 2, 8000)
    os.utime(tmp_path / "src" / "a.wav", (0, 0))
    make_manifests(tmp_path / "src", tmp_path / "out", **options)
    assert (tmp_path / "out" / "train.tsv").read_text().splitlines()[1:] == ["a.flac\t32000", "b.flac\t16000"]
    make_manifests(tmp_path / "src", tmp_path / "fresh", workers=3, **options)
    for name in ("a.flac", "b.flac", NAME):
        assert (tmp_path / "out" / "audio" / name).read_bytes() == (tmp_path / "fresh" / "audio" / name).read_bytes()


def test_a_header_with_a_rate_of_1_hz_is_reported_not_made_hours_of(tmp_path, write_tone):
    pytest.importorskip("scipy", reason="resamples with scipy")
    write_tone(tmp_path / "src" / "a.wav", 1, 8000)
    soundfile.write(tmp_path / "src" / "slow.wav", np.zeros(16000), 1)
    make_manifests(tmp_path / "src", tmp_path / "out", resample=16000, valid_percent=0)
    assert "slow.wav\ta sample rate of 1 Hz" in (tmp_path / "out" / "report.tsv").read_text()
    assert (tmp_path / "out" / "train.tsv").read_text().splitlines()[1:] == ["a.flac\t16000"]
