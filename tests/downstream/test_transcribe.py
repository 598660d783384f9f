"""Is everything that is given transcribed as ``decode`` does, in every format, and what cannot be read reported?"""

import io
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import encoder as encoder_module
from fairseq_summarymixing.downstream import transcribe as module
from fairseq_summarymixing.downstream.decode import decode
from fairseq_summarymixing.downstream.hypothesis import Hypothesis, TimedWord, word_times
from fairseq_summarymixing.downstream.transcribe import transcripts
from fairseq_summarymixing.downstream.transcript import Transcript, as_srt, as_vtt


def transcribe(checkpoint, *arguments):
    return main(["transcribe", str(checkpoint), *map(str, arguments), "--device", "cpu"])


@pytest.fixture(scope="module")
def decoded(finetuned, corpus, tmp_path_factory):
    """By the name of the model, the hypotheses of ``decode``, and the words with their times."""
    found = {}
    for name, path in finetuned.items():
        folder = tmp_path_factory.mktemp("decoded")
        decode(path, corpus, "test", folder, timestamps=True)
        texts = (folder / "hypotheses.wrd").read_text().split("\n")[:-1]
        found[name] = texts, (folder / "hypotheses.ctm").read_text()
    return found


@pytest.fixture
def ours(finetuned):
    return finetuned["wav2vec2_summarymixing"]


def rows(texts):
    return [f"audio/test-{index}\t{text}" for index, text in enumerate(texts)]


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_summarymixing"])
def test_a_manifest_is_transcribed_as_decode_does(name, finetuned, corpus, decoded, capsys, monkeypatch):
    monkeypatch.setattr(module, "GROUP_SECONDS", 2)  # given in order, though computed in batches of like lengths
    assert transcribe(finetuned[name], corpus / "test.tsv") == 0
    assert capsys.readouterr().out.splitlines() == rows(decoded[name][0])
    assert transcribe(finetuned[name], corpus / "test.tsv", "--format", "ctm", "--chunk-seconds", "1") == 0
    assert capsys.readouterr().out == decoded[name][1]
    assert len(set(decoded[name][0])) > 1


def test_files_folders_manifests_and_lists_are_read_alike(ours, corpus, decoded, capsys, tmp_path, monkeypatch):
    texts = decoded["wav2vec2_summarymixing"][0]
    paths = [str(corpus / f"audio/test-{index}.wav") for index in range(len(texts))]
    alone = [f"test-{index}\t{text}" for index, text in enumerate(texts)]
    folder = tmp_path / "folder"
    for number, path in enumerate(paths):
        (folder / f"speaker-{number % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"speaker-{number % 2}")
    listed = tmp_path / "list.txt"
    listed.write_bytes("\ufeff".encode() + "\r\n\r\n".join(paths).encode())
    given = "\ufeff" + "\n".join(paths)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given.encode())))
    nested = tmp_path / "nested.txt"
    nested.write_text(f"{folder}\n")
    inside = sorted(f"speaker-{index % 2}/test-{index}\t{text}" for index, text in enumerate(texts))
    for given, expected in (
        (paths, alone),
        ([f"@{listed}"], alone),
        (["-"], alone),
        ([folder], inside),
        ([f"@{nested}"], inside),
    ):
        assert transcribe(ours, *given) == 0
        assert capsys.readouterr().out.splitlines() == expected


def test_rows_of_zip_files_rates_and_repeated_rows_are_read(ours, corpus, decoded, tmp_path, capsys):
    pytest.importorskip("scipy", reason="resamples with scipy")
    import zipfile

    source = corpus / "audio/test-0.wav"
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as file:
        file.write(source, "a.wav")
    offset = (tmp_path / "clips.zip").read_bytes().index(b"RIFF")
    tiny.write_wave(tmp_path / "low.wav", tiny.tone(1.0, rate=8000), 8000)
    manifest = tmp_path / "m.tsv"
    part = f"clips.zip:{offset}:{source.stat().st_size}\t9\n"
    manifest.write_text(f"{tmp_path}\n{part}low.wav\t9\n../x/gone.wav\t5\n{part}")
    assert transcribe(ours, manifest) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"clips-{offset}\t{decoded['wav2vec2_summarymixing'][0][0]}" and lines[1].startswith("low\t")
    assert "gone.wav: not readable: No such file" in printed.err


def test_every_format_goes_to_files_whole_or_not_at_all(ours, corpus, decoded, tmp_path, capsys):
    texts = decoded["wav2vec2_summarymixing"][0]
    for format in ("txt", "json", "ctm", "srt", "vtt"):
        out = tmp_path / format
        assert transcribe(ours, corpus / "test.tsv", "--format", format, "-o", out) == 0
        assert sorted(path.name for path in (out / "audio").iterdir()) == [f"test-{n}.{format}" for n in range(7)]
        assert capsys.readouterr().out == f"7 recordings: {out}\n"
    assert [(tmp_path / f"txt/audio/test-{n}.txt").read_text() for n in range(7)] == [f"{text}\n" for text in texts]
    assert transcribe(ours, corpus / "test.tsv", "--format", "json", "-o", tmp_path / "all.json") == 0
    objects = [json.loads(line) for line in (tmp_path / "all.json").read_text().splitlines()]
    assert [each["text"] for each in objects] == texts
    assert [" ".join(word["word"] for word in each["words"]) for each in objects] == texts
    assert all(word["end"] <= each["seconds"] + 0.05 for each in objects for word in each["words"])
    assert (tmp_path / "all.json").read_text() == "".join(
        (tmp_path / f"json/audio/test-{n}.json").read_text() for n in range(7)
    )
    # one file that is named is text alone
    capsys.readouterr()
    assert transcribe(ours, corpus / "audio/test-0.wav") == 0
    assert capsys.readouterr().out == f"{texts[0]}\n"
    assert transcribe(ours, corpus / "audio/test-0.wav", "--format", "srt", "-o", tmp_path / "talk.srt") == 0
    assert (tmp_path / "talk.srt").read_text() == (tmp_path / "srt/audio/test-0.srt").read_text()


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(ours, corpus, decoded, tmp_path, capsys):
    import soundfile

    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "phone.m4a").write_bytes(b"somebody's")
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan] * 8000), 16000, subtype="FLOAT")
    shutil.copy(corpus / "audio/test-0.wav", tmp_path / "whole.wav")
    tiny.write_wave(tmp_path / "short.wav", np.zeros(150))
    assert transcribe(ours, tmp_path, tmp_path / "none.wav", "-o", tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert (tmp_path / "out/whole.txt").read_text() == f"{decoded['wav2vec2_summarymixing'][0][0]}\n"
    assert (tmp_path / "out/short.txt").read_text() == "\n"  # as decode has it
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["short.txt", "whole.txt"]
    for name, reason in (
        ("text.wav", "not readable as audio"),
        ("empty.wav", "empty file"),
        ("nan.wav", "NaN or infinite samples"),
        ("none.wav", "No such file"),
        ("phone.m4a", "ffmpeg -i phone.m4a"),
    ):
        assert sum(f"error: cannot use {tmp_path / name}: " in line for line in printed.err.splitlines()) == 1
        assert reason in printed.err
    assert printed.err.splitlines()[-1] == "error: 5 recordings were not transcribed"
    assert printed.out.startswith("2 recordings")


def test_self_attention_reports_long_recordings_or_sees_windows(finetuned, corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encoder_module, "MAX_ATTENTION_SECONDS", 2)
    tiny.write_wave(tmp_path / "long.wav", tiny.tone(3.0))
    audio = (tmp_path / "long.wav", corpus / "audio/test-0.wav")
    assert transcribe(finetuned["wav2vec2"], *audio, "--chunk-seconds", "1") == 1
    printed = capsys.readouterr()
    assert "lasts 3 s, and self-attention's cost is quadratic" in printed.err and "--window 30" in printed.err
    assert printed.out.startswith("test-0\t")
    assert transcribe(finetuned["wav2vec2"], *audio, "--chunk-seconds", "1", "--window", "1") == 0
    assert capsys.readouterr().out.startswith("long\t")


def test_names_that_are_equal_are_told_apart(ours, corpus, tmp_path, capsys):
    source = corpus / "audio/test-0.wav"
    for name in ("a/1.wav", "b/1.wav", "b/1.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(source, tmp_path / name)
    for given, names in (
        (["a", "b/1.wav"], ["a/1", "b/1"]),
        (["a", "b"], ["a/1.wav", "b/1.ogg", "b/1.wav"]),
    ):
        assert transcribe(ours, *(tmp_path / path for path in given)) == 0
        assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == names
    assert transcribe(ours, tmp_path / "a", tmp_path / "a/1.wav") == 1
    assert "1.wav is given twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, message",
    [
        (
            UnicodeEncodeError("ascii", "\u0175", 0, 1, "x"),
            "standard output is ascii, which lacks '\u0175': name --out",
        ),
        (OSError(28, "No space left on device"), "cannot write to standard output: No space left on device"),
    ],
)
def test_a_terminal_that_lacks_letters_or_a_full_disk_is_one_line(error, message, ours, corpus, capsys, monkeypatch):
    def refuse(text):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", SimpleNamespace(write=refuse))
        assert transcribe(ours, corpus / "audio/test-0.wav") == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_a_reference_beside_its_recording_is_not_replaced(ours, corpus, tmp_path, capsys):
    shutil.copy(corpus / "audio/test-0.wav", tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("THE TRUTH\n")
    assert transcribe(ours, tmp_path, "-o", tmp_path) == 1
    assert "a.txt stands beside its recording already" in capsys.readouterr().err
    assert (tmp_path / "a.txt").read_text() == "THE TRUTH\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["FOLDER", "--format", "srt"], "--format srt of several recordings needs a folder as --out"),
        (["FOLDER", "--lm", "x.arpa"], "error: --lm needs --lexicon"),
        (["FOLDER", "--beam", "3"], "error: --beam needs --lm"),
        (["EMPTY"], "holds no recordings; expected files of wav"),
        (["@none.txt"], "cannot read none.txt: No such file"),
        (["none.tsv"], "there is no manifest none.tsv"),
        (["FOLDER", "-o", ""], "--out is empty"),
        (
            ["FOLDER", "-o", "all.txt", "--format", "ctm"],
            "--out all.txt has the ending of another format than --format",
        ),
        (["FOLDER", "--chunk-seconds", "nan"], "--chunk-seconds must be at least 1 second; got nan"),
        (["FOLDER", "--window", "30"], "--window is for self-attention"),
        (["FOLDER", "-o", "CKPT"], "is a file: name a folder, or a file with the ending .txt"),
    ],
)
def test_mistakes_are_one_line_errors(arguments, message, ours, corpus, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {"FOLDER": corpus, "EMPTY": tmp_path / "empty", "CKPT": ours}
    assert transcribe(ours, *(places.get(text, text) for text in arguments)) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_checkpoint_without_a_dictionary_needs_a_folder_that_holds_it(finetuned, corpus, decoded, tmp_path, capsys):
    state = torch.load(finetuned["wav2vec2"], weights_only=False)
    state["task_state"] = {}
    torch.save(state, tmp_path / "old.pt")
    assert transcribe(tmp_path / "old.pt", corpus / "test.tsv") == 1
    assert "name as --data a folder that holds dict.ltr.txt" in capsys.readouterr().err
    assert transcribe(tmp_path / "old.pt", corpus / "test.tsv", "--data", corpus) == 0
    assert capsys.readouterr().out.splitlines() == rows(decoded["wav2vec2"][0])


def test_a_language_model_decides_as_in_decode(ours, corpus, tmp_path, capsys):
    pytest.importorskip("flashlight.lib.text", reason="the lm extra is not installed")
    lm = tmp_path / "lm.arpa"
    unigrams = "-9\t<unk>\t0\n-99\t<s>\t0\n-1\t</s>\n-1\tAB\t0\n-1\tCDE\t0\n"
    lm.write_text(f"\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n{unigrams}\n\\2-grams:\n-3\t<s> </s>\n\n\\end\\\n")
    (tmp_path / "lexicon.txt").write_text("AB\tA B |\nCDE\tC D E |\n")
    options = ["--lm", str(lm), "--lexicon", str(tmp_path / "lexicon.txt"), "--lm-weight", "0.5"]
    arguments = ["decode", str(ours), "--data", str(corpus), "--split", "test", "--out", str(tmp_path / "out")]
    assert main([*arguments, *options]) == 0
    capsys.readouterr()
    assert transcribe(ours, corpus / "test.tsv", *options) == 0
    assert capsys.readouterr().out.splitlines() == rows((tmp_path / "out/hypotheses.wrd").read_text().splitlines())


def test_from_python_transcripts_come_with_their_words(ours, corpus, decoded):
    found = list(transcripts(ours, [corpus / "test.tsv"]))
    assert [each.text for each in found] == decoded["wav2vec2_summarymixing"][0]
    assert all([word for word, _, _ in each.words] == each.text.split() for each in found)


def test_subtitles_end_at_a_line_a_pause_and_six_seconds():
    words = [TimedWord("A" * 20, 0.0, 1.0), TimedWord("B" * 21, 1.0, 1.5), TimedWord("C", 1.5, 1.75)]
    words += [TimedWord("D&", 3.0, 3.5), TimedWord("E", 4.0, 8.9996), TimedWord("F", 9.0, 9.5)]
    transcript = Transcript("a", "a.wav", 10.0, "", words)
    cues = [block.split("\n") for block in as_srt(transcript).strip().split("\n\n")]
    assert [cue[2] for cue in cues] == [f"{'A' * 20} {'B' * 21}", "C", "D& E", "F"]
    assert [cue[0] for cue in cues] == ["1", "2", "3", "4"]
    assert cues[2][1] == "00:00:03,000 --> 00:00:09,000"
    assert as_vtt(transcript).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n") and "D&amp; E" in as_vtt(
        transcript
    )
    assert (as_srt(Transcript("a", "a.wav", 1.0, "", [])), as_vtt(Transcript("a", "a.wav", 1.0, "", []))) == (
        "",
        "WEBVTT\n\n",
    )


@pytest.mark.parametrize(
    "symbols, delimiter, expected",
    [
        (["\u2581HE", "LL", "O", "\u2581"], "\u2581", ["HELLO", "HE"]),
        (["HH", "AH", "L", "OW"], "", ["HH", "AH", "L", "OW", "HH"]),
    ],
)
def test_words_of_pieces_and_phones_have_times(symbols, delimiter, expected):
    hypothesis = Hypothesis([0, 1, 2, 3, 0], [0, 1, 2, 3, 9])
    words = word_times(hypothesis, symbols, delimiter, seconds=0.02, first=0.01)
    assert [word for word, _, _ in words] == expected
    assert words[0].start == pytest.approx(0.01) and words[-1][1:] == pytest.approx((0.19, 0.21))
