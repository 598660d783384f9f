"""Does the table of names know every parameter of every recipe at its real size, both ways?"""

import pytest
import tiny
import torch

from fairseq_summarymixing.checkpoints.names import (
    SHARED_NAMES,
    STOCK_LAYER_NAMES,
    check_names,
    hf_names,
    rename,
    reverse,
)

RECIPES = sorted(path.stem for path in (tiny.EXAMPLES / "pretraining").glob("*.yaml"))


@pytest.mark.skipif(not hasattr(torch, "get_default_device"), reason="torch.device as a context needs torch 2")
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_parameter_has_its_place_in_transformers(recipe):
    transformers = pytest.importorskip("transformers", reason="the hf extra is not installed")
    pytest.importorskip("fairseq")
    from omegaconf import OmegaConf

    import fairseq_summarymixing.hf as ours
    from fairseq_summarymixing.models._fields import parse_conv_layers
    from fairseq_summarymixing.models._hf_config import to_hf
    from fairseq_summarymixing.models.wav2vec2_summarymixing import (
        Wav2Vec2SummaryMixingConfig,
        Wav2Vec2SummaryMixingModel,
    )

    model = OmegaConf.to_container(tiny.compose("pretraining", recipe, {"task.data": "/data"}).model)
    is_stock = model.pop("_name") == "wav2vec2"
    if is_stock:  # the same modules under its own names
        model["mixer"] = "self_attention"
    with torch.device("meta"):
        built = Wav2Vec2SummaryMixingModel(OmegaConf.merge(OmegaConf.structured(Wav2Vec2SummaryMixingConfig), model))
    shapes = {name: value.shape for name, value in built.state_dict().items()}
    fields = dict(built.cfg)
    log_mel = fields["frontend"] == "log_mel"
    layers = parse_conv_layers(fields["mel_conv_layers" if log_mel else "conv_feature_layers"])
    if is_stock:
        names = rename(shapes, reverse(STOCK_LAYER_NAMES), strict=False)
        shapes = {names[name]: shape for name, shape in shapes.items()}
        config = transformers.Wav2Vec2Config(**to_hf(fields, layers, ours=False))
        build = transformers.Wav2Vec2ForPreTraining
    else:
        build = ours.SummaryMixingForPreTraining
        config = ours.SummaryMixingConfig(**to_hf(fields, layers, ours=True))
    with torch.device("meta"):
        theirs = {name: value.shape for name, value in build(config).state_dict().items()}
    if is_stock:  # torch's names of a weight norm's halves, and those of the files
        for half, file_name in (("original0", "weight_g"), ("original1", "weight_v")):
            theirs = {name.replace(f"parametrizations.weight.{half}", file_name): theirs[name] for name in theirs}
    table = hf_names(not is_stock, str(fields["extractor_mode"]))
    there = rename(shapes, table)
    assert {there[name]: shape for name, shape in shapes.items()} == theirs
    back = rename(there.values(), reverse(table))
    assert all(back[there[name]] == name for name in shapes)


def test_everything_unknown_is_listed_at_once():
    with pytest.raises(ValueError, match=r"unknown parameters: a\.b, c"):
        rename(["mask_emb", "a.b", "c"], SHARED_NAMES)
    with pytest.raises(ValueError, match=r"missing b, c; unknown d"):
        check_names(["a", "d"], ["a", "b", "c"], "the model")


def test_two_names_that_would_become_one_are_refused():
    with pytest.raises(ValueError, match="several names are of one parameter: y"):
        rename(["x", "y"], (("x", "y"),), strict=False)
