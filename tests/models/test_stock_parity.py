"""Loaded with stock weights, is the self-attention twin stock fairseq wav2vec2?"""

import pytest
import torch

pytest.importorskip("fairseq", reason="compares with stock fairseq")

from fairseq.criterions.wav2vec_criterion import Wav2vecCriterion
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from tiny import MODEL

from fairseq_summarymixing.models.wav2vec2_summarymixing import (
    Wav2Vec2SummaryMixingConfig,
    Wav2Vec2SummaryMixingModel,
)
from fairseq_summarymixing.modules.wav2vec2 import Wav2Vec2

TINY = dict(MODEL, dropout=0.0, attention_dropout=0.0)

VARIANTS = {
    "base": dict(quantize_targets=True),
    "large": dict(quantize_targets=True, extractor_mode="layer_norm", layer_norm_first=True, conv_bias=True),
    "continuous targets": dict(quantize_targets=False, latent_vars=320),
    "no projection": dict(quantize_targets=True, encoder_embed_dim=24),
}


def pair(variant):
    fields = {**TINY, **VARIANTS[variant]}
    stock = Wav2Vec2Model(Wav2Vec2Config(**fields)).eval()
    ours = Wav2Vec2SummaryMixingModel(Wav2Vec2SummaryMixingConfig(**fields, mixer="self_attention")).eval()
    ours.load_state_dict(stock.state_dict(), strict=True)
    return stock, ours


def batch(padded):
    source = torch.randn(3, 8000)
    padding_mask = torch.zeros(3, 8000, dtype=torch.bool)
    if padded:
        padding_mask[1, 5003:] = True
        padding_mask[2, 3999:] = True
        source[padding_mask] = 0
    return source, padding_mask


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("padded", [False, True])
def test_representations(variant, padded):
    stock, ours = pair(variant)
    source, padding_mask = batch(padded)
    expected = stock.extract_features(source, padding_mask)
    found = ours.extract_features(source, padding_mask)
    real = slice(None) if expected["padding_mask"] is None else ~expected["padding_mask"]
    if padded:
        assert torch.equal(found["padding_mask"], expected["padding_mask"])
    torch.testing.assert_close(found["x"][real], expected["x"][real], atol=1e-5, rtol=0)
    torch.testing.assert_close(found["features"], expected["features"], atol=1e-5, rtol=0)
    for stock_layer, our_layer in zip(expected["layer_results"], found["layer_results"]):
        stock_x, our_x = (layer[0].transpose(0, 1)[real] for layer in (stock_layer, our_layer))
        torch.testing.assert_close(our_x, stock_x, atol=1e-5, rtol=0)
    one_layer = [model.extract_features(source, padding_mask, layer=0)["x"][real] for model in (stock, ours)]
    torch.testing.assert_close(*one_layer, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_and_losses_for_the_same_mask_and_distractors(variant, monkeypatch):
    stock, ours = pair(variant)
    source, _ = batch(padded=False)
    mask = torch.zeros(3, 24, dtype=torch.bool)
    mask[:, 3:9] = True
    mask[:, 15:20] = True
    count = 11
    drawn = {}

    def remember(y, num, padding_count=None):
        negatives, indices = Wav2Vec2Model.sample_negatives(stock, y, num, padding_count)
        drawn["indices"] = indices
        return negatives, indices

    monkeypatch.setattr(stock, "sample_negatives", remember)
    stock_output = stock(source, mask_indices=mask)
    # (B, M x K) rows of all utterances -> (B x M, K) rows within the utterance
    distractors = drawn["indices"].view(3, count, 9) - torch.arange(3).view(3, 1, 1) * count
    output = Wav2Vec2.forward(ours, source, mask_indices=mask, distractors=distractors.view(-1, 9))

    # stock: (1 + K, B, M)
    expected = stock_output["x"].permute(1, 2, 0).reshape(-1, 10)
    torch.testing.assert_close(output.logits, expected, atol=1e-4, rtol=1e-5)

    losses = []
    for net_output, model in ((stock_output, stock), (ours._net_output(output), ours)):
        criterion = Wav2vecCriterion(None, infonce=True, loss_weights=[0.1, 10])
        if not model.cfg.quantize_targets:
            criterion.loss_weights = [10]
        sample = {"id": torch.arange(3), "net_input": {}}
        monkeypatch.setattr(model, "forward", lambda net_output=net_output, **_: net_output)
        loss, sample_size, logged = criterion(model, sample)
        losses.append((loss.item() / sample_size, logged["correct"], sample_size))
    assert losses[0][1:] == losses[1][1:]
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-5)


def test_gradients_of_the_loss(monkeypatch):
    stock, ours = pair("large")
    stock.train(), ours.train()
    source, padding_mask = batch(padded=True)
    for model in (stock, ours):
        model.extract_features(source, padding_mask)["layer_results"][-1][0][:10].square().mean().backward()
    expected = {name: p.grad for name, p in stock.named_parameters() if p.grad is not None}
    stock.upgrade_state_dict_named(expected, "")
    ours.upgrade_state_dict_named(expected, "")
    found = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4, msg=name)


def test_self_attention_weights_do_not_pass_for_summary_mixing():
    stock, _ = pair("base")
    model = Wav2Vec2SummaryMixingModel(Wav2Vec2SummaryMixingConfig(**{**TINY, **VARIANTS["base"]}))
    with pytest.raises(ValueError, match="model.mixer=self_attention"):
        model.load_state_dict(stock.state_dict())
