"""The verbs manifest and synth, from the command line."""

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.cli import main


@pytest.fixture
def corpus(tmp_path):
    for number in range(20):
        path = tmp_path / "corpus" / f"s{number % 5}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.ones(4000), 16000)
    return tmp_path / "corpus"


def test_manifest_folder_prints_a_summary(corpus, tmp_path, capsys):
    arguments = [
        "manifest",
        "folder",
        str(corpus),
        str(tmp_path / "out"),
        "--valid-percent",
        "40",
        "--workers",
        "2",
    ]
    assert main(arguments) == 0
    assert "left out: 0 of 20 recordings" in capsys.readouterr().out
    assert (tmp_path / "out" / "train.tsv").exists()


def test_every_option_of_manifest_folder_is_passed_on(corpus, tmp_path, capsys):
    pytest.importorskip("scipy")
    (tmp_path / "table.tsv").write_text("".join(f"{number}\tWORD\n" for number in range(20)))
    options = "--valid-percent 40 --split-by speaker --speaker-regex ^(s.)/ --resample 16000 --min-seconds 0.2"
    options += f" --max-seconds 9 --extensions wav --transcripts {tmp_path / 'table.tsv'}"
    assert main(["manifest", "folder", str(corpus), str(tmp_path / "out"), *options.split()]) == 0
    assert "speakers" in capsys.readouterr().out
    assert (tmp_path / "out" / "train.tsv").read_text().splitlines()[0] == str(tmp_path / "out" / "audio")
    assert (tmp_path / "out" / "dict.ltr.txt").exists()


def test_a_mistake_is_one_line_and_status_1(tmp_path, capsys):
    assert main(["manifest", "folder", str(tmp_path / "none"), str(tmp_path / "out")]) == 1
    assert (
        capsys.readouterr().err == f"error: there is no folder {tmp_path / 'none'}; expected a folder of recordings\n"
    )
    assert main(["synth", str(tmp_path / "out"), "--languages", "xx"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_synth_makes_a_corpus(tmp_path, capsys):
    pytest.importorskip("espeakng_loader", reason="synthetic speech needs espeakng-loader")
    pytest.importorskip("scipy", reason="resampling needs scipy")
    assert main(["synth", str(tmp_path / "out"), "--minutes", "0.1", "--seed", "3", "--languages", "cy,eu"]) == 0
    assert "recordings" in capsys.readouterr().out
    assert (tmp_path / "out" / "transcripts.tsv").exists()
