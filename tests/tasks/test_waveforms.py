"""Do integers on their way to the device change the waveforms that a model sees?"""

import numpy as np
import pytest
import torch

pytest.importorskip("fairseq", reason="tests the data set of a fairseq task")
soundfile = pytest.importorskip("soundfile", reason="writes audio of several kinds")

from tiny import tone

from fairseq_summarymixing.tasks import unpack
from fairseq_summarymixing.tasks._dataset import ResilientAudioDataset

# Format, subtype, channels and rate of recordings; those of one channel, 16 bits and 16 kHz are sent as they are
STORED = {"wav": ("WAV", "PCM_16", 1, 16000), "flac": ("FLAC", "PCM_16", 1, 16000)}
OTHERS = {
    "24 bits": ("WAV", "PCM_24", 1, 16000),
    "floats": ("WAV", "FLOAT", 1, 16000),
    "ogg": ("OGG", "VORBIS", 1, 16000),
    "two channels": ("FLAC", "PCM_16", 2, 16000),
    "8 kHz": ("WAV", "PCM_16", 1, 8000),
}


def write(folder, kinds):
    """Two recordings of each kind, with an offset; one is of digital silence. Returns the manifest."""
    rows = [str(folder)]
    for kind, (container, subtype, channels, rate) in kinds.items():
        for number, seconds in enumerate((0.5, 0.81)):
            samples = 0.3 * tone(seconds, rate, seed=number) + 0.05
            name = f"{kind} {number}.{container.lower()}"
            soundfile.write(folder / name, np.stack([samples] * channels, 1), rate, subtype, format=container)
            rows.append(f"{name}\t{len(samples)}")
    soundfile.write(folder / "silence.wav", np.zeros(9000), 16000)
    (folder / "train.tsv").write_text("\n".join([*rows, "silence.wav\t9000\n"]))
    return folder / "train.tsv"


def batches(manifest, **arguments):
    """The batch of all recordings as it leaves a worker, and the same in fp32 all the way."""
    found = []
    for keep_precision in (True, False):
        data = ResilientAudioDataset(str(manifest), sample_rate=16000, keep_precision=keep_precision, **arguments)
        found.append(data.collater([data[index] for index in range(len(data))]))
    return found


@pytest.mark.parametrize("kinds", [STORED, {**STORED, **OTHERS}], ids=["16 bits", "any"])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("pad", [False, True])
def test_a_batch_is_unpacked_to_the_waveforms_that_were_read(kinds, normalize, pad, tmp_path):
    pytest.importorskip("scipy", reason="resamples with scipy")
    sent, expected = batches(write(tmp_path, kinds), pad=pad, normalize=normalize, max_sample_size=12000)
    unpacked = unpack(sent)["net_input"]
    source, expected = unpacked["source"], expected["net_input"]
    assert source.dtype == torch.float32 and source.shape == expected["source"].shape
    if kinds is STORED and normalize:
        torch.testing.assert_close(source, expected["source"], rtol=1e-6, atol=1e-6)
    elif normalize:  # in fp32 from the worker on
        torch.testing.assert_close(source, expected["source"], rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(source, expected["source"])
    if pad:
        assert torch.equal(unpacked["padding_mask"], expected["padding_mask"]) and expected["padding_mask"].any()
        assert (source[expected["padding_mask"]] == 0).all()


def test_a_sample_takes_two_bytes_where_files_hold_16_bits_and_else_four(tmp_path):
    for kinds, size in ((STORED, 2), (OTHERS, 4)):
        manifest = write(tmp_path, kinds)
        sent, _ = batches(manifest, pad=False, normalize=True)
        source = sent["net_input"]["source"]
        assert source.element_size() == size and not source.is_floating_point()
        bytes_in_all = sum(x.numel() * x.element_size() for x in (source, *sent.values()) if torch.is_tensor(x))
        assert bytes_in_all <= size * source.numel() + 24 * len(source)


def test_the_casts_of_half_precision_leave_a_batch_as_it_is(tmp_path):
    from fairseq.utils import apply_to_sample

    for kinds in (STORED, OTHERS):
        sent, expected = batches(write(tmp_path, kinds), pad=True, normalize=False)
        for half in (torch.float16, torch.bfloat16):
            cast = apply_to_sample(lambda x, half=half: x.to(half) if x.dtype == torch.float32 else x, sent)
            assert torch.equal(unpack(cast)["net_input"]["source"], expected["net_input"]["source"])


def test_noise_in_place_of_unusable_recordings_is_a_waveform(tmp_path):
    data = ResilientAudioDataset(str(write(tmp_path, STORED)), sample_rate=16000, keep_precision=True)
    nothing = data.collater([{"id": 0, "source": None}])
    source = unpack(nothing)["net_input"]["source"]
    assert nothing["id"].tolist() == [] and source.shape == (1, 16000)
    assert source.dtype == torch.float32 and source.std() == pytest.approx(0.1, rel=0.05)


def test_a_model_that_is_given_integers_says_what_makes_waveforms_of_them(tmp_path):
    from fairseq_summarymixing.models.wav2vec2_summarymixing import (
        Wav2Vec2SummaryMixingConfig,
        Wav2Vec2SummaryMixingModel,
    )

    cfg = Wav2Vec2SummaryMixingConfig(
        frontend="log_mel", encoder_layers=1, encoder_embed_dim=16, encoder_ffn_embed_dim=16, encoder_attention_heads=2
    )
    model = Wav2Vec2SummaryMixingModel.build_model(cfg)
    sent, _ = batches(write(tmp_path, STORED), pad=False)
    with pytest.raises(ValueError, match=r"got torch.int16: fairseq_summarymixing.tasks.unpack\(batch\)"):
        model(**sent["net_input"], features_only=True, mask=False)
    assert model(**unpack(sent)["net_input"], features_only=True, mask=False)["x"].isfinite().all()
