"""Does the encoder do what fairseq users expect of layers, layerdrop, checkpointing and padding?"""

import dataclasses

import pytest
import reference
import torch

from fairseq_summarymixing.modules.build import MIXERS, build_encoder
from fairseq_summarymixing.modules.compiling import compile_layers
from fairseq_summarymixing.modules.config import EncoderConfig
from fairseq_summarymixing.modules.lean.replace import make_lean
from fairseq_summarymixing.modules.positional import ConvPositions, WeightNormConv1d

TINY = EncoderConfig(
    encoder_layers=3,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=24,
    encoder_attention_heads=4,
    conv_pos=5,
    conv_pos_groups=4,
    depthwise_conv_kernel_size=5,
    dropout=0.0,
    attention_dropout=0.0,
)
TRANSFORMERS = [dict(layer_norm_first=first, conv_pos=conv_pos) for first in (False, True) for conv_pos in (5, 8)]
CONFORMER = dict(encoder_layer="conformer", activation_fn="swish", layer_norm_first=True)
CONFORMERS = [dict(CONFORMER, positions=positions) for positions in ("conv", "sinusoidal")]


def tiny(**changes):
    return build_encoder(dataclasses.replace(TINY, **changes))


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("fields", TRANSFORMERS + CONFORMERS, ids=str)
def test_alone_equals_padded_and_padding_gets_no_gradient(mixer, fields):
    encoder = tiny(mixer=mixer, **fields).double().eval()
    lengths = [11, 4, 1]
    x = torch.randn(3, 11, 16, dtype=torch.double, requires_grad=True)
    out = encoder(x, reference.padding_mask(lengths, 11)).x
    for row, length in enumerate(lengths):
        alone = encoder(x[row : row + 1, :length]).x
        torch.testing.assert_close(out[row : row + 1, :length], alone, atol=1e-10, rtol=1e-8)
    sum(out[row, :length].square().sum() for row, length in enumerate(lengths)).backward()
    assert all((x.grad[row, length:] == 0).all() for row, length in enumerate(lengths))


def test_hidden_states_are_one_more_than_layers_also_with_layerdrop():
    encoder = tiny(encoder_layerdrop=0.5).train()
    states = encoder(torch.randn(2, 7, 16), return_hidden_states=True).hidden_states
    assert [tuple(state.shape) for state in states] == [(2, 7, 16)] * 4
    assert encoder(torch.randn(2, 7, 16)).hidden_states is None


def test_layerdrop_of_1_runs_no_layer_in_training_and_all_in_evaluation():
    encoder = tiny(encoder_layerdrop=1.0)
    x = torch.randn(1, 6, 16)
    first, *_, last = encoder(x, return_hidden_states=True).hidden_states
    assert torch.equal(first, last)
    first, *_, last = encoder.eval()(x, return_hidden_states=True).hidden_states
    assert not torch.equal(first, last)


def test_last_layer_stops_there():
    encoder = tiny(layer_norm_first=True).eval()
    x = torch.randn(1, 6, 16)
    states = encoder(x, return_hidden_states=True).hidden_states
    output = encoder(x, last_layer=0, return_hidden_states=True)
    assert torch.equal(output.x, states[1]) and len(output.hidden_states) == 2


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("layers", [{}, CONFORMER], ids=["transformer", "conformer"])
def test_checkpointed_activations_give_the_same_gradients(mixer, layers):
    fields = dict(layers, mixer=mixer, dropout=0.1, attention_dropout=0.1, activation_dropout=0.1)
    plain, saving = tiny(**fields), tiny(**fields, checkpoint_activations=True)
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 9, 16)
    gradients = []
    for encoder in (plain, saving):
        torch.manual_seed(1)
        encoder(x, reference.padding_mask([9, 4], 9)).x.square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters()])
    for expected, found in zip(*gradients):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mixer", MIXERS)
def test_bf16_stays_close_to_fp32(mixer):
    encoder = tiny(mixer=mixer, encoder_embed_dim=64, encoder_ffn_embed_dim=128).eval()
    x = torch.randn(2, 50, 64)
    expected = encoder(x).x
    found = encoder.bfloat16()(x.bfloat16()).x.float()
    assert (found - expected).norm() / expected.norm() < 2e-2


def test_positions_are_as_long_as_the_input_and_weight_norm_is_its_formula():
    for kernel in (4, 5):
        positions = ConvPositions(8, kernel, groups=2)
        assert positions(torch.randn(1, 9, 8)).shape == (1, 9, 8)
    conv = WeightNormConv1d(8, 5, groups=2)
    with torch.no_grad():
        conv.weight_g.mul_(3)
    x = torch.randn(2, 8, 9)
    # at the start g = ||v||, so three times g is three times the weight
    expected = torch.nn.functional.conv1d(x, 3 * conv.weight_v, padding=2, groups=2)
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mixer": "fourier"}, "mixer must be one of summary_mixing, .*, no_summary; got 'fourier'"),
        *(
            (
                {"mixer": mixer, "encoder_attention_heads": 5},
                "model_dim must be a positive multiple of num_heads; got 16 and 5 "
                r"\(model_dim is encoder_embed_dim, num_heads is encoder_attention_heads",
            )
            for mixer in MIXERS
        ),
        ({"summary_hidden_dim": 6}, "hidden_dim must be a positive multiple of num_heads; got 6 and 4"),
        (
            {"mixer": "hyper_mixing", "encoder_ffn_embed_dim": 26},
            r"got 26 and 4 \(num_heads is encoder_attention_heads, hidden_dim is encoder_ffn_embed_dim\)",
        ),
        ({"conv_pos_groups": 3}, "conv_pos_groups must divide encoder_embed_dim; got 3 and 16"),
        ({"dropout": 1.5}, "dropout must lie between 0 and 1; got 1.5"),
        ({"encoder_layers": 0}, "encoder_layers must be at least 1; got 0"),
        ({"encoder_layers": 10**6}, "encoder_layers must be at most 1000; got 1000000"),
        ({"encoder_embed_dim": 10**9}, "encoder_embed_dim must be at most 1048576; got 1000000000"),
        ({"encoder_layers": "12"}, "encoder_layers must be a number; got '12'"),
        ({"activation_fn": "gleu"}, "activation_fn must be one of"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        tiny(**change)


@pytest.mark.skipif(not hasattr(torch.amp, "is_autocast_available"), reason="compiles with torch >= 2.4")
@pytest.mark.parametrize(
    "mixer, encoder_layer",
    [
        ("summary_mixing", "transformer"),
        ("summary_mixing", "conformer"),
        ("self_attention", "transformer"),
        ("self_attention", "conformer"),
        ("hyper_mixing", "transformer"),
        ("fastformer", "transformer"),
    ],
)
def test_torch_compile_takes_the_encoder_in_one_graph(encoder_layer, mixer):
    torch._dynamo.reset()  # each encoder counts as a recompilation of the same code, of which there may be 8
    encoder = tiny(mixer=mixer, encoder_layer=encoder_layer, dropout=0.1, activation_dropout=0.1)
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 9, 16, requires_grad=True)
    padding_mask = torch.arange(9) >= torch.tensor([[9], [6]])
    compiled(x, padding_mask).x.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(compiled.eval()(x, padding_mask).x, encoder.eval()(x, padding_mask).x)


@pytest.mark.skipif(not hasattr(torch.amp, "is_autocast_available"), reason="compiles with torch >= 2.4")
def test_compiled_layers_are_one_graph_for_all_lengths_and_the_same_model():
    torch._dynamo.reset()
    encoder = make_lean(tiny(encoder_layer="conformer"))
    names, x = list(encoder.state_dict()), torch.randn(2, 30, 16)
    expected = [encoder(x[:, :frames]).x for frames in (9, 17, 30)]
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    compile_layers(encoder, backend="aot_eager")
    for frames, out in zip((9, 17, 30), expected):
        torch.testing.assert_close(encoder(x[:, :frames]).x, out)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - before == 1
    assert list(encoder.state_dict()) == names


@pytest.mark.skipif(not hasattr(torch.amp, "is_autocast_available"), reason="compiles with torch >= 2.4")
@pytest.mark.parametrize("mixer, fields", [("summary_mixing", CONFORMER), ("self_attention", {})], ids=["ours", "twin"])
def test_compiled_layers_train_in_at_most_four_graphs_without_breaks(mixer, fields):
    """One for batches of any size and length, and one more each for one utterance, for no mask, and for both."""
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    dropouts = dict(dropout=0.1, attention_dropout=0.1, activation_dropout=0.1)
    encoder = make_lean(tiny(mixer=mixer, **fields, **dropouts)).train()
    compile_layers(encoder, backend="aot_eager")

    def graphs(*batches, padded):
        for size, frames in batches:
            x = torch.randn(size, frames, 16, requires_grad=True)
            lengths = torch.tensor([frames] + [frames - 3] * (size - 1))
            encoder(x, torch.arange(frames) >= lengths[:, None] if padded else None).x.sum().backward()
            assert x.grad.isfinite().all()
        return counters["stats"]["unique_graphs"]

    assert graphs((4, 30), (3, 41), (7, 25), (2, 50), padded=True) == 1
    assert graphs((1, 60), (1, 31), padded=True) == 2
    assert graphs((5, 33), (2, 47), padded=False) == 3
    assert graphs((1, 70), (1, 29), padded=False) == 4
    assert graphs((6, 21), (1, 19), padded=True) == graphs((6, 22), (1, 20), padded=False) == 4
    assert not counters["graph_break"]
