"""Does the study of read English run from the corpora to its report, stop in time, and go on?"""

import json
import subprocess
import sys

import pytest
from tiny import EXAMPLES, ROOT, tone, write_wave

pytest.importorskip("fairseq", reason="trains with fairseq")
pytest.importorskip("matplotlib", reason="draws plots")

STUDY = EXAMPLES / "studies" / "read_english"
SPLITS = ("train", "train_1h", "train_10min", "unlabelled", "dev", "test")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Four recordings of each split."""
    folder = tmp_path_factory.mktemp("corpora")
    rows = {"read_english": ["path\ttext\tspeaker\tseconds\tsplit"], "drink_orders": ["path\tlabel\tsplit"]}
    for number, split in enumerate(SPLITS):
        for clip in range(4):
            name, text = f"{split}/{clip}.wav", "" if split == "unlabelled" else "A B" if clip % 2 else "BA A"
            write_wave(folder / "read_english" / "audio" / name, tone(2.1, seed=10 * number + clip))
            rows["read_english"].append(f"{name}\t{text}\t{split}-{clip % 2}\t2.1\t{split}")
            if split in ("train", "dev", "test"):
                write_wave(folder / "drink_orders" / "audio" / name, tone(1.0, seed=10 * number + clip))
                rows["drink_orders"].append(f"{name}\t{'iced coffee' if clip % 2 else 'latte'}\t{split}")
    for name, lines in rows.items():
        (folder / name / "utterances.tsv").write_text("\n".join(lines) + "\n")
    return folder


def study(*arguments):
    command = [sys.executable, str(STUDY / "run.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


def test_manifests_hold_the_splits_that_each_stage_needs(corpora, tmp_path):
    result = study("--data", corpora, "--out", tmp_path, "--stages", "prepare")
    assert result.returncode == 0, result.stdout + result.stderr

    def rows(name):
        root, *lines = (tmp_path / "data" / name).read_text().splitlines()
        return [line.split("/")[0] for line in lines]

    assert sorted({*rows("pretraining/train.tsv")}) == ["train", "train_10min", "train_1h", "unlabelled"]
    assert {*rows("pretraining/valid.tsv")} == {*rows("one_hour/valid.tsv")} == {"dev"}
    assert sorted({*rows("one_hour/train.tsv")}) == ["train_10min", "train_1h"]
    assert {*rows("ten_minutes/train.tsv")} == {"train_10min"} and {*rows("ten_minutes/test.tsv")} == {"test"}
    assert (tmp_path / "data" / "one_hour" / "test.ltr").read_text().splitlines()[:2] == ["B A | A |", "A | B |"]
    assert (tmp_path / "data" / "drinks" / "valid.cls").read_text().split() == ["latte", "iced_coffee"] * 2
    assert (tmp_path / "data" / "speakers" / "test.cls").read_text().split() == ["test-0", "test-1"] * 2
    assert len(list((tmp_path / "audio" / "read_english").glob("*/*.flac"))) == 24


def test_a_pair_goes_from_the_corpora_to_the_report_and_is_not_trained_again_elsewhere(corpora, tmp_path):
    out, tiny = tmp_path / "out", ["--updates", "1", "--hour-updates", "2", "--minutes-updates", "2"]
    options = ["--out", out, "--only", "summarymixing", "self_attention", "--seeds", "1", *tiny]
    first = study("--data", corpora, *options, "--stages", "prepare", "pretrain", "--minutes", "5")
    assert first.returncode == 0, first.stdout + first.stderr
    curves = [json.loads(line) for line in (out / "results/pretraining/summarymixing-1.jsonl").read_text().splitlines()]
    assert curves[0]["updates"] == 1 and curves[0]["processor"] and curves[-1]["split"] == "valid"
