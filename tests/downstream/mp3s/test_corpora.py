"""Does ``mp3s check`` say which corpora are there and whether they are complete, before anything runs?"""

import csv
import runpy
import shutil

import pytest
from tiny import ROOT

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.mp3s import buckeye
from fairseq_summarymixing.downstream.mp3s import corpora as checks
from fairseq_summarymixing.errors import UserError

IEMOCAP = checks.IEMOCAP


def published(page):
    return runpy.run_path(str(ROOT / "manifests" / f"{page}.py"))


def check(path, *options):
    return main(["mp3s", "check", "--corpora", str(path), *options])


def test_miniatures_are_found_and_said_to_be_incomplete(corpora, capsys):
    assert check(corpora()) == 1
    out, err = capsys.readouterr()
    found = {tuple(line.split()[:3]) for line in out.splitlines()}
    assert {("librispeech", "dev-clean", "2"), ("slurp", "devel", "1"), ("buckeye", "speakers", "5")} <= found
    assert "librispeech is not the whole corpus; commonvoice_cy is" in err and err.count("\n") == 1


def test_iemocap_is_complete_with_all_its_utterances(corpora, capsys):
    path = corpora("iemocap")
    assert check(path) == 0
    assert "every corpus is complete; not looked for: librispeech, commonvoice_cy, " in capsys.readouterr().out
    folder = path.parent / "corpora/iemocap/Session1/dialog/EmoEvaluation"
    shutil.rmtree(folder)
    assert check(path) == 1
    assert "holds 40 utterances of the four emotions; the recipe runs with 50 only" in capsys.readouterr().err


def test_missing_files_are_counted(corpora, capsys):
    path = corpora("librispeech")
    (path.parent / "corpora/librispeech/dev-clean/1/2/1-2-0001.flac").unlink()
    check(path, "--tasks", "LibriSpeech")
    assert ["librispeech", "dev-clean", "2", "2703", "1"] in map(str.split, capsys.readouterr().out.splitlines())


def test_blank_lines_and_odd_names_of_lists_are_no_recordings(corpora, capsys):
    path = corpora("librispeech", "slurp")
    with open(path.parent / "corpora/librispeech/dev-clean/1/2/1-2.trans.txt", "a") as file:
        file.write(" \n../../x A B\n")
    (path.parent / "corpora/slurp/devel.jsonl").write_text('{"recordings": [{"file": [1]}]}\n')
    assert check(path) == 1
    out, error = capsys.readouterr()
    assert ["librispeech", "dev-clean", "3", "2703", "1"] in map(str.split, out.splitlines())
    assert "devel.jsonl:1: expected an object of JSON with recordings; found " in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "name, remove, message",
    [
        ("librispeech", "test-other", "holds no test-other/SPEAKER/CHAPTER"),
        ("slurp", "slurp_synth", "holds no slurp_synth, which the recipe prepares"),
        ("voxceleb1", "wav", "holds no wav/idNNNNN"),
    ],
)
def test_what_a_recipe_cannot_do_without_is_named(corpora, capsys, name, remove, message):
    path = corpora(name)
    shutil.rmtree(path.parent / "corpora" / name / remove)
    assert check(path) == 1 and message in capsys.readouterr().err


def test_a_newer_common_voice_is_refused_since_the_recipe_reads_columns_by_place(corpora, capsys):
    path = corpora("commonvoice_cy")
    for name in ("train", "dev", "test"):
        table = path.parent / "corpora/commonvoice_cy" / f"{name}.tsv"
        table.write_text("client_id\tpath\tsentence_id\tsentence\nspeaker\ta.mp3\tf3a\tUn dau tri.\n")
    assert (
        check(path) == 1 and "found client_id, path, sentence_id, sentence: use cv-corpus-11" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("librispeech: /nowhere\n", "there is no folder /nowhere; expected that of librispeech, as `corpora` names it"),
        ("librespeech: /nowhere\n", "expected librispeech, .*; found librespeech"),
        ("- librispeech\n", "expected a line 'corpus: folder'"),
        ("{}\n", "expected a line 'corpus: folder'"),
        ("librispeech: ''\n", "expected a line 'corpus: folder'"),
        ("librispeech: [\n", "expected YAML, a line 'corpus: folder' for each corpus; "),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path, text, message):
    (tmp_path / "corpora.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        checks.check(tmp_path / "corpora.yaml")


def test_published_counts_are_those_of_the_manifests():
    librispeech, voxceleb1, slurp = (published(page) for page in ("librispeech", "voxceleb1", "slurp"))
    assert checks.LIBRISPEECH.items() <= librispeech["PUBLISHED"].items()
    releases = published("common_voice")["PUBLISHED"]
    assert {language: releases[language]["11.0"] for language in releases} == checks.COMMON_VOICE
    assert [checks.SLURP["devel"], checks.SLURP["test"]] == list(slurp["PUBLISHED"].values())
    numbers = [voxceleb1["TRAIN"], voxceleb1["TEST"], voxceleb1["TRIALS"]["veri_test2.txt"]]
    assert list(checks.VOXCELEB1.values()) == numbers
    assert sum(published("iemocap")["PUBLISHED"].values()) == IEMOCAP


def test_buckeye_is_cut_by_our_preparation_and_read_alike_by_both_recipes(corpora, tmp_path):
    source = corpora("buckeye").parent / "corpora/buckeye"
    out = buckeye.prepare(source, tmp_path / "prepared")
    tables = {split: list(csv.DictReader((out / f"{split}.csv").read_text().splitlines())) for split in buckeye.SPLITS}
    speakers = {split: {row["spk_id"] for row in rows} for split, rows in tables.items()}
    assert speakers == {"train": {"s01"}, "valid": {"s36", "s37"}, "test": {"s38", "s40"}}
    row = tables["train"][0]
    assert (row["ID"], row["wrd"], row["start_seg"]) == ("s0101a-000", "I DON'T KNOW IT", "0.0")
    assert row["duration"] == row["end_seg"] == "3.0"
    before = (out / "train.csv").stat().st_mtime_ns
    assert buckeye.prepare(source, out) == out and (out / "train.csv").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="was prepared from .*buckeye, not from"):
        buckeye.prepare(tmp_path / "another", out)
