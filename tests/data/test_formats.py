"""What the walk finds, and what it reports where it does not read a file."""

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.data.audio import BadAudio, probe
from fairseq_summarymixing.data.folder import make_manifests
from fairseq_summarymixing.data.formats import EXTENSIONS, FORMATS, is_audio, why_passed_over
from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.errors import UserError


def report(out):
    return dict(line.split("\t") for line in (out / "report.tsv").read_text(encoding="utf-8").splitlines()[1:])


def test_every_format_of_the_installed_library_is_read(tmp_path, tone):
    (tmp_path / "src").mkdir()
    written = []
    for name, extensions in FORMATS.items():
        for extension in extensions:
            subtype = "OPUS" if extension == "opus" else None
            try:
                soundfile.write(tmp_path / "src" / f"{extension}.{extension}", tone(), 16000, subtype, format=name)
            except (ValueError, soundfile.LibsndfileError):  # this version of the library lacks the format
                assert extension not in EXTENSIONS
                continue
            written.append(f"{extension}.{extension}")
    make_manifests(tmp_path / "src", tmp_path / "out", valid_percent=0)
    rows = read_manifest(tmp_path / "out" / "train.tsv", check_files=True)[1]
    assert [path for path, _ in rows] == sorted(written)
    assert {"wav", "flac", "ogg", "aiff", "sph", "paf"} <= set(EXTENSIONS)
    for path, frames in rows:
        samples, rate = soundfile.read(tmp_path / "src" / path)
        assert (len(samples), rate) == (frames, 16000)


@pytest.mark.parametrize(
    "name, subtype", [("a.wav", "GSM610"), ("a.wav", "G721_32"), ("a.wav", "NMS_ADPCM_16"), ("a.paf", "PCM_24")]
)
def test_formats_in_which_the_library_does_not_seek_are_read_and_cut_files_are_not(tmp_path, tone, name, subtype):
    path = tmp_path / name
    try:
        soundfile.write(path, tone(1), 16000, subtype)
    except (ValueError, soundfile.LibsndfileError):
        pytest.skip("this version of libsndfile lacks it")
    frames = soundfile.info(path).frames
    assert probe(path).frames == frames == len(soundfile.read(path)[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        assert probe(path).frames < frames  # a format whose header holds no length
    except BadAudio as error:
        assert "truncated" in str(error)


def test_files_that_are_not_read_are_counted_and_reported_with_what_converts_them(tmp_path, write_tone):
    write_tone(tmp_path / "src" / "a.wav")
    names = ("d.m4a", "f.webm", "g.M4A", "h.raw", "i.sph")
    for name in names:
        (tmp_path / "src" / name).write_bytes(bytes(2000))
    (tmp_path / "src" / "notes.txt").write_text("no recording")
    summary = make_manifests(tmp_path / "src", tmp_path / "out", valid_percent=0)
    found = report(tmp_path / "out")
    assert found.keys() == set(names)
    assert "does not read .m4a; convert it: ffmpeg -i d.m4a -ar 16000 -ac 1 d.wav" in found["d.m4a"]
    assert "ffmpeg -i f.webm" in found["f.webm"] and "sox -t raw" in found["h.raw"]
    assert "not readable as audio" in found["i.sph"] and "sph2pipe -f wav i.sph i.wav" in found["i.sph"]
    assert "left out: 5 of 6 recordings (not read: 2 .m4a, 1 .webm, 1 .raw), see " in summary


@pytest.mark.parametrize(
    "name, command",
    [
        ("my talk.m4a", "ffmpeg -i 'my talk.m4a' -ar 16000 -ac 1 'my talk.wav'"),
        ("it's.raw", """-c 1 'it'"'"'s.raw' 'it'"'"'s.wav'"""),
        ("-y.shn", "sph2pipe -f wav ./-y.shn ./-y.wav, or sox ./-y.shn ./-y.wav"),
        ("two\nlines.m4a", r"ffmpeg -i $'two\nlines.m4a' -ar 16000 -ac 1 $'two\nlines.wav'"),
        ("a;b.mpc", "ffmpeg -i 'a;b.mpc'"),
        ("9:30.m4a", "ffmpeg -i ./9:30.m4a -ar 16000 -ac 1 ./9:30.wav"),
        ("a\u00a0b.m4a", r"ffmpeg -i $'a\xc2\xa0b.m4a' -ar 16000 -ac 1 $'a\xc2\xa0b.wav'"),
        ("caf\udce9.m4a", r"ffmpeg -i $'caf\xe9.m4a'"),  # in Latin-1
    ],
)
def test_a_shell_takes_the_command_that_converts_whatever_the_name(name, command):
    assert is_audio(name) and command in why_passed_over(name, EXTENSIONS)


def test_what_the_option_leaves_out_is_reported(tmp_path, write_tone):
    write_tone(tmp_path / "src" / "a.wav")
    write_tone(tmp_path / "src" / "b.flac")
    summary = make_manifests(tmp_path / "src", tmp_path / "out", valid_percent=0, extensions=["wav"])
    assert report(tmp_path / "out") == {"b.flac": ".flac is not one of `extensions`, wav"}
    assert "left out: 1 of 2 recordings (not read: 1 .flac)" in summary


@pytest.mark.parametrize(
    "names, message",
    [
        (["a.m4a", "b.m4a"], r"no audio files that can be read \(2 others, such as a.m4a: .* ffmpeg -i a.m4a"),
        (["a.txt", "b.txt", "c"], r"no audio files \(wav, .*\); it holds 2 .txt, 1 without extension"),
    ],
)
def test_a_folder_without_readable_audio_is_an_error_with_what_it_holds(tmp_path, names, message):
    (tmp_path / "src").mkdir()
    for name in names:
        (tmp_path / "src" / name).write_bytes(np.zeros(9).tobytes())
    with pytest.raises(UserError, match=message):
        make_manifests(tmp_path / "src", tmp_path / "out")
