"""The pages in manifests/ for corpora with published splits, on miniatures of their layouts."""

import io
import json
import zipfile
from collections import Counter

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.data.labels import read_labels, read_trials
from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance, check_corpus
from fairseq_summarymixing.errors import UserError

SPLITS = ("train", "valid", "test")


def rows(out, split):
    return [path for path, _ in read_manifest(out / f"{split}.tsv", check_files=True)[1]]


def labels(out, split, kind="cls"):
    return read_labels(out / f"{split}.tsv", kind, len(rows(out, split)))


def finished(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def common_voice(tmp_path, write_tone):
    """cv-corpus-17.0-2024-03-15/eu; the columns stand as in newer releases, where sentence_id comes before sentence."""
    pytest.importorskip("scipy")
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile writes no MP3")
    corpus = tmp_path / "cv-corpus-17.0-2024-03-15" / "eu"
    number = 0
    for name, count in (("train", 4), ("dev", 2), ("test", 2)):
        lines = ["client_id\tpath\tsentence_id\tsentence\tup_votes"]
        for _ in range(count):
            clip = f"common_voice_eu_{number}.mp3"
            write_tone(corpus / "clips" / clip, 1 + number, 48000, format="MP3")
            lines.append(f'speaker{number}\t{clip}\tf3a\tEtxe "bat", Donostia{number * " da"}.\t2')
            number += 1
        (corpus / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return corpus


def test_common_voice_takes_columns_by_name_and_resamples_once_for_all_splits(common_voice, tmp_path, run):
    out = tmp_path / "out"
    options = ("--case", "lower", "--keep-characters", "a-zñ")
    finished(run("common_voice.py", common_voice, out, *options))
    assert [len(rows(out, split)) for split in SPLITS] == [4, 2, 2]
    assert (out / "train.wrd").read_text().splitlines()[:2] == ["etxe bat donostia", "etxe bat donostia da"]
    root, found = read_manifest(out / "test.tsv")
    assert {soundfile.info(f"{root}/{path}").samplerate for path, _ in found} == {16000}
    assert len(list((out / "audio").rglob("*.flac"))) == 8
    finished(run("common_voice.py", common_voice, tmp_path / "mp3s", "--min-words", 4, "--max-train-seconds", 3.5))
    assert [len(rows(tmp_path / "mp3s", split)) for split in SPLITS] == [2, 2, 2]
    assert "clips/common_voice_eu_3.mp3\t4" in (tmp_path / "mp3s" / "report.tsv").read_text()


def test_common_voice_is_checked_against_the_release_and_language_of_its_folder(common_voice, run):
    (common_voice / "clips" / "common_voice_eu_5.mp3").unlink()
    result = run("common_voice.py", common_voice, "--check")
    assert result.returncode == 1
    assert "train 4 instead of 75336, valid 2 instead of 13630, test 2 instead of 13630" in result.stderr
    assert "missing: clips/common_voice_eu_5.mp3" in result.stdout
    (common_voice / "dev.tsv").unlink()
    assert "cannot read" in run("common_voice.py", common_voice, "--check").stderr


@pytest.fixture
def slurp(tmp_path, write_tone):
    corpus, number = tmp_path / "SLURP", 10
    for name, folder in (("train", "real"), ("devel", "real"), ("test", "real"), ("train_synthetic", "synth")):
        lines = []
        for scenario in ("alarm", "play"):
            files = [f"audio-{number + k}.flac" for k in range(2)]
            for file in files:
                write_tone(corpus / f"slurp_{folder}" / file)
            entry = {"sentence": f"{scenario} it, {name}", "scenario": scenario, "intent": f"{scenario}_set"}
            lines.append(json.dumps({**entry, "recordings": [{"file": file, "wer": 0.0} for file in files]}))
            number += 2
        (corpus / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return corpus


def test_slurp_has_a_row_and_a_label_for_each_recording(slurp, tmp_path, run):
    finished(run("slurp.py", slurp, tmp_path / "out", "--case", "upper", "--keep-characters", "A-Z"))
    assert rows(tmp_path / "out", "valid") == [f"slurp_real/audio-{number}.flac" for number in range(14, 18)]
    assert labels(tmp_path / "out", "valid") == ["alarm", "alarm", "play", "play"]
    assert labels(tmp_path / "out", "test", "wrd") == ["ALARM IT TEST"] * 2 + ["PLAY IT TEST"] * 2
    finished(run("slurp.py", slurp, tmp_path / "out2", "--label", "intent", "--synthetic"))
    assert Counter(labels(tmp_path / "out2", "train")) == {"alarm_set": 4, "play_set": 4}
    assert (tmp_path / "out2" / "dict.cls.txt").read_text() == "alarm_set 8\nplay_set 8\n"
    result = run("slurp.py", slurp, "--check")
    assert result.returncode == 1 and "valid 4 instead of 8690" in result.stderr and "scenarios 2" in result.stderr
    (slurp / "test.jsonl").write_text('{"sentence": "x"}\n')
    assert "test.jsonl:1: expected an object of JSON with" in run("slurp.py", slurp, tmp_path / "out3").stderr
    (slurp / "test.jsonl").unlink()
    assert "holds no test.jsonl" in run("slurp.py", slurp, tmp_path / "out3").stderr


@pytest.fixture(params=["wav", "dev and test"])
def voxceleb(request, tmp_path, write_tone):
    """20 recordings of 4 speakers for training, 4 of 2 for test, and trials of those."""
    corpus = tmp_path / "VoxCeleb1"
    for number in range(6):
        folder = "wav" if request.param == "wav" else "test/wav" if number > 3 else "dev/wav"
        for k in range(2 if number > 3 else 5):
            write_tone(corpus / folder / f"id1000{number}" / "video" / f"0000{k}.wav")
    lines = ["1 id10004/video/00000.wav id10004/video/00001.wav", "0 id10004/video/00000.wav id10005/video/00000.wav"]
    (corpus / "veri_test2.txt").write_text("\n".join(lines) + "\n")
    return corpus


def test_voxceleb_keeps_the_speakers_of_the_trials_apart(voxceleb, tmp_path, run):
    out = tmp_path / "out"
    finished(run("voxceleb1.py", voxceleb, out, "--valid-percent", 40))
    found = {split: rows(out, split) for split in SPLITS}
    assert len(found["train"]) + len(found["valid"]) == 20 and len(found["test"]) == 4
    for split, paths in found.items():
        assert labels(out, split) == [path.split("/")[-3] for path in paths]
    assert set(labels(out, "test")) == {"id10004", "id10005"}
    trials = read_trials(out / "test.tsv", found["test"])
    assert [(trial.same, trial.first[-23:], trial.second[-23:]) for trial in trials] == [
        (True, "id10004/video/00000.wav", "id10004/video/00001.wav"),
        (False, "id10004/video/00000.wav", "id10005/video/00000.wav"),
    ]


def test_voxceleb_leaves_out_trials_of_damaged_recordings(voxceleb, tmp_path, run):
    next(voxceleb.rglob("id10005/video/00000.wav")).write_bytes(b"")
    assert "test: 1 of 2 trials" in finished(run("voxceleb1.py", voxceleb, tmp_path / "out", "--valid-percent", 40))
    result = run("voxceleb1.py", voxceleb, "--check")
    assert "speakers 6 instead of 1251" in result.stderr and "trials 2 instead of 37611" in result.stderr
    assert "missing" not in result.stderr
    next(voxceleb.rglob("id10005/video/00000.wav")).unlink()
    result = run("voxceleb1.py", voxceleb, "--check")
    assert "1 file is missing, such as wav/id10005/video/00000.wav" in result.stderr
    assert "left out: 1 rec" in finished(run("voxceleb1.py", voxceleb, tmp_path / "out1", "--valid-percent", 40))
    (voxceleb / "veri_test2.txt").write_text("1 a.wav b.wav\n")
    assert "veri_test2.txt:1: expected" in run("voxceleb1.py", voxceleb, tmp_path / "out2").stderr
    (voxceleb / "veri_test2.txt").unlink()
    assert "holds no veri_test2.txt" in run("voxceleb1.py", voxceleb, tmp_path / "out2").stderr


def write_iemocap(corpus, emotions, write):
    """One dialog for each session and gender; ``emotions`` are those of one speaker in one dialog."""
    for session in range(1, 6):
        for dialog in (f"Ses0{session}F_impro01", f"Ses0{session}M_script02_2"):
            lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
            for speaker in "FM":
                for number, emotion in enumerate(emotions):
                    turn = f"{dialog}_{speaker}{number:03d}"
                    lines += [f"[{6 + number}.2901 - {8 + number}.2357]\t{turn}\t{emotion}\t[2.5000, 2.5000, 2.5000]"]
                    lines += ["C-E2:\tNeutral;\t()", ""]
                    write(corpus / f"Session{session}" / "sentences" / "wav" / dialog / f"{turn}.wav")
            folder = corpus / f"Session{session}" / "dialog" / "EmoEvaluation"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{dialog}.txt").write_text("\n".join(lines))
            (folder / f"._{dialog}.txt").write_bytes(b"\x00\xff")


def test_iemocap_leaves_out_each_speaker_once(tmp_path, run, write_tone):
    corpus = tmp_path / "IEMOCAP"
    write_iemocap(corpus, ["neu", "exc", "fru", "sad", "xxx"], write_tone)
    tested = []
    for speaker in (1, 2, 7, 10):
        out = tmp_path / f"out{speaker}"
        finished(run("iemocap.py", corpus, out, "--test-speaker", speaker))
        found = {split: {(path[7], path.split("_")[-1][0]) for path in rows(out, split)} for split in SPLITS}
        assert [len(found[split]) for split in SPLITS] == [8, 1, 1]
        assert len(set.union(*found.values())) == 10
        (session, gender), (other, _) = *found["test"], *found["valid"]
        assert session == other
        tested.append((int(session), gender))
        assert Counter(labels(out, "test")) == {"neu": 2, "hap": 2, "sad": 2}
    assert tested == [(1, "F"), (1, "M"), (4, "F"), (5, "M")]


def test_iemocap_with_all_its_utterances_is_complete(tmp_path, run):
    corpus = tmp_path / "IEMOCAP"

    def touch(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    write_iemocap(corpus, [], touch)
    emotions = ["neu"] * 1708 + ["hap"] * 595 + ["exc"] * 1041 + ["sad"] * 1084 + ["ang"] * 1103
    folder = corpus / "Session3" / "sentences" / "wav" / "Ses03F_impro01"
    turns = [f"Ses03F_impro01_M{number:03d}" for number in range(len(emotions))]
    lines = [f"[1.0 - 2.0]\t{turn}\t{emotion}\t[2.5, 2.5, 2.5]\r\n" for turn, emotion in zip(turns, emotions)]
    (corpus / "Session3/dialog/EmoEvaluation/Ses03F_impro01.txt").write_text("".join(lines))
    for turn in turns:
        touch(folder / f"{turn}.wav")
    assert "is complete" in finished(run("iemocap.py", corpus, "--check"))
    (folder / f"{turns[0]}.wav").unlink()
    result = run("iemocap.py", corpus, "--check")
    assert result.returncode == 1 and "1 file is missing, such as Session3/sentences" in result.stderr


WORDS = """signal x
#
  0.500000  122 {B_TRANS}; {B_TRANS}; {B_TRANS}; null
  1.000000  122 i; ay; ay; PRP
  2.000000  122 don't; d; d; VB
  3.000000  122 know; n; n; VB
  3.500000  122 <SIL>; S; null
  4.000000  122 well; w; w; UH
  4.500000  122 yes; y; y; UH
  4.600000  122 uh; ah; ah; UH
  6.000000  122 one; w; w; CD
  6.500000  122 two; t; t; CD
  7.000000  122 three; t; t; CD
  7.500000  122 <VOCNOISE>; N; null
  8.000000  122 too; t; t; RB
  8.100000  122 short; s; s; JJ
  8.200000  122 this; d; d; DT
"""


def test_buckeye_is_cut_at_what_is_no_word_zipped_or_not(tmp_path, run):
    samples = (10000 * np.sin(np.arange(16000 * 9) / 7)).astype("int16")
    for number in (1, 36, 37, 38, 40):
        name = f"s{number:02d}01a"
        wav, inner = io.BytesIO(), io.BytesIO()
        soundfile.write(wav, samples, 16000, format="WAV", subtype="PCM_16")
        (tmp_path / "unpacked").mkdir(exist_ok=True)
        (tmp_path / "unpacked" / f"{name}.wav").write_bytes(wav.getvalue())
        (tmp_path / "unpacked" / f"{name}.words").write_text(WORDS)
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.wav", wav.getvalue())
            archive.writestr(f"{name}.words", WORDS.replace("\n", "\r\n"))
        (tmp_path / "zipped").mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / "zipped" / f"s{number:02d}.zip", "w") as archive:
            archive.writestr(f"s{number:02d}/{name}.zip", inner.getvalue())
    for kind in ("zipped", "unpacked"):
        out = tmp_path / f"out_{kind}"
        finished(run("buckeye.py", tmp_path / kind, out, "--case", "upper"))
        speakers = [{path[:3] for path in rows(out, split)} for split in SPLITS]
        assert speakers == [{"s01"}, {"s36", "s37"}, {"s38", "s40"}]
        assert labels(out, "train", "wrd") == ["I DON'T KNOW", "ONE TWO THREE"]
        root, found = read_manifest(out / "train.tsv")
        for (path, frames), (begin, end) in zip(found, ((0.5, 3.0), (4.6, 7.0))):
            cut, rate = soundfile.read(f"{root}/{path}", dtype="int16")
            assert frames == len(cut) and np.array_equal(cut, samples[round(begin * rate) : round(end * rate)])
    result = run("buckeye.py", tmp_path / "zipped", "--check")
    assert result.returncode == 1 and "speakers 5 instead of 40" in result.stderr
    (tmp_path / "zipped" / "s02.zip").write_bytes(b"PK")
    assert "s02.zip: not readable: damaged" in run("buckeye.py", tmp_path / "zipped", "--check").stdout
    (tmp_path / "unpacked" / "s3701a.words").write_text(WORDS.replace(" 8.2", " 80.2"))
    (tmp_path / "unpacked" / "s3801a.words").unlink()
    (tmp_path / "unpacked" / "s0101a.wav").write_bytes(b"RIFF")
    result = run("buckeye.py", tmp_path / "unpacked", tmp_path / "out3", "--min-words", 3)
    report = (tmp_path / "out3" / "report.tsv").read_text()
    assert "s3801a\tno .words file" in report and "s0101a\tnot readable as audio" in report
    assert "no recording of train" in result.stderr


def test_speechocean762_holds_out_speakers_of_its_train(tmp_path, run, write_tone):
    corpus = tmp_path / "speechocean762"
    for part, speakers in (("train", range(12)), ("test", range(20, 23))):
        (corpus / part).mkdir(parents=True)
        names = [(f"{speaker:04d}{k}", f"{speaker:04d}") for speaker in speakers for k in range(2)]
        for name, speaker in names:
            write_tone(corpus / "WAVE" / f"SPEAKER{speaker}" / f"{name}.WAV", format="WAV")
        files = {
            "wav.scp": "".join(f"{name}\tWAVE/SPEAKER{speaker}/{name}.WAV\n" for name, speaker in names),
            "text": "".join(f"{name}\tWE CALL {name[-1]}\n" for name, _ in names),
            "utt2spk": "".join(f"{name} {speaker}\n" for name, speaker in names),
        }
        for name, content in files.items():
            (corpus / part / name).write_text(content)
    finished(run("speechocean762.py", corpus, tmp_path / "out", "--valid-percent", 30))
    found = {split: {path.split("/")[1] for path in rows(tmp_path / "out", split)} for split in SPLITS}
    assert len(found["train"]) + len(found["valid"]) == 12 and not found["train"] & found["valid"]
    assert found["test"] == {f"SPEAKER{number:04d}" for number in range(20, 23)}
    assert labels(tmp_path / "out", "test", "wrd") == ["WE CALL 0", "WE CALL 1"] * 3
    assert "all of train 24 instead of 2500" in run("speechocean762.py", corpus, "--check").stderr
    text = (corpus / "train/text").read_text()
    for extra, message in (
        ("00010\tOTHER\n", ":25: 00010 stands in an earlier line already"),
        ("", "has nothing for 00000"),
    ):
        (corpus / "train/text").write_text(text.replace("WE CALL 0", "", not extra) + extra)
        assert message in run("speechocean762.py", corpus, tmp_path / "out").stderr


def test_librispeech_libri_light_and_digits_are_checked(tmp_path, run):
    digits = tmp_path / "recordings"
    digits.mkdir()
    for number in range(6 * 10 * 50):
        (digits / f"{number % 10}_speaker{number // 500}_{number % 500 // 10}.wav").touch()
    assert "is complete" in finished(run("spoken_digits.py", digits, "--check"))
    (digits / "0_speaker0_0.wav").unlink()
    assert "recordings 2999 instead of 3000" in run("spoken_digits.py", digits, "--check").stderr
    for size, speaker in (("small", 1), ("medium", 2), ("large", 3)):
        book = tmp_path / "librilight" / size / str(speaker) / "book"
        book.mkdir(parents=True)
        for name in ("a.flac", "a.json", "b.flac")[: speaker + 1]:
            (book / name).touch()
    result = run("librilight.py", tmp_path / "librilight", "--check").stderr
    assert "speakers 3 instead of 7439, recordings 5 instead of 219041" in result
    assert "recordings with .json 3 instead of 5" in result
    chapter = tmp_path / "librispeech" / "dev-clean" / "1" / "2"
    chapter.mkdir(parents=True)
    (chapter / "1-2.trans.txt").write_text("1-2-0000 A\n1-2-0001 B\n")
    (chapter / "1-2-0000.flac").touch()
    result = run("librispeech.py", tmp_path / "librispeech", "--check")
    assert "dev-clean 2 instead of 2703; 1 file is missing, such as dev-clean/1/2/1-2-0001.flac" in result.stderr


def test_a_page_says_what_is_missing_before_it_writes(tmp_path, run):
    (tmp_path / "empty").mkdir()
    pages = ("common_voice", "slurp", "voxceleb1", "iemocap", "buckeye", "speechocean762", "librispeech", "librilight")
    for page in (*pages, "spoken_digits"):
        for arguments, message in (
            ((tmp_path / "none", tmp_path / "out"), f"there is no folder {tmp_path / 'none'}; expected"),
            ((tmp_path / "empty",), "OUT is missing: name a folder to write to, or use --check"),
            ((tmp_path / "empty", tmp_path / "out"), "empty"),
            ((tmp_path / "empty", "--check"), "empty"),
        ):
            result = run(f"{page}.py", *arguments)
            assert result.returncode == 1 and message in result.stderr, (page, result.stderr)
            assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_a_check_names_what_differs_and_what_is_missing(tmp_path, capsys):
    (tmp_path / "a.wav").touch()
    splits = {"train": [Utterance("a.wav")], "test": [Utterance(f"{number}.wav") for number in range(7)]}
    corpus = PublishedCorpus("Tiny", tmp_path, splits, {"train": 1, "test": 8}, [("speakers", 2, 3)])
    message = "test 7 instead of 8, speakers 2 instead of 3; 7 files are missing, such as 0.wav"
    with pytest.raises(UserError, match=message):
        check_corpus(corpus)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["train", "1", "1", "0"] and printed[2].split() == ["test", "7", "8", "7"]
    assert printed[-1] == "missing: 2 more"
    check_corpus(PublishedCorpus("Tiny", tmp_path, {"train": splits["train"]}, {"train": 1}))
    assert "is complete" in capsys.readouterr().out
    check_corpus(PublishedCorpus("Tiny", tmp_path, {"train": splits["train"]}))
    assert "published counts are not known here" in capsys.readouterr().out
