"""What a user of SpeechBrain does with an exported directory, without fairseq. Run as a script:

    python speechbrain_user.py DIR REFERENCE.npz

REFERENCE holds what fairseq computed: hidden_states.K.alone and hidden_states.K.padded, wave.* and mask.*.
"""

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

for name in ("fairseq", "omegaconf", "hydra"):
    sys.modules[name] = None
warnings.simplefilter("ignore")
cache = tempfile.mkdtemp()
os.environ.update(HF_HUB_OFFLINE="1", HF_MODULES_CACHE=cache, HF_HOME=cache, CUDA_VISIBLE_DEVICES="")

import numpy as np
import torch
import transformers

from fairseq_summarymixing.integrations.torchaudio_shim import install

install()
import speechbrain
import torchaudio
from speechbrain.lobes.models import huggingface_transformers as old_path

from fairseq_summarymixing.integrations import mp3s
from fairseq_summarymixing.integrations.frozen_encoder import freeze

transformers.logging.set_verbosity_error()
directory, reference = sys.argv[1], {name: torch.from_numpy(value) for name, value in np.load(sys.argv[2]).items()}
settings = json.loads(Path(directory, "config.json").read_text())
layers = settings["num_hidden_layers"] + 1
ours = settings["model_type"] == "summarymixing"
waveform_group_norm = settings["feat_extract_norm"] == "group" and settings.get("frontend", "waveform") == "waveform"
trust = {"trust_remote_code": True} if "auto_map" in settings else {}
# transformers 4 gives the last layer of its own classes after the final norm, 5 before
compared = layers if ours else layers - 1


def load(interface="WeightedSSLModel", **options):
    return getattr(old_path, interface)(directory, cache, **trust, **options).eval()


def difference(expected, found):
    return ((expected - found).abs().max() / expected.abs().max().clamp(min=1)).item()


def weighted(case):
    """(B, T, D): the average that WeightedSSLModel starts with, of the layers that are compared."""
    return torch.stack([reference[f"hidden_states.{k}.{case}"] for k in range(compared)]).mean(0)


def only_compared(model):
    with torch.no_grad():
        model.weights[compared:] = -1e9
    return model


def weighted_ssl_model():
    model = only_compared(load())
    assert model.num_layers == layers
    with torch.no_grad():
        assert difference(weighted("alone"), model(reference["wave.alone"])) < 1e-5
    model.train()
    for _ in range(4):  # layerdrop would make the number of layers change, which SpeechBrain refuses
        features = model(torch.randn(2, 16000), torch.tensor([1.0, 0.5]))
    features.sum().backward()
    assert model.weights.grad.isfinite().all()
    frozen = load(freeze=True, layernorm=True)
    assert not frozen(torch.randn(1, 16000))[0].isnan().any()
    assert not any(parameter.requires_grad for parameter in frozen.model.parameters())


def wav2vec2():
    model = load("Wav2Vec2", output_all_hiddens=True)
    wave, mask, real = (reference[f"{name}.padded"] for name in ("wave", "mask", "real"))
    with torch.no_grad():
        alone = model(reference["wave.alone"])
        padded = model(wave, mask.sum(1) / mask.shape[1])
    for k in range(compared):
        assert difference(reference[f"hidden_states.{k}.alone"], alone[k]) < 1e-5
        assert difference(reference[f"hidden_states.{k}.padded"][real], padded[k][real]) < 1e-5
    assert load("Wav2Vec2", freeze=True, output_norm=True)(wave).shape[-1] == settings["hidden_size"]


def registered():
    """Our package, once imported, makes the trust flag needless."""
    import fairseq_summarymixing.hf  # noqa: F401

    trust.clear()
    weighted_ssl_model()
    wav2vec2()


def pretrains():
    if "PreTraining" not in settings["architectures"][0]:
        return
    model = old_path.Wav2Vec2Pretrain(directory, cache)
    output, _ = model(torch.randn(2, 16000), None)
    output.loss.backward()
    assert output.loss.isfinite()


def lengths():
    """--use-lengths: a batch padded with zeros gives what each utterance gives alone, and plain MP3S does not."""
    waves = [torch.randn(samples) for samples in (32000, 16000, 9000)]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)

    def worst(model):
        with torch.no_grad():
            together = model(batch)
            alone = [model(wave.unsqueeze(0))[0] for wave in waves]
        return max(difference(output, together[k, : len(output)]) for k, output in enumerate(alone))

    plain = worst(load())
    assert plain > 1e-3, plain
    mp3s.use_lengths()
    model = only_compared(load())
    from speechbrain.lobes.models.huggingface_transformers.weighted_ssl import WeightedSSLModel

    again = WeightedSSLModel(directory, cache)  # another class, for SpeechBrain 1.1
    assert len(again.model._forward_pre_hooks) == len(model.model._forward_pre_hooks) == 1
    with torch.no_grad():
        found, real = model(reference["wave.padded"]), reference["real.padded"]
        assert difference(weighted("padded")[real], found[real]) < 1e-5
        assert model(torch.zeros(2, 16000)).isfinite().all()
    with_lengths = worst(model)
    assert waveform_group_norm or with_lengths < 1e-5, with_lengths  # group norm averages over padding
    return {"padding's effect": round(plain, 3), "with lengths": float(f"{with_lengths:.1e}")}


def frozen():
    """--frozen: two passes in training mode are the same and give the encoder no gradients; plain MP3S's differ."""
    wave = torch.randn(2, 16000)

    def passes(model):
        torch.manual_seed(1)
        return [model.train()(wave) for _ in range(2)]

    plain = difference(*passes(load()))
    assert plain > 1e-3, plain
    mp3s.on_each_encoder(freeze)
    model = load()
    first, second = passes(model)
    assert torch.equal(first, second)
    first.sum().backward()
    assert model.weights.grad.isfinite().all()
    assert all(parameter.grad is None for parameter in model.model.parameters())
    assert list(model.state_dict()) == ["weights"]
    load().load_state_dict(model.state_dict(), strict=True)
    return {"two passes differ by": round(plain, 3)}


def shim():
    path = os.path.join(cache, "tone.wav")
    import soundfile

    soundfile.write(path, np.sin(np.arange(8000) / 10).astype(np.float32), 8000)
    wave, rate = torchaudio.load(path, frame_offset=100, num_frames=500)
    assert wave.shape == (1, 500) and rate == 8000 and torchaudio.info(path).num_frames == 8000
    assert speechbrain.dataio.dataio.read_audio(path).shape == (8000,)
    assert torchaudio.transforms.Resample(8000, 16000)(wave).shape == (1, 1000)


steps = [weighted_ssl_model, wav2vec2, registered, pretrains, lengths, frozen, shim]
shown = {}
for step in steps:
    torch.manual_seed(0)
    shown[step.__name__] = step() or True
print(json.dumps({"speechbrain": speechbrain.__version__, "transformers": transformers.__version__, "did": shown}))
