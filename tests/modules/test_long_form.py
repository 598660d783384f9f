"""Is a recording chunk by chunk the same as in one pass, in memory of a chunk and one hidden state per frame?"""

import pytest
import torch
import torch.nn.functional as F
from largest import Largest
from torch import nn
from wrapping import Doubled, leaves, place

from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig, MaskingConfig
from fairseq_summarymixing.modules.conformer import ConformerLayer, ConvolutionModule
from fairseq_summarymixing.modules.frontend import LogMelExtractor
from fairseq_summarymixing.modules.long_form import chunking_obstacle, encode_in_chunks
from fairseq_summarymixing.modules.positional import WeightNormConv1d
from fairseq_summarymixing.modules.speech_encoder import SpeechEncoder
from fairseq_summarymixing.modules.summary_mixing import SummaryMixing

CONV = ((8, 10, 5), (8, 3, 2), (8, 3, 2), (12, 2, 2))  # a frame each 40 samples
FRONTENDS = {
    "group_norm": dict(conv_feature_layers=CONV),
    "layer_norm": dict(conv_feature_layers=CONV, extractor_mode="layer_norm", conv_bias=True),
    "log_mel": dict(frontend="log_mel", num_mel_bins=20, mel_conv_layers=((12, 3, 2), (12, 5, 1))),
}


def build(
    frontend="log_mel", mixer="summary_mixing", encoder_layer="conformer", positions="conv", first=True, **fields
):
    torch.manual_seed(0)
    sizes = dict(encoder_layers=3, encoder_embed_dim=16, encoder_ffn_embed_dim=24, encoder_attention_heads=2)
    kernels = dict(conv_pos=8, conv_pos_groups=2, depthwise_conv_kernel_size=7)
    kinds = dict(mixer=mixer, encoder_layer=encoder_layer, positions=positions, layer_norm_first=first)
    encoder = EncoderConfig(**{**sizes, **kernels, **kinds, **fields})
    model = SpeechEncoder(FrontendConfig(**FRONTENDS[frontend]), encoder, MaskingConfig())
    for parameter in model.parameters():  # norms that do something, branches that differ
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def check(model, wave, chunk):
    expected = model.encode(wave.unsqueeze(0))
    received = [torch.full_like(state[0], torch.nan) for state in expected.hidden_states]

    def on_chunk(number, first, x):
        received[number][first : first + len(x)] = x

    x = encode_in_chunks(model, wave, chunk, on_chunk)
    torch.testing.assert_close(x, expected.x, atol=1e-4, rtol=1e-4)
    for found, state in zip(received, expected.hidden_states):
        torch.testing.assert_close(found, state[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("samples", [2000, 12345])
def test_every_front_end_is_exact(frontend, chunk, samples):
    wave = 0.3 + torch.randn(samples)  # not normalised
    check(build(frontend), wave, chunk)


@pytest.mark.parametrize("mixer", ["summary_mixing", "summary_mixing_lite"])
@pytest.mark.parametrize("encoder_layer", ["transformer", "conformer"])
@pytest.mark.parametrize("positions, conv_pos", [("sinusoidal", 8), ("conv", 8), ("conv", 5)])
@pytest.mark.parametrize("first", [False, True])
def test_every_encoder_is_exact(mixer, encoder_layer, positions, conv_pos, first):
    fields = dict(mixer=mixer, encoder_layer=encoder_layer, positions=positions, first=first, conv_pos=conv_pos)
    for chunk in (1, 3, 20):
        check(build("layer_norm", **fields), torch.randn(4321), chunk)


def test_audio_of_one_frame():
    for frontend in FRONTENDS:
        check(build(frontend), torch.randn(400), 10)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_nothing_larger_than_one_hidden_state_per_frame_is_made(frontend):
    model = build(frontend, encoder_embed_dim=96, encoder_ffn_embed_dim=384)
    wave = torch.randn(320_000)
    with Largest() as seen:
        states = encode_in_chunks(model, wave, 50)
    whole = states.numel() * states.element_size()
    audio = (len(wave) + 400) * 4
    assert seen.bytes <= max(whole, audio)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_wrapped_convolutions_are_called_in_one_pass_and_in_chunks(frontend):
    model, wave = build(frontend), torch.randn(4321)
    for name in leaves(model, (nn.Conv1d, WeightNormConv1d)):
        parent, leaf = place(model, name)
        setattr(parent, leaf, Doubled(getattr(parent, leaf)))
    assert not torch.allclose(model.encode(wave.unsqueeze(0)).x, build(frontend).encode(wave.unsqueeze(0)).x, atol=1e-2)
    check(model, wave, 7)


def test_adapters_of_peft_are_computed_in_chunks():
    peft = pytest.importorskip("peft", reason="the dev extra's peft is not installed")
    model = build()
    config = peft.LoraConfig(r=2, target_modules=["fc1", "combiner"], init_lora_weights=False)
    check(peft.inject_adapter_in_model(config, model).eval(), torch.randn(4321), 7)


class CausalSummary(SummaryMixing):
    """Each frame beside the mean up to itself, with all of the parent's methods: the mean of all cannot give it."""

    def forward(self, x, padding_mask=None):
        counts = torch.arange(1, x.shape[1] + 1).view(1, -1, 1)
        mean = self.summary(x).cumsum(dim=1) / counts
        frames = [super(CausalSummary, self).mix(x[:, t : t + 1], mean[:, t : t + 1]) for t in range(x.shape[1])]
        return torch.cat(frames, dim=1)


class DeclaredWithoutMix(CausalSummary):
    """It declares what it does not do: its ``mix`` is that of another ``forward``."""

    computes_in_chunks = True
    forward = CausalSummary.forward


class RunningMean(nn.LayerNorm):
    """Each frame is the mean of those up to itself."""

    def forward(self, x):
        return super().forward(x).cumsum(dim=1) / torch.arange(1, x.shape[1] + 1).view(1, -1, 1)


class Centred(SpeechEncoder):
    """Features less their mean over the recording."""

    def extract_normalised(self, source, padding_mask):
        features = super().extract_normalised(source, padding_mask)
        return features._replace(projected=features.projected - features.projected.mean(dim=1, keepdim=True))


class DeclaredAgain(SummaryMixing):
    """The same mathematics by another name."""

    computes_in_chunks = True


class CausalConvolution(ConvolutionModule):
    """Each frame sees those before it alone."""

    def forward(self, x, padding_mask=None):
        half = self.depthwise.kernel_size[0] // 2
        return super().forward(F.pad(x, (0, 0, half, 0)), padding_mask)[:, : x.shape[1]]


def changed(model, path, kind):
    """The model with the part at ``path`` in its layers made ``kind``, with the same parameters."""
    for layer in model.encoder.layers:
        layer.get_submodule(path).__class__ = kind
    return model


@pytest.mark.parametrize(
    "path, kind, named",
    [
        ("mixer", CausalSummary, "CausalSummary"),
        ("mixer.local_norm", RunningMean, "RunningMean"),
        ("convolution", CausalConvolution, "CausalConvolution"),
        ("", type("OtherLayer", (ConformerLayer,), {}), "OtherLayer"),
    ],
    ids=["mixer", "norm", "convolution", "layer"],
)
def test_a_subclass_does_not_inherit_that_it_computes_in_chunks(path, kind, named):
    model = changed(build(), path, kind)
    with pytest.raises(ValueError, match=f"{named} does not declare computes_in_chunks"):
        encode_in_chunks(model, torch.randn(4000), 10)


def test_neither_does_a_front_end_nor_a_part_whose_call_is_not_its_classs():
    model = build()
    model.feature_extractor.__class__ = type("OtherMel", (LogMelExtractor,), {})
    replaced, hooked = build(), build()
    replaced.encoder.layers[1].mixer.forward = lambda x, padding_mask=None: x
    hooked.encoder.layers[2].register_forward_hook(lambda module, inputs, x: 2 * x)
    obstacles = [chunking_obstacle(each) for each in (model, replaced, hooked)]
    assert obstacles == ["OtherMel", "SummaryMixing", "ConformerLayer"]


def test_neither_does_a_mixer_with_the_mix_of_another_forward():
    with pytest.raises(ValueError, match="DeclaredWithoutMix .* and a mix of its own beside its forward.; call encode"):
        encode_in_chunks(changed(build(), "mixer", DeclaredWithoutMix), torch.randn(4000), 10)


def test_neither_does_a_mixer_without_a_summary():
    model = build()
    del model.encoder.layers[0].mixer.summary
    assert chunking_obstacle(model) == "SummaryMixing"


@pytest.mark.parametrize("method", ["extract_normalised", "encode", "_extract"])
def test_neither_does_a_model_with_methods_of_its_own_that_chunks_pass_over(method):
    model = build()
    model.__class__ = Centred
    assert chunking_obstacle(model) == "Centred"
    own = {method: lambda self, *args: getattr(SpeechEncoder, method)(self, *args)}
    model.__class__ = type("Another", (SpeechEncoder,), own)
    assert chunking_obstacle(model) == "Another"
    model.__class__ = type("Declared", (SpeechEncoder,), {**own, "computes_in_chunks": True})
    check(model, torch.randn(4321), 7)


def test_a_layer_of_another_class_needs_no_mixer():
    model = build()
    model.encoder.layers[1] = RunningMean(16)
    assert chunking_obstacle(model) == "RunningMean"


def test_modules_of_an_objective_need_not_declare_it():
    model = build()
    model.__class__ = type("Objective", (SpeechEncoder,), {"forward": lambda self, x: self.head(self.encode(x).x)})
    model.head = RunningMean(16)
    check(model, torch.randn(4321), 7)


def test_a_subclass_that_declares_it_again_does():
    check(changed(build(), "mixer", DeclaredAgain), torch.randn(4321), 7)


def test_what_cannot_be_done_in_chunks_is_refused():
    with pytest.raises(ValueError, match="cannot be computed chunk by chunk: SelfAttention does not declare"):
        encode_in_chunks(build(mixer="self_attention"), torch.randn(4000), 10)
    with pytest.raises(ValueError, match="evaluation mode"):
        encode_in_chunks(build().train(), torch.randn(4000), 10)
    for frontend in FRONTENDS:
        with pytest.raises(ValueError, match="audio must have at least"):
            encode_in_chunks(build(frontend), torch.randn(20), 10)
