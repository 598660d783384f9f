"""Can our model stand where Python code calls the methods of stock ``wav2vec2``?"""

import inspect

import pytest
import torch

pytest.importorskip("fairseq", reason="compares with stock fairseq")

from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from tiny import MODEL

from fairseq_summarymixing.models.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingConfig,
    Wav2Vec2SummaryMixingModel,
)

TINY = dict(MODEL, quantize_targets=True, dropout=0.0, attention_dropout=0.0)


def pair(**fields):
    stock = Wav2Vec2Model(Wav2Vec2Config(**{**TINY, **fields})).eval()
    cfg = Wav2Vec2SummaryMixingConfig(**{**TINY, **fields}, mixer="self_attention")
    ours = Wav2Vec2SummaryMixingModel.build_model(cfg).eval()
    ours.load_state_dict(stock.state_dict(), strict=True)
    return stock, ours


def test_every_method_of_stock_is_there_with_its_arguments():
    for name, method in vars(Wav2Vec2Model).items():
        if name.startswith("__") or not callable(getattr(Wav2Vec2Model, name)):
            continue
        ours = inspect.signature(getattr(Wav2Vec2SummaryMixingModel, name)).parameters
        theirs = inspect.signature(getattr(method, "__func__", method)).parameters.values()
        wanted = [each for each in theirs if each.name not in ("cls", "self")]
        given = [each for each in ours.values() if each.name not in ("cls", "self")]
        assert len(given) >= len(wanted), name
        if name != "quantize":  # whose argument is x there
            assert [each.name for each in given[: len(wanted)]] == [each.name for each in wanted], name
        defaults = [(one.default, other.default) for one, other in zip(given, wanted)]
        assert all(one == other or other is inspect.Parameter.empty for one, other in defaults), name


def test_quantize():
    stock, ours = pair()
    source = torch.randn(2, 8000)
    expected, codes = stock.quantize(source)
    found, our_codes = ours.quantize(source)
    torch.testing.assert_close(found, expected)
    assert torch.equal(our_codes, codes) and codes.shape == (2, 24, 2)
    ours.train()
    torch.manual_seed(0)
    drawn = [ours.quantize(source)[1] for _ in range(2)]
    assert not torch.equal(*drawn)  # as in training
    ours.remove_pretraining_modules()
    with pytest.raises(ValueError, match="quantize needs a quantiser"):
        ours.quantize(source)
    with pytest.raises(ValueError, match="needs the pre-training modules, which were removed; call encode"):
        ours(source)


def test_the_parts_of_a_step():
    stock, ours = pair()
    y = torch.randn(2, 11, 12)
    results = []
    for model in (stock, ours):
        torch.manual_seed(3)
        negatives, indices = model.sample_negatives(y, 11)
        negatives[0] = y  # a distractor that equals its target
        results.append((negatives, indices, model.compute_preds(torch.ones_like(y), y, negatives)))
    for found, expected in zip(results[1], results[0]):
        torch.testing.assert_close(found, expected)
    assert torch.isinf(results[1][2][1]).all()


@pytest.mark.parametrize("padded", [False, True])
def test_apply_mask(padded):
    stock, ours = pair()
    x = torch.randn(2, 24, 32)
    padding_mask = torch.zeros(2, 24, dtype=torch.bool) if padded else None
    if padded:
        padding_mask[1, 15:] = True
    given = torch.zeros(2, 24, dtype=torch.bool)
    given[0, 2:9] = given[1, 1:8] = True
    expected, _ = stock.apply_mask(x.clone(), padding_mask, mask_indices=given)
    found, mask = ours.apply_mask(x, padding_mask, mask_indices=given)
    torch.testing.assert_close(found, expected)
    assert torch.equal(mask, given)
    found, mask = ours.apply_mask(x, padding_mask)
    assert mask.any(dim=1).all() and not (padded and mask[padding_mask].any())
    assert (found[mask] == ours.mask_emb).all() and torch.equal(found[~mask], x[~mask])
    assert pair(mask_prob=0.0)[1].apply_mask(x, padding_mask)[1] is None


def test_features_of_masked_audio():
    stock, ours = pair()
    source, mask = torch.randn(2, 8000), torch.zeros(2, 24, dtype=torch.bool)
    mask[:, 5:12] = True
    found, expected = (model(source, features_only=True, mask_indices=mask)["x"] for model in (ours, stock))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_what_fairseq_asks_of_any_model():
    stock, ours = pair()
    for model in (stock, ours):
        model.set_num_updates(1000)
    source = torch.randn(2, 8000)
    assert ours(source)["temp"] == pytest.approx(stock(source)["temp"])
    assert ours.max_positions() is stock.max_positions() is None
    logits = torch.randn(3, 5)
    probabilities = [model.get_normalized_probs(logits, log_probs=True) for model in (stock, ours)]
    assert torch.equal(*probabilities)
    lengths = torch.tensor([8000, 4321])
    found, expected = (model._get_feat_extract_output_lengths(lengths) for model in (ours, stock))
    assert torch.equal(found, expected)
    for name in ("n_negatives", "logit_temp", "cross_sample_negatives"):
        assert getattr(ours, name) == getattr(stock, name)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(mask_channel_indices=torch.zeros(2, 24, 32, dtype=torch.bool)), "mask_channel_indices is not supported"),
        (dict(padding_count=3), "padding_count is not supported"),
        (dict(corpus_key="a"), "corpus_key is not supported"),
        (dict(mask=False), "mask=False needs features_only=True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_argument_without_meaning_here_is_refused_by_name(arguments, message):
    _, ours = pair()
    with pytest.raises(ValueError, match=message):
        ours(torch.randn(2, 8000), **arguments)
