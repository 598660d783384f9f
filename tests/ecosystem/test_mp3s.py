"""Do MP3S's own recipes, one of each family, reach valid scores on exported checkpoints?

make test-ecosystem BENCHMARKS=DIR      # a checkout of github.com/speechbrain/benchmarks
"""

import json
import os
import re
import runpy

import pytest
import tiny
import torch

pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")
pytest.importorskip("scipy", reason="the demo extra is not installed")
pytest.importorskip("espeakng_loader", reason="the demo extra is not installed")

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.mp3s.environment import PUBLISHED_DIGEST, benchmark_digest, find_benchmark
from fairseq_summarymixing.downstream.mp3s.recipes import RECIPES, arguments

FAMILIES = ("LibriSpeech/LSTM", "SLURP/linear", "VoxCeleb1/Xvectors")
MODELS = ("paper", "stock")


@pytest.fixture(scope="module")
def benchmarks():
    if not os.environ.get("BENCHMARKS"):
        pytest.skip("no checkout of speechbrain/benchmarks; make test-ecosystem BENCHMARKS=DIR")
    return find_benchmark(os.environ["BENCHMARKS"])


@pytest.fixture(scope="module")
def python():
    python = tiny.ROOT / ".venv-speechbrain" / "bin" / "python"
    if not python.exists():
        pytest.skip("no environment .venv-speechbrain; make test-ecosystem makes it")
    return python


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    make = runpy.run_path(str(tiny.ROOT / "examples/mp3s/make_miniatures.py"))
    folder = tmp_path_factory.mktemp("miniatures")
    english = make["speech"](folder / "speech", "en")
    for name in ("librispeech", "slurp", "voxceleb1"):
        make[name](english, folder / name)
    (folder / "corpora.yaml").write_text("".join(f"{name}: {name}\n" for name in ("librispeech", "slurp", "voxceleb1")))
    return folder / "corpora.yaml"


@pytest.fixture(scope="module")
def out(benchmarks, python, corpora, checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("mp3s") / "out"
    before = sorted(benchmarks.rglob("*"))
    arguments = ["--benchmarks", benchmarks, "--corpora", corpora, "--python", python, "-o", out, "--epochs", 1]
    arguments += ["--seeds", 1, "--tasks", *FAMILIES, "--names", ",".join(MODELS)]
    assert (
        main(["mp3s", "run", *map(str, arguments), "--checkpoints", *(str(checkpoint(kind)) for kind in MODELS)]) == 0
    )
    assert sorted(benchmarks.rglob("*")) == before
    return out


def of(out, task, model):
    return out / "runs" / task.replace("/", "-") / model / "seed-1"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", FAMILIES)
def test_a_recipe_reaches_a_score(out, task, model):
    result = json.loads((of(out, task, model) / "result.json").read_text())
    tests = ["test-clean", "test-other"] if task.startswith("LibriSpeech") else ["test"]
    assert list(result["scores"]) == tests
    # the layers' weights move: the loss has a gradient that reaches them
    assert len(result["layer_weights"]) == 3 and len(set(result["layer_weights"])) > 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", FAMILIES)
def test_the_encoder_is_not_stored_with_the_probe(out, task, model):
    stored = list(of(out, task, model).glob("save/CKPT*/ssl_model.ckpt"))
    assert stored and all(list(torch.load(path)) == ["weights"] for path in stored)


def test_the_checkout_is_the_one_that_was_tried_out(benchmarks):
    assert benchmark_digest(benchmarks) == PUBLISHED_DIGEST


@pytest.mark.parametrize("task", RECIPES)
def test_every_option_is_one_that_the_recipe_has(benchmarks, task):
    places = dict.fromkeys(("corpus", "out", "prepared", "states", "encoder", "dim", "seed", "speaker"), 1)
    given = {option[2:].split("=")[0] for option in arguments(RECIPES[task], places, epochs=1)}
    settings = (benchmarks / RECIPES[task].folder / "hparams/ssl.yaml").read_text()
    assert given <= set(re.findall(r"^(\w+):", settings, re.MULTILINE))


def test_the_report_names_what_is_not_the_benchmark(out, capsys):
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    assert main(["mp3s", "report", str(out)]) == 0
    text = capsys.readouterr().out
    assert "commit 3560542" in text and "librispeech is not the whole corpus" in text and "--epochs 1 in place" in text
