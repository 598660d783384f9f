"""Does every recipe compose, build at its real size, and train an update? Do the three columns differ in
what they should, alone?"""

import pytest
import torch

pytest.importorskip("fairseq", reason="recipes run on fairseq")

from fairseq import tasks
from omegaconf import OmegaConf
from tiny import EXAMPLES, TINY_FINETUNING, TINY_PRETRAINING, compose, train, write_corpus

PRETRAINING = sorted(path.stem for path in (EXAMPLES / "pretraining").glob("*.yaml"))
FINETUNING = sorted(path.stem for path in (EXAMPLES / "finetuning").glob("*.yaml"))

# Parameters in millions, whole pre-training model
SIZES = {
    "summarymixing_base_librispeech": 83.3, "self_attention_base_librispeech": 95.0, "wav2vec2_base_librispeech": 95.0,
    "summarymixing_large_librilight": 273.5, "self_attention_large_librilight": 317.4,
    "wav2vec2_large_librilight": 317.4,
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def pretrain(recipe, corpus, folder):
    train("pretraining", recipe, {**TINY_PRETRAINING, "task.data": str(corpus), "checkpoint.save_dir": str(folder)})


def finetune(recipe, corpus, pretrained, folder):
    where = {"task.data": str(corpus), "checkpoint.save_dir": str(folder)}
    checkpoint = {"model.w2v_path": str(pretrained / "checkpoint_last.pt")}
    train("finetuning", recipe, {**TINY_FINETUNING, **where, **checkpoint})


@pytest.mark.parametrize("recipe", PRETRAINING)
def test_pretraining_recipe_builds_at_its_real_size(recipe):
    cfg = compose("pretraining", recipe, {"task.data": "."})
    # stock fairseq copies weights while building, which the meta device cannot
    with torch.device("cpu" if cfg.model._name == "wav2vec2" else "meta"):
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert millions == pytest.approx(SIZES[recipe], abs=0.1)


@pytest.mark.parametrize("recipe", PRETRAINING)
def test_pretraining_recipe_trains_and_its_checkpoint_fine_tunes(recipe, corpus, tmp_path):
    first, second = tmp_path / "pretraining", tmp_path / "finetuning"
    pretrain(recipe, corpus, first)
    size = "base" if "base" in recipe else "large"
    finetune(f"{size}_10h", corpus, first, second)
    assert (second / "checkpoint_last.pt").exists()


@pytest.mark.parametrize("recipe", FINETUNING)
def test_finetuning_recipe_trains(recipe, corpus, tmp_path_factory, tmp_path):
    size = recipe.split("_")[0]
    first = tmp_path_factory.getbasetemp() / f"pretrained-{size}"
    if not first.exists():
        name = next(name for name in PRETRAINING if name.startswith(f"summarymixing_{size}"))
        pretrain(name, corpus, first)
    finetune(recipe, corpus, first, tmp_path)
    assert (tmp_path / "checkpoint_last.pt").exists()


@pytest.mark.parametrize("recipe", [name for name in PRETRAINING if name.startswith("summarymixing")])
def test_the_twin_differs_in_the_mixer_and_stock_in_the_model_name(recipe):
    ours = OmegaConf.to_container(OmegaConf.load(EXAMPLES / "pretraining" / f"{recipe}.yaml"))
    for other, model in (("self_attention", {"mixer": "self_attention"}), ("wav2vec2", {"_name": "wav2vec2"})):
        path = EXAMPLES / "pretraining" / f"{recipe.replace('summarymixing', other)}.yaml"
        theirs = OmegaConf.to_container(OmegaConf.load(path))
        if other == "wav2vec2":
            theirs["model"]["mixer"] = "summary_mixing"
        assert {**theirs["model"], **model} == theirs["model"]
        theirs["model"].update(_name=ours["model"]["_name"], mixer=ours["model"]["mixer"])
        assert theirs == ours
