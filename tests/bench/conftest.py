import dataclasses

import pytest

from fairseq_summarymixing.bench import candidates, machine

SMALL = dict(encoder_layers=2, encoder_embed_dim=32, encoder_ffn_embed_dim=48, encoder_attention_heads=4)


@pytest.fixture
def tiny_shapes(monkeypatch):
    """The shapes of the recipes with tiny sizes, and no half second of matrix products."""
    for name, shape in candidates.SHAPES.items():
        layers = tuple((8, kernel, stride) for _, kernel, stride in shape.frontend.conv_feature_layers)
        frontend = dataclasses.replace(shape.frontend, conv_feature_layers=layers, mel_conv_layers=((8, 3, 2),))
        encoder = dataclasses.replace(
            shape.encoder, **SMALL, conv_pos=16, conv_pos_groups=2
        )  # some CPUs convolve fewer than 16 channels wrongly in bf16
        objective = dataclasses.replace(shape.objective, num_negatives=5, latent_vars=6, final_dim=12)
        monkeypatch.setitem(candidates.SHAPES, name, candidates.Shape(frontend, encoder, shape.masking, objective))
    monkeypatch.setattr(machine, "matmul_rate", lambda device, dtype: 1e9)
