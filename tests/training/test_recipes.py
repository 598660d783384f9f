"""Does every recipe compose, build at its real size, and train an update? Do the three columns differ in
what they should, alone?"""

import functools
import re

import pytest
import torch

pytest.importorskip("fairseq", reason="recipes run on fairseq")

from fairseq import tasks
from omegaconf import OmegaConf
from tiny import EXAMPLES, TINY_LOG_MEL, TINY_PRETRAINING, compose, finetuning, paths, train, write_corpus

PRETRAINING = sorted(path.stem for path in (EXAMPLES / "pretraining").glob("*.yaml"))
FINETUNING = sorted(path.stem for path in (EXAMPLES / "finetuning").glob("*.yaml"))

# Parameters in millions, whole pre-training model
SIZES = {
    "summarymixing_base_librispeech": 83.3,
    "self_attention_base_librispeech": 95.0,
    "wav2vec2_base_librispeech": 95.0,
    "summarymixing_large_librilight": 273.5,
    "self_attention_large_librilight": 317.4,
    "wav2vec2_large_librilight": 317.4,
    "summarymixing_155m_librilight": 154.8,
    "self_attention_166m_librilight": 165.3,
    "summarymixing_small_librilight": 24.1,
    "self_attention_small_librilight": 25.2,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def read(recipe):
    return OmegaConf.to_container(OmegaConf.load(EXAMPLES / "pretraining" / f"{recipe}.yaml"))


def finetuning_of(recipe):
    """The sizes that fine-tuning recipes begin with: base, which serves the 155M pair too, large and small."""
    return re.search("_(base|large|small)_", re.sub("155m|166m", "base", recipe))[1]


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory):
    """``pretrained(recipe)``: the checkpoint of one update with a tiny model, made once."""

    @functools.lru_cache(maxsize=None)
    def pretrain(recipe):
        tiny = TINY_LOG_MEL if read(recipe)["model"].get("frontend") == "log_mel" else TINY_PRETRAINING
        folder = tmp_path_factory.mktemp(recipe)
        train("pretraining", recipe, {**tiny, **paths(corpus, folder)})
        return folder / "checkpoint_last.pt"

    return pretrain


def finetune(recipe, corpus, checkpoint, folder):
    train("finetuning", recipe, finetuning(corpus, folder, checkpoint))
    assert (folder / "checkpoint_last.pt").exists()


@pytest.mark.parametrize("recipe", PRETRAINING)
def test_pretraining_recipe_builds_at_its_real_size(recipe):
    cfg = compose("pretraining", recipe, {"task.data": "."})
    # stock fairseq copies weights while building, which the meta device cannot
    with torch.device("cpu" if cfg.model._name == "wav2vec2" else "meta"):
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert millions == pytest.approx(SIZES[recipe], abs=0.1)


@pytest.mark.parametrize("recipe", PRETRAINING)
def test_pretraining_recipe_trains_and_its_checkpoint_fine_tunes(recipe, corpus, pretrained, tmp_path):
    finetune(f"{finetuning_of(recipe)}_100h", corpus, pretrained(recipe), tmp_path)


@pytest.mark.parametrize("recipe", sorted({*FINETUNING} - {f"{finetuning_of(name)}_100h" for name in PRETRAINING}))
def test_other_finetuning_recipes_train(recipe, corpus, pretrained, tmp_path):
    size = recipe.split("_")[0]
    ours = next(name for name in PRETRAINING if name.startswith(f"summarymixing_{size}_"))
    finetune(recipe, corpus, pretrained(ours), tmp_path)


@pytest.mark.parametrize("recipe", [name for name in PRETRAINING if name.startswith("summarymixing")])
def test_the_twin_differs_in_the_mixer_alone(recipe):
    ours, twin = read(recipe), read(recipe.replace("summarymixing", "self_attention").replace("155m", "166m"))
    assert twin["model"]["mixer"] == "self_attention"
    twin["model"]["mixer"] = ours["model"]["mixer"]
    assert twin == ours


@pytest.mark.parametrize("recipe", [name for name in PRETRAINING if name.startswith("wav2vec2")])
def test_stock_differs_in_the_model_name_alone(recipe):
    ours, stock = read(recipe.replace("wav2vec2", "summarymixing")), read(recipe)
    assert stock["model"]["_name"] == "wav2vec2"
    stock["model"].update(_name=ours["model"]["_name"], mixer=ours["model"]["mixer"])
    assert stock == ours


def millions(*modules):
    return sum(p.numel() for module in modules for p in module.parameters()) / 1e6


@pytest.mark.parametrize("recipe, encoder", [("summarymixing_155m", 152.78), ("self_attention_166m", 163.36)])
def test_every_part_of_the_papers_model_has_its_size(recipe, encoder):
    cfg = compose("pretraining", f"{recipe}_librilight", {"task.data": "."})
    with torch.device("meta"):
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
    assert millions(model.encoder) == pytest.approx(encoder, abs=0.01)
    assert millions(model.feature_extractor, model.layer_norm) == pytest.approx(0.91, abs=0.01)
    heads = millions(model.post_extract_proj, model.quantizer, model.project_q, model.final_proj)
    assert heads == pytest.approx(1.07, abs=0.01)


def test_fairseqs_adam_is_adamw():
    from fairseq.optim.adam import Adam

    torch.manual_seed(0)
    start, settings = torch.randn(7), dict(lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.05)
    ours, reference = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [Adam([ours], **settings), torch.optim.AdamW([reference], **settings)]
    for _ in range(20):
        gradient = torch.randn(7)
        for weight, optimizer in zip((ours, reference), optimizers):
            weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, reference, atol=5e-6, rtol=0)
    assert (ours - start).abs().min() > 1e-4
