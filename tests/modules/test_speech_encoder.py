"""Is the half that fine-tuning keeps a model of its own, over which another objective is one class?"""

import torch
import torch.nn.functional as F
from best_rq import BestRQ

from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig, MaskingConfig, ObjectiveConfig
from fairseq_summarymixing.modules.speech_encoder import SpeechEncoder
from fairseq_summarymixing.modules.wav2vec2 import ContrastiveOutput, Wav2Vec2

TINY = (
    FrontendConfig(
        conv_feature_layers=((16, 10, 5), (16, 8, 8), (24, 8, 8)), extractor_mode="layer_norm", feature_grad_mult=0
    ),
    EncoderConfig(
        encoder_layers=2,
        encoder_embed_dim=32,
        encoder_ffn_embed_dim=48,
        encoder_attention_heads=4,
        conv_pos=4,
        conv_pos_groups=2,
        dropout=0,
        attention_dropout=0,
    ),
    MaskingConfig(mask_length=4),
)


def test_another_objective_is_one_class_and_learns():
    torch.manual_seed(0)
    model = BestRQ(*TINY).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    source = torch.randn(4, 16000)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(*model(source, seeds=[1, 2, 3, 4]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_its_encoder_is_that_of_wav2vec2_by_name():
    model, wav2vec2 = BestRQ(*TINY), Wav2Vec2(*TINY, ObjectiveConfig())
    missing, unexpected = wav2vec2.load_state_dict(model.state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing} == {"project_q", "final_proj"}
    assert {name.split(".")[0] for name in unexpected} == {"projection", "codebook", "head"}


def test_masked_frames_are_those_of_the_mask_in_order_and_not_seen():
    model = SpeechEncoder(*TINY).eval()
    source = torch.randn(2, 16000)
    mask = torch.zeros(2, model(source).x.shape[1], dtype=torch.bool)
    mask[0, 3:8] = mask[1, 10:12] = True
    masked = model.encode_masked(source, mask_indices=mask)
    whole = model.encode(source, mask=True, mask_indices=mask)
    assert masked.counts == [5, 2]
    torch.testing.assert_close(masked.context, whole.x[mask])
    torch.testing.assert_close(masked.features, model(source).features[mask])
    hop, size = model.feature_extractor.hop, model.feature_extractor.receptive_field
    source[0, 4 * hop : 6 * hop + size] = 0  # of frames 3 to 7
    torch.testing.assert_close(model.encode_masked(source, mask_indices=mask).context, masked.context)


def test_calling_a_model_runs_its_hooks():
    encoder, wav2vec2 = SpeechEncoder(*TINY).eval(), Wav2Vec2(*TINY, ObjectiveConfig(num_negatives=3)).eval()
    source, outputs = torch.randn(2, 16000), []
    for model in (encoder, wav2vec2):
        model.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    found = encoder(source)
    assert isinstance(wav2vec2(source, seeds=[1, 2]), ContrastiveOutput)
    assert outputs[0] is found and isinstance(outputs[1], ContrastiveOutput)
    assert torch.equal(found.x, encoder.encode(source).x) and len(found.hidden_states) == 3
