"""Is the cost linear in the length of the audio? Counted, not timed."""

import pytest
import torch

from fairseq_summarymixing.modules.attention import SelfAttention
from fairseq_summarymixing.modules.build import build_encoder
from fairseq_summarymixing.modules.config import EncoderConfig
from fairseq_summarymixing.modules.fastformer import Fastformer
from fairseq_summarymixing.modules.hyper_mixing import HyperMixing
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing, SummaryMixingLite

flop_counter = pytest.importorskip("torch.utils.flop_counter", reason="counts operations with torch >= 2.1")

DIM = 64


def operations(module, frames):
    """Multiply-adds of matrix products, forward and backward, x 2."""
    x = torch.randn(1, frames, DIM, requires_grad=True)
    with flop_counter.FlopCounterMode(display=False) as counter:
        out = module(x)
        (out if torch.is_tensor(out) else out.x).sum().backward()
    return counter.get_total_flops()


def activation_bytes(module, frames):
    """Bytes of the distinct storages that autograd stores for the backward pass."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.randn(1, frames, DIM, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = module(x)
    assert out is not None
    return sum(storages.values())


def growth(cost, module):
    """Of the cost of 100 more frames, at 1000 frames against at 100: 1 = linear."""
    at_100 = cost(module, 200) - cost(module, 100)
    at_1000 = cost(module, 1100) - cost(module, 1000)
    return at_1000 / at_100


def encoder(mixer):
    config = EncoderConfig(
        mixer=mixer,
        encoder_layers=2,
        encoder_embed_dim=DIM,
        encoder_ffn_embed_dim=DIM,
        encoder_attention_heads=4,
        conv_pos=8,
        conv_pos_groups=4,
    )
    return build_encoder(config)


LINEAR = {
    "summary_mixing": lambda: SummaryMixing(DIM, 4),
    "summary_mixing_lite": lambda: SummaryMixingLite(DIM, 4),
    "hyper_mixing": lambda: HyperMixing(DIM, 4),
    "fastformer": lambda: Fastformer(DIM, 4),
    "encoder": lambda: encoder("summary_mixing"),
}


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR.keys())
def test_operations_grow_linearly(make):
    assert growth(operations, make()) == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR.keys())
def test_activation_memory_grows_linearly(make):
    assert growth(activation_bytes, make()) == pytest.approx(1, abs=0.01)


def test_the_count_sees_the_quadratic_part_of_self_attention():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        assert growth(operations, SelfAttention(DIM, 4)) > 1.5
