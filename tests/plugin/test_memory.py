"""Is a run refused that memory can surely not hold, and no other?"""

from types import SimpleNamespace

import pytest

pytest.importorskip("fairseq")

import checkpoint_files
import numpy as np
import torch
from omegaconf import OmegaConf

from fairseq_summarymixing import load
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig, Wav2Vec2SummaryMixingModel
from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes
from fairseq_summarymixing.plugin import memory


@pytest.fixture(scope="module", params=["summary_mixing", "paper", "stock"])
def model(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "checkpoint.pt"
    return load(checkpoint_files.pretrained(path, request.param))[0]


def test_what_is_asked_for_is_less_than_what_a_step_stores(model):
    wave = torch.randn(1, 32000)
    model.train()
    with count_activation_bytes(model) as saved:
        model(wave, padding_mask=None)
    at_least = 4 * 32000 * memory.activations_per_sample(model)
    assert 0 < at_least < saved.total


def test_what_is_not_known_asks_for_nothing():
    assert memory.activations_per_sample(torch.nn.Linear(3, 3)) == 0
    assert memory.parameter_bytes(torch.nn.Linear(3, 3)) == 4 * 4 * 12


def epoch(max_tokens, sizes, batch_size=None):
    cfg = SimpleNamespace(
        dataset=SimpleNamespace(max_tokens=max_tokens, batch_size=batch_size), common=SimpleNamespace(fp16=False)
    )
    return cfg, SimpleNamespace(dataset=SimpleNamespace(sizes=np.array(sizes)))


def test_a_batch_is_no_larger_than_the_corpus():
    assert memory.largest_batch(*epoch(10**9, [3, 5])) == 8
    assert memory.largest_batch(*epoch(6, [3, 5])) == 6
    assert memory.largest_batch(*epoch(10**9, [3, 5], batch_size=1)) == 5
    assert memory.largest_batch(*epoch(None, [3, 5])) == 0


def test_too_little_memory_is_one_line_before_the_first_step(model, monkeypatch):
    trainer = SimpleNamespace(model=model, device=torch.device("cpu"))
    cfg, epoch_itr = epoch(10**12, [10**10] * 100)
    with pytest.raises(
        UserError, match="at least .* GB of memory, and this machine has .* GB: lower dataset.max_tokens=10000000"
    ):
        with memory.enough_memory(cfg, trainer, None, epoch_itr):
            pass
    cfg, epoch_itr = epoch(16000, [16000])
    with memory.enough_memory(cfg, trainer, None, epoch_itr):
        pass


@pytest.mark.parametrize("layer, mixer", [("transformer", "summary_mixing"), ("conformer", "self_attention")])
def test_a_model_that_memory_cannot_hold_is_refused_before_it_is_built(layer, mixer, monkeypatch):
    large = Wav2Vec2SummaryMixingConfig(
        encoder_layers=24,
        encoder_embed_dim=160000,
        encoder_attention_heads=16,
        encoder_layer=layer,
        mixer=mixer,
        quantize_targets=True,
    )
    state = torch.get_rng_state()
    with pytest.raises(UserError, match="parameters take .* GB, and this machine has .* GB of memory: take a smaller"):
        Wav2Vec2SummaryMixingModel.build_model(large, object())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_needs_values_to_be_built_is_not_checked():
    memory.check_memory_to_build(lambda: torch.nn.Linear(2, 2 * int(torch.ones(1).item())))


def test_memory_that_torch_cannot_have_is_one_line():
    with pytest.raises(
        UserError, match="not enough memory for the model, of which a part takes .* GB: take a smaller one"
    ):
        with memory.allocated_model():
            torch.empty(2**57)
    with pytest.raises(RuntimeError, match="another"):
        with memory.allocated_model():
            raise RuntimeError("another")


class Trainer:
    cfg = OmegaConf.create(
        {"dataset": {"max_tokens": 9000, "max_tokens_valid": 8000}, "task": {"max_sample_size": 4000}}
    )


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")])
def test_a_step_that_memory_cannot_hold_is_one_line_with_its_batch(error):
    batches = [{"net_input": {"source": torch.zeros(count, 3000)}} for count in (1, 2)]
    for samples, described in ((batches, "a batch of 2 utterances of 3000 samples"), ([{}], "a step")):
        with pytest.raises(UserError) as found, memory.memory_for_batches(Trainer, samples):
            raise error
        assert str(found.value) == (
            f"there is not enough memory for {described}: lower dataset.max_tokens=9000 or "
            "dataset.max_tokens_valid=8000 or task.max_sample_size=4000; earlier checkpoints are kept"
        )
    with pytest.raises(RuntimeError, match="another"), memory.memory_for_batches(Trainer, batches):
        raise RuntimeError("another")


def test_a_batch_that_cannot_be_loaded_is_one_line():
    with pytest.raises(UserError, match="not enough memory for the next batch: lower dataset.max_tokens, "):
        with memory.memory_to_load():
            raise MemoryError


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    machine = memory.memory_bytes(torch.device("cpu"))
    (tmp_path / "limit").write_text("5000\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (str(tmp_path / "limit"), str(tmp_path / "none"), "/nowhere"))
    assert memory.memory_bytes(torch.device("cpu")) == 5000 < machine
    assert memory.memory_bytes(torch.device("meta")) is None
