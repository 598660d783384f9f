"""Masks, distractors, quantiser and contrastive logits: are they wav2vec 2.0's?"""

from contextlib import nullcontext

import pytest
import reference
import torch
from largest import Largest

from fairseq_summarymixing.modules import contrastive
from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig, MaskingConfig, ObjectiveConfig
from fairseq_summarymixing.modules.contrastive import contrastive_logits, diversity_loss, sample_distractors
from fairseq_summarymixing.modules.masking import (
    sample_channel_mask,
    sample_spans,
    sample_time_mask,
    utterance_generators,
)
from fairseq_summarymixing.modules.quantizer import GumbelVectorQuantizer, perplexity
from fairseq_summarymixing.modules.wav2vec2 import Wav2Vec2


def test_spans_mask_about_the_published_share():
    # Section 4.2: p = 0.065 of all frames as starts, 10 frames each: about 49 % of frames are masked
    masks = [sample_spans(750, 0.65, 10, g) for g in utterance_generators(range(200))]
    share = torch.stack(masks).float().mean()
    assert 0.46 < share < 0.51


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 10, 11, 30])
def test_masks_leave_frames_unmasked_at_any_length(size):
    for generator in utterance_generators(range(50)):
        mask = sample_spans(size, 0.65, 10, generator, min_spans=2)
        assert mask.shape == (size,)
        assert not mask.all() or size == 0
        assert mask.any() or size < 2


def test_masks_depend_on_the_utterance_and_not_on_its_company():
    together = sample_time_mask([50, 30], 50, 0.65, 10, utterance_generators([1, 2]), same_count=False)
    alone = sample_time_mask([30], 30, 0.65, 10, utterance_generators([2]), same_count=False)
    assert torch.equal(together[1, :30], alone[0])
    assert not together[1, 30:].any()


def test_same_count_and_mask_dropout():
    generators = utterance_generators(range(6))
    masks = sample_time_mask([60, 40, 50] * 2, 60, 0.65, 10, generators, same_count=True)
    assert len(set(masks.sum(1).tolist())) == 1
    thinned = sample_time_mask([60], 60, 0.65, 10, utterance_generators([0]), mask_dropout=0.5)
    full = sample_time_mask([60], 60, 0.65, 10, utterance_generators([0]))
    assert thinned.sum() == full.sum() - round(full.sum().item() * 0.5)
    assert not (thinned & ~full).any()


def test_an_utterance_has_no_masked_frame_or_at_least_two():
    lengths = [0, 1, 2, 3, 4, 30, 50]
    for seed in range(30):
        for same_count in (False, True):
            generators = utterance_generators(range(seed, seed + len(lengths)))
            counts = sample_time_mask(lengths, 50, 0.65, 10, generators, same_count, mask_dropout=0.3).sum(1).tolist()
            assert 1 not in counts and counts[-1] > 0


def test_a_channel_mask_may_mask_nothing():
    masks = sample_channel_mask(16, 0.05, 10, utterance_generators(range(40)))
    assert masks.shape == (40, 16)
    assert not masks.any(dim=1).all()


def test_distractors_are_other_frames_of_the_same_utterance():
    counts = [5, 0, 2, 7]
    picks = sample_distractors(counts, 300, utterance_generators(range(4)))
    own = torch.cat([torch.arange(count) for count in counts])
    size = torch.cat([torch.full((count,), count) for count in counts])
    assert picks.shape == (14, 300)
    assert (picks != own.unsqueeze(1)).all()
    assert ((picks >= 0) & (picks < size.unsqueeze(1))).all()
    # every other frame is drawn
    assert all(len(set(row.tolist())) == n - 1 for row, n in zip(picks, size.tolist()))


def test_one_masked_frame_has_no_distractor():
    with pytest.raises(ValueError, match="at least 2 masked frames"):
        sample_distractors([1], 10, utterance_generators([0]))


@pytest.mark.parametrize("block", [contrastive.BLOCK, 1, 4])
def test_contrastive_logits_equal_the_loop_in_values_and_gradients(block, monkeypatch):
    monkeypatch.setattr(contrastive, "BLOCK", block)
    counts = [4, 0, 6]
    context = torch.randn(10, 8, requires_grad=True)
    targets = torch.randn(10, 8, requires_grad=True)
    ids = torch.tensor([0, 1, 1, 2, 5, 6, 5, 7, 8, 9])
    picks = sample_distractors(counts, 5, utterance_generators(range(3)))
    fast = contrastive_logits(context, targets, ids, picks, counts, 0.1)
    slow = reference.contrastive_logits(context, targets, ids, picks, counts, 0.1)
    assert torch.isinf(fast).any()
    torch.testing.assert_close(fast, slow)
    wanted = torch.zeros(10, dtype=torch.long)
    for logits in (fast, slow):
        torch.nn.functional.cross_entropy(logits, wanted).backward()
        gradients = (context.grad.clone(), targets.grad.clone())
        context.grad = targets.grad = None
        if logits is fast:
            expected = gradients
    for found, from_fast in zip(gradients, expected):
        torch.testing.assert_close(from_fast, found)


def test_memory_for_similarities_is_linear_in_the_masked_frames():
    largest = []
    for frames in (2 * contrastive.BLOCK, 4 * contrastive.BLOCK):
        with Largest() as seen:
            vectors = torch.randn(frames, 4, requires_grad=True)
            picks = torch.randint(frames, (frames, 3))
            contrastive_logits(vectors, vectors, torch.arange(frames), picks, [frames]).sum().backward()
        largest.append(seen.bytes)
    assert largest == [4 * 2 * contrastive.BLOCK**2, 4 * 4 * contrastive.BLOCK**2]  # fp32


@pytest.mark.skipif(not hasattr(torch.amp, "is_autocast_available"), reason="torch < 2.4 lacks operations on meta")
@pytest.mark.parametrize("frontend", ["waveform", "log_mel"])
@pytest.mark.parametrize("mixer", ["summary_mixing", "self_attention"])
def test_a_step_asks_the_device_for_no_value(frontend, mixer, monkeypatch):
    """On the meta device there are no values: what asks for one fails."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # which knows no such device
    layers = dict(conv_feature_layers=((8, 10, 5), (8, 3, 2)), mel_conv_layers=((8, 3, 2),))
    sizes = dict(encoder_layers=2, encoder_embed_dim=16, encoder_ffn_embed_dim=16, encoder_attention_heads=2)
    model = Wav2Vec2(
        FrontendConfig(frontend=frontend, **layers),
        EncoderConfig(mixer=mixer, **sizes, conv_pos=4, conv_pos_groups=2),
        MaskingConfig(mask_channel_prob=0.1),
        ObjectiveConfig(quantize_targets=True, latent_vars=4, num_negatives=3),
    )
    model.to("meta").train()
    output = model(torch.empty(2, 16000, device="meta"), seeds=[1, 2])
    assert output.logits.device.type == "meta" and len(output.logits) > 2
    output.logits.sum().backward()


def test_perplexity_and_diversity_at_both_ends():
    uniform = torch.full((7, 2, 10), 0.1)
    assert perplexity(uniform).item() == pytest.approx(20, rel=1e-4)
    one_code = torch.zeros(7, 2, 10)
    one_code[..., 3] = 1
    assert perplexity(one_code).item() == pytest.approx(2, rel=1e-4)
    assert diversity_loss(torch.tensor(20.0), 20) == 0


def test_the_quantiser_picks_entries_and_anneals():
    quantizer = GumbelVectorQuantizer(8, num_vars=5, groups=2, vq_dim=6, temperature=(2.0, 0.5, 0.9))
    x = torch.randn(9, 8)
    out = quantizer(x)
    entries = quantizer.vars.view(2, 5, 3)
    expected = torch.cat([entries[0, out.codes[:, 0]], entries[1, out.codes[:, 1]]], dim=1)
    torch.testing.assert_close(out.x, expected)
    noisy = quantizer(x, quantizer.gumbel_noise(9))
    noisy.x.sum().backward()
    assert quantizer.weight_proj.weight.grad.abs().sum() > 0
    quantizer.set_num_updates(3)
    assert quantizer.temperature == pytest.approx(2 * 0.9**3)
    quantizer.set_num_updates(1000)
    assert quantizer.temperature == 0.5
    with pytest.raises(ValueError, match="latent_groups must divide"):
        GumbelVectorQuantizer(8, 5, groups=4, vq_dim=6, temperature=(2.0, 0.5, 0.9))
