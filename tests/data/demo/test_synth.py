import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from fairseq_summarymixing.data.demo import synth
from fairseq_summarymixing.data.demo.vocabulary import VOCABULARY
from fairseq_summarymixing.data.folder import make_manifests
from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.files import sweep_leftovers

needs_espeak = pytest.mark.usefixtures("espeak")


@pytest.fixture
def espeak():
    pytest.importorskip("espeakng_loader", reason="synthetic speech needs espeakng-loader")
    pytest.importorskip("scipy", reason="resampling needs scipy")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="synthetic speech needs espeakng-loader")
    pytest.importorskip("scipy", reason="resampling needs scipy")
    out = tmp_path_factory.mktemp("synth") / "corpus"
    synth.make_corpus(out, 3, 7)
    return out


def start(folder, *arguments):
    """The command, as a user starts it in that folder."""
    command = [str(Path(sys.executable).parent / "fairseq-summarymixing"), *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_words_are_letters_that_a_small_dictionary_holds():
    for words in VOCABULARY.values():
        assert len(set(words)) == len(words) == 40
        assert all(re.fullmatch("[a-z']+", word) for word in words)


def test_the_corpus_is_short_16_khz_clips_with_upper_case_transcripts(spoken):
    lines = (spoken / "transcripts.tsv").read_text().splitlines()
    known = {word.upper() for words in VOCABULARY.values() for word in words}
    seconds = 0
    for path, text in (line.split("\t") for line in lines):
        info = soundfile.info(spoken / "audio" / path)
        assert (info.samplerate, info.channels) == (16000, 1)
        assert 1.5 <= info.duration <= 6
        assert 2 <= len(text.split()) <= 6 and set(text.split()) <= known
        seconds += info.duration
    assert 180 <= seconds < 186
    assert len(lines) == len(list((spoken / "audio").rglob("*.flac")))
    assert len(os.listdir(spoken / "audio")) == 42


def test_the_same_seed_gives_the_same_bytes_even_in_the_next_second_and_another_seed_others(spoken, tmp_path):
    synth.make_corpus(tmp_path / "again", 3, 7)
    assert files(tmp_path / "again") == files(spoken)
    synth.make_corpus(tmp_path / "other", 0.1, 8)
    name = "audio/m1-slow/m1-slow-0001.flac"
    assert (tmp_path / "other" / name).read_bytes() != (spoken / name).read_bytes()


def test_each_voice_speaks_every_language(spoken):
    spoken_by_m1 = [
        line for line in (spoken / "transcripts.tsv").read_text().splitlines() if line.startswith("m1-slow/")
    ]
    first, second = (set(line.split("\t")[1].lower().split()) for line in spoken_by_m1[:2])
    assert first <= set(VOCABULARY["en-us"]) and second <= set(VOCABULARY["cy"])


def test_manifests_hold_voices_out(spoken, tmp_path):
    make_manifests(
        spoken / "audio",
        tmp_path,
        split_by="speaker",
        valid_percent=10,
        test_percent=10,
        transcripts=spoken / "transcripts.tsv",
    )
    voices = [
        {path.split("/")[0] for path, _ in read_manifest(tmp_path / f"{split}.tsv", check_files=True)[1]}
        for split in ("train", "valid", "test")
    ]
    assert sum(map(len, voices)) == len(set.union(*voices)) == 42
    assert len((tmp_path / "dict.ltr.txt").read_text().splitlines()) <= 28


def test_a_finished_corpus_is_kept_and_other_settings_are_refused(spoken):
    before = files(spoken)
    assert "kept" in synth.make_corpus(spoken, 3, 7)
    with pytest.raises(UserError, match="other settings"):
        synth.make_corpus(spoken, 3, 8)
    assert files(spoken) == before


@needs_espeak
def test_what_a_killed_run_left_is_removed_and_the_corpus_made(tmp_path):
    (tmp_path / ".corpus.abcdefgh.part" / "corpus" / "audio").mkdir(parents=True)
    (tmp_path / "corpus").mkdir()
    synth.make_corpus(tmp_path / "corpus", 0.05, 1, ["eu"])
    assert sorted(os.listdir(tmp_path)) == ["corpus"]
    assert sorted(os.listdir(tmp_path / "corpus")) == ["audio", "settings.json", "transcripts.tsv"]
    assert os.access(tmp_path / "corpus" / "audio", os.X_OK)


@needs_espeak
@pytest.mark.parametrize("has_spoken", [False, True])
def test_when_the_command_is_killed_its_process_that_speaks_ends_and_brings_nothing_back(has_spoken, tmp_path):
    process = start(tmp_path, "synth", "corpus", "--minutes", "600")
    while not list(tmp_path.glob("**/*.flac" if has_spoken else ".corpus.*.part")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.wait()
    while not has_spoken and os.listdir(tmp_path):  # as the next run does, while the process still starts
        sweep_leftovers(tmp_path)  # its lock is its child's too, until that has become another program
    process.stderr.read()  # until nobody is there who could write to it
    if has_spoken:
        sweep_leftovers(tmp_path)
    assert os.listdir(tmp_path) == []


@needs_espeak
@pytest.mark.parametrize("console_script", [True, False])
def test_nothing_in_the_current_folder_is_run_or_written_through(tmp_path, console_script):
    """Not a numpy.py, and not a link at the name of a temporary that could be known before."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    for name in ("numpy", "json", "soundfile", "espeakng_loader", "runpy"):
        (here / f"{name}.py").write_text("open('was-run', 'w').close()")
    planted = {".corpus.unfinished": elsewhere, ".corpus.abcdefgh.part": elsewhere}
    for name, target in planted.items():
        (here / name).symlink_to(target)
    if console_script:
        process = start(here, "synth", "corpus", "--minutes", "0.05")
        assert process.wait() == 0, process.stderr.read()
    else:  # a process whose own search path begins with the current folder, as that of python -c and -m
        code = (
            "import sys; sys.path.remove(''); import numpy, fairseq_summarymixing.data.demo.synth as synth; "
            "sys.path.insert(0, ''); synth.make_corpus('corpus', 0.05, 1)"
        )
        # -P for the imports above is not there before Python 3.11
        subprocess.run([sys.executable, "-c", f"import os; os.chdir({str(here)!r}); {code}"], cwd="/", check=True)
    assert (here / "corpus" / "transcripts.tsv").exists()
    assert not (here / "was-run").exists()
    assert os.listdir(elsewhere) == []


@needs_espeak
def test_ctrl_c_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(folder, settings):
        (folder / "audio").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(synth, "_run_in_fresh_process", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synth.make_corpus(tmp_path / "corpus", 1, 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "minutes, seed, languages, message",
    [
        (0, 1, ["eu"], "`minutes` must be above 0"),
        (float("nan"), 1, ["eu"], "`minutes`"),
        (1, -1, ["eu"], "`seed`"),
        (1, 1, ["xx"], "`languages` must be some of en-us,cy,eu, each once; got 'xx'"),
        (1, 1, [], "`languages`"),
        (1, 1, ["eu", "eu"], "`languages`"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_line(tmp_path, minutes, seed, languages, message):
    with pytest.raises(UserError, match=message):
        synth.make_corpus(tmp_path / "corpus", minutes, seed, languages)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="not empty"):
        synth.make_corpus(tmp_path, 1, 1)
    with pytest.raises(UserError, match="is a file"):
        synth.make_corpus(tmp_path / "thesis.tex", 1, 1)


def test_without_espeak_the_error_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "espeakng_loader.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path / "shadow")
    with pytest.raises(UserError, match=r"pip install 'fairseq-summarymixing\[demo\]'"):
        synth.make_corpus(tmp_path / "corpus", 1, 1)
    assert os.listdir(tmp_path) == ["shadow"]
