"""Does the runner keep an encoder as it was pre-trained, and let worker processes inherit what it filled in?"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import soundfile
import torch
from torch import nn

from fairseq_summarymixing.integrations.frozen_encoder import freeze
from fairseq_summarymixing.integrations.mp3s import let_workers_inherit, normalised


class Weighted(nn.Module):
    """What SpeechBrain's WeightedSSLModel does, as far as freezing goes."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4))
        self.weights = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.weights.softmax(0)[0] * self.model(x)


def frozen():
    weighted = Weighted()
    freeze(weighted)
    return weighted


def test_two_passes_in_training_mode_are_the_same_and_only_the_weights_get_gradients():
    weighted, x = frozen(), torch.randn(3, 4, requires_grad=True)
    weighted.train()
    assert torch.equal(weighted(x), weighted(x))
    assert weighted.training and not any(module.training for module in weighted.model.modules())
    weighted(x).sum().backward()
    assert weighted.weights.grad.abs().sum() > 0 and x.grad is None
    assert all(parameter.grad is None for parameter in weighted.model.parameters())


def test_the_encoder_is_not_stored_and_the_probes_checkpoint_loads_strictly():
    weighted, other = frozen(), frozen()
    with torch.no_grad():
        weighted.weights[0] = 3.0
    before = other.model[0].weight.clone()
    assert list(weighted.state_dict()) == ["weights"]
    other.load_state_dict(weighted.state_dict(), strict=True)
    assert other.weights[0] == 3.0 and torch.equal(other.model[0].weight, before)
    assert list(nn.ModuleDict({"ssl": weighted}).state_dict()) == ["ssl.weights"]


def test_waveforms_are_normalised_over_their_own_samples_alone_and_padded():
    long, short = torch.randn(8000) * 0.1 + 0.3, torch.randn(5000) * 2
    batch = normalised(torch.stack([long, nn.functional.pad(short, (0, 3000))]))
    assert torch.allclose(batch[0], nn.functional.layer_norm(long, long.shape), atol=1e-5)
    assert torch.allclose(batch[1, :5000], nn.functional.layer_norm(short, short.shape), atol=1e-5)
    assert not batch[1, 5000:].any() and not normalised(torch.zeros(1, 4000)).any()


def test_worker_processes_inherit_whatever_the_start_method(monkeypatch):
    before = multiprocessing.get_start_method()
    monkeypatch.setattr(soundfile, "filled_in", True, raising=False)
    try:
        multiprocessing.set_start_method("spawn", force=True)
        let_workers_inherit()
        with ProcessPoolExecutor(1) as pool:
            assert pool.submit(eval, "__import__('soundfile').filled_in").result()
    finally:
        multiprocessing.set_start_method(before, force=True)
