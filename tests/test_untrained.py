"""Does the script write checkpoints of a recipe's model that our loader takes, and report what it cannot build?"""

import sys

import pytest
import torch
from tiny import EXAMPLES

pytest.importorskip("fairseq", reason="builds its models")

sys.path.insert(0, str(EXAMPLES))

import untrained  # noqa: E402

import fairseq_summarymixing  # noqa: E402
from fairseq_summarymixing.errors import UserError  # noqa: E402

PAPER = EXAMPLES / "pretraining" / "summarymixing_155m_librilight.yaml"
STOCK = EXAMPLES / "pretraining" / "wav2vec2_base_librispeech.yaml"
SMALL = ["model.encoder_layers=1", "model.encoder_embed_dim=32", "model.encoder_ffn_embed_dim=48"]
SMALL += ["model.encoder_attention_heads=4", "model.conv_pos=16"]
SMALL_PAPER = [*SMALL[:-1], "model.mel_conv_layers='[(16, 3, 2)]'"]


@pytest.mark.parametrize("recipe, overrides", [(PAPER, SMALL_PAPER), (STOCK, SMALL)], ids=["paper", "stock"])
def test_a_checkpoint_is_loaded_as_what_the_recipe_names_and_the_same_each_time(tmp_path, recipe, overrides):
    weights = []
    for name in ("one.pt", "other.pt"):
        untrained.write_untrained(recipe, tmp_path / name, overrides=overrides)
        model, _ = fairseq_summarymixing.load(str(tmp_path / name))
        weights.append(model.state_dict())
    assert len(model.encoder.layers) == 1 and model.quantizer is not None
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_ctc_checkpoint_holds_a_dictionary_and_that_model(tmp_path):
    untrained.write_untrained(PAPER, tmp_path / "ctc.pt", True, [*SMALL_PAPER, "model.mixer=self_attention"])
    model, task = fairseq_summarymixing.load(str(tmp_path / "ctc.pt"))
    assert model.w2v_encoder.w2v_model.cfg.mixer == "self_attention"
    assert len(task.target_dictionary) == 4 + len(untrained.LETTERS)


def test_fields_follow_options_as_shown(tmp_path, monkeypatch):
    path = tmp_path / "ctc.pt"
    monkeypatch.setattr(sys, "argv", ["untrained.py", str(STOCK), str(path), "--ctc", *SMALL])
    assert untrained.main() == 0
    assert fairseq_summarymixing.load(str(path))[0].w2v_encoder.w2v_model.cfg.encoder_embed_dim == 32


@pytest.mark.parametrize(
    "recipe, overrides, words",
    [
        ("nowhere.yaml", [], "nowhere.yaml: there is no such recipe"),
        (EXAMPLES, [], "expected a recipe in YAML with model and task"),
        (EXAMPLES / "README.md", [], "expected a recipe in YAML with model and task"),
        (EXAMPLES / "finetuning" / "base_100h.yaml", [], "expected a pre-training recipe; its model is wav2vec_ctc"),
        (PAPER, ["model.mixer=none"], "mixer must be one of"),
        (PAPER, ["model.none=1"], "Key 'none' not in"),
        (PAPER, ["model._name=[wav2vec2]"], "expected a pre-training recipe; its model is ..wav2vec2.."),
        (PAPER, ["task._name=none"], "expected a pre-training recipe; its task is none"),
        (PAPER, ["task.normalize=maybe"], "Value 'maybe' is not a valid bool"),
        (PAPER, ["task.none=1"], "Key 'none' not in"),
        (PAPER, ["encoder_layers=1"], "expected fields as in model.encoder_layers=2; got encoder_layers=1"),
    ],
)
def test_what_cannot_be_built_is_one_line(tmp_path, recipe, overrides, words):
    with pytest.raises(UserError, match=words) as error:
        untrained.write_untrained(untrained.Path(recipe), tmp_path / "never.pt", overrides=overrides)
    assert "\n" not in str(error.value) and not (tmp_path / "never.pt").exists()


@pytest.mark.parametrize("text", ["model: [1]\ntask: {}", "model: {_name: wav2vec2}\ntask: [1]"])
def test_a_model_or_task_without_fields_is_no_recipe(tmp_path, text):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(UserError, match="expected a recipe in YAML with model and task$"):
        untrained.write_untrained(recipe, tmp_path / "never.pt")


def test_no_recipe_is_replaced(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(STOCK.read_bytes())
    with pytest.raises(UserError, match="recipe.yaml has the name of a recipe; expected that of a checkpoint"):
        untrained.write_untrained(STOCK, recipe, overrides=SMALL)
    assert recipe.read_bytes() == STOCK.read_bytes()
