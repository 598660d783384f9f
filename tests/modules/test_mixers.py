"""Is each mixer the paper's equation, with and without padding, in values and gradients?"""

import pytest
import reference
import torch

from fairseq_summarymixing.modules.attention import SelfAttention
from fairseq_summarymixing.modules.fastformer import Fastformer
from fairseq_summarymixing.modules.hyper_mixing import HyperMixing
from fairseq_summarymixing.modules.no_summary import NoSummary
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing, SummaryMixingLite, masked_mean

DIM, HEADS = 12, 3


def summary_mixing(**kwargs):
    mixer = SummaryMixing(DIM, HEADS, dropout=0.0, **kwargs).double()
    return mixer, lambda x, lengths: reference.summary_mixing(mixer, x, lengths, HEADS)


def summary_mixing_lite():
    mixer = SummaryMixingLite(DIM, HEADS).double()
    return mixer, lambda x, lengths: reference.summary_mixing_lite(mixer, x, lengths, HEADS)


def self_attention():
    mixer = SelfAttention(DIM, HEADS, dropout=0.0).double()
    return mixer, lambda x, lengths: reference.self_attention(mixer, x, lengths, HEADS)


def hyper_mixing(**kwargs):
    mixer = HyperMixing(DIM, HEADS, dropout=0.0, **kwargs).double()
    return mixer, lambda x, lengths: reference.hyper_mixing(mixer, x, lengths, HEADS)


def fastformer():
    mixer = Fastformer(DIM, HEADS, dropout=0.0).double()
    torch.nn.init.normal_(mixer.query_score)  # weights that differ from frame to frame
    torch.nn.init.normal_(mixer.key_score)
    return mixer, lambda x, lengths: reference.fastformer(mixer, x, lengths, HEADS)


def no_summary():
    mixer = NoSummary(DIM, HEADS, dropout=0.0).double()
    return mixer, lambda x, lengths: reference.no_summary(mixer, x, lengths, HEADS)


ALL = {
    "summary_mixing": summary_mixing,
    "summary_mixing, narrow branches": lambda: summary_mixing(hidden_dim=6),
    "summary_mixing, no branch norm": lambda: summary_mixing(branch_norm=False),
    "summary_mixing_lite": summary_mixing_lite,
    "self_attention": self_attention,
    "hyper_mixing": hyper_mixing,
    "hyper_mixing, few hidden units": lambda: hyper_mixing(hidden_dim=6),
    "fastformer": fastformer,
    "no_summary": no_summary,
}


@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
@pytest.mark.parametrize("lengths", [[1], [2], [7], [7, 1, 4]], ids=str)
def test_mixer_is_its_equation_in_values_and_gradients(make, lengths):
    mixer, slow = make()
    total = max(lengths)
    x = torch.randn(len(lengths), total, DIM, dtype=torch.double, requires_grad=True)
    mask = reference.padding_mask(lengths, total)
    real = (~mask).unsqueeze(-1)
    weights = torch.randn(len(lengths), total, DIM, dtype=torch.double)

    fast_out = mixer(x, mask if mask.any() else None) * real
    slow_out = slow(x, lengths)
    torch.testing.assert_close(fast_out, slow_out)

    inputs = [x, *mixer.parameters()]
    fast = torch.autograd.grad((fast_out * weights).sum(), inputs, retain_graph=True)
    slow = torch.autograd.grad((slow_out * weights).sum(), inputs)
    for fast_gradient, slow_gradient in zip(fast, slow):
        torch.testing.assert_close(fast_gradient, slow_gradient)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
def test_permuting_frames_permutes_outputs(make):
    mixer, _ = make()
    x = torch.randn(2, 9, DIM, dtype=torch.double)
    order = torch.randperm(9)
    torch.testing.assert_close(mixer(x[:, order]), mixer(x)[:, order])


@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
def test_padding_gets_no_gradient_and_changes_nothing(make):
    mixer, _ = make()
    alone = torch.randn(1, 5, DIM, dtype=torch.double)
    padded = torch.cat([alone, torch.full((1, 4, DIM), 1e3, dtype=torch.double)], dim=1).requires_grad_()
    out = mixer(padded, reference.padding_mask([5], 9))[:, :5]
    torch.testing.assert_close(out, mixer(alone))
    out.square().sum().backward()
    assert (padded.grad[:, 5:] == 0).all()
    assert (padded.grad[:, :5] != 0).any()


@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
def test_an_utterance_of_padding_alone_gives_finite_outputs_and_gradients(make):
    mixer, _ = make()
    if isinstance(mixer, SelfAttention) and torch.__version__.startswith("2.0."):
        pytest.skip("torch 2.0's attention is NaN where nothing may be seen")
    x = torch.randn(2, 5, DIM, dtype=torch.double, requires_grad=True)
    out = mixer(x, reference.padding_mask([5, 0], 5))
    gradients = torch.autograd.grad(out.square().sum(), [x, *mixer.parameters()])
    assert out.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)
    torch.testing.assert_close(out[:1], mixer(x[:1]))


def test_masked_mean_counts_real_frames_alone():
    x = torch.tensor([[[2.0], [4.0], [900.0]], [[5.0], [6.0], [7.0]], [[1.0], [1.0], [1.0]]])
    mask = reference.padding_mask([2, 3, 0], 3)
    assert masked_mean(x, mask).flatten().tolist() == [3.0, 6.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_masked_mean_of_an_hour_in_half_precision(dtype, masked):
    frames = 180_000  # 1 h at 50 frames a second; the sum is past fp16's largest number, 65504
    x = torch.full((1, frames, 1), 3.0, dtype=dtype)
    mask = reference.padding_mask([frames - 1], frames) if masked else None
    assert masked_mean(x, mask).item() == 3.0


@pytest.mark.skipif(torch.__version__.startswith("2.0."), reason="torch 2.0 has no fp16 products on the CPU")
@pytest.mark.parametrize("build", [HyperMixing, Fastformer])
def test_half_an_hour_of_frames_neither_overflows_nor_vanishes_in_fp16(build):
    mixer = build(DIM, HEADS).eval()
    x = 5 + torch.randn(1, 90_000, DIM)  # the hidden units of HyperMixing are past fp16's largest number, 65504
    with torch.no_grad():
        expected, found = mixer(x), mixer.half()(x.half()).float()
    assert (found - expected).norm() / expected.norm() < 5e-3


@pytest.mark.parametrize("build", [SummaryMixing, HyperMixing, Fastformer, NoSummary])
def test_dropout_acts_in_training_only(build):
    mixer = build(DIM, HEADS, dropout=0.5)
    x = torch.randn(1, 4, DIM)
    assert not torch.equal(mixer(x), mixer(x))
    mixer.eval()
    assert torch.equal(mixer(x), mixer(x))


@pytest.mark.parametrize("build", [SummaryMixing, SummaryMixingLite, SelfAttention, HyperMixing, Fastformer, NoSummary])
def test_heads_must_divide_the_features(build):
    with pytest.raises(ValueError, match="multiple of num_heads; got 10 and 4"):
        build(10, num_heads=4)
    with pytest.raises(ValueError, match="num_heads"):
        build(10, num_heads=0)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="hidden_dim must be a positive multiple of num_heads; got 7 and 3"):
        SummaryMixing(12, 3, hidden_dim=7)
    with pytest.raises(ValueError, match="hidden_dim must be a positive multiple of num_heads; got 7 and 3"):
        HyperMixing(12, 3, hidden_dim=7)


def test_lite_is_the_mean_alone_with_nothing_after_it():
    mixer = SummaryMixingLite(768, 8)
    block = 8 * (96 * 96 + 96)  # one block-diagonal layer
    assert sum(parameter.numel() for parameter in mixer.parameters()) == 2 * block
    assert {type(module).__name__ for module in mixer.modules()} <= {
        "SummaryMixingLite",
        "Branch",
        "BlockDiagonalLinear",
        "GELU",
    }
    x = torch.randn(2, 7, 768)
    mean = mixer.summary(x).mean(dim=1, keepdim=True)
    torch.testing.assert_close(mixer(x), mean.expand(2, 7, 768))


def test_without_a_summary_no_frame_sees_another():
    mixer = NoSummary(DIM, HEADS).eval()
    x = torch.randn(2, 7, DIM)
    torch.testing.assert_close(mixer(x)[:, 3:4], mixer(x[:, 3:4]))
