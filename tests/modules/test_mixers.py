"""Is each mixer the paper's equation, with and without padding, in values and gradients?"""

import pytest
import reference
import torch

from fairseq_summarymixing.modules.attention import SelfAttention
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


ALL = {
    "summary_mixing": summary_mixing,
    "summary_mixing, narrow branches": lambda: summary_mixing(hidden_dim=6),
    "summary_mixing, no branch norm": lambda: summary_mixing(branch_norm=False),
    "summary_mixing_lite": summary_mixing_lite,
    "self_attention": self_attention,
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


def test_dropout_acts_on_the_joined_vector_in_training_only():
    mixer = SummaryMixing(DIM, HEADS, dropout=0.5)
    x = torch.randn(1, 4, DIM)
    assert not torch.equal(mixer(x), mixer(x))
    mixer.eval()
    assert torch.equal(mixer(x), mixer(x))


@pytest.mark.parametrize("build", [SummaryMixing, SummaryMixingLite, SelfAttention])
def test_heads_must_divide_the_features(build):
    with pytest.raises(ValueError, match="multiple of num_heads; got 10 and 4"):
        build(10, num_heads=4)
    with pytest.raises(ValueError, match="num_heads"):
        build(10, num_heads=0)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="hidden_dim must be a positive multiple of num_heads; got 7 and 3"):
        SummaryMixing(12, 3, hidden_dim=7)
    with pytest.raises(ValueError, match="activation must be one of .*gelu.*; got 'gleu'"):
        SummaryMixing(12, 3, activation="gleu")


def test_lite_is_the_mean_alone_with_nothing_after_it():
    mixer = SummaryMixingLite(768, 8)
    block = 8 * (96 * 96 + 96)  # one block-diagonal layer
    assert sum(parameter.numel() for parameter in mixer.parameters()) == 2 * block
    assert {type(module).__name__ for module in mixer.modules()} <= {
        "SummaryMixingLite", "Branch", "BlockDiagonalLinear", "GELU",
    }  # fmt: skip
    x = torch.randn(2, 7, 768)
    mean = mixer.summary(x).mean(dim=1, keepdim=True)
    torch.testing.assert_close(mixer(x), mean.expand(2, 7, 768))
    with pytest.raises(ValueError, match="summary_hidden_dim must be the model's width or left out .*; got 6 and 12"):
        SummaryMixingLite(12, 3, hidden_dim=6)
