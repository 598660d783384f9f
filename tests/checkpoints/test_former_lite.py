"""Is a checkpoint whose SummaryMixing-lite has a combiner refused wherever it is loaded, not half of it taken?"""

import pytest

pytest.importorskip("fairseq")

import tiny
import torch

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.checkpoints.former_lite import refuse_lite_with_combiner
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.load_encoder import load_encoder
from fairseq_summarymixing.downstream.restore import restore
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.models._warm_start import warm_start

MESSAGE = "of a SummaryMixing-lite with a combiner"
DIM = 32


def with_combiner(weights):
    """Parameters of lite mixers with what such checkpoints have beside them."""
    mixers = {name.split("summary.")[0] for name in weights if ".mixer.summary." in name}
    parts = {"combiner.weight": (DIM, DIM), "combiner.bias": (DIM,), "summary_norm.weight": (DIM,)}
    return {**weights, **{mixer + name: torch.randn(size) for mixer in mixers for name, size in parts.items()}}


@pytest.fixture(scope="module")
def former(checkpoint, tmp_path_factory):
    """``former(ctc)``: path of such a checkpoint."""

    def make(ctc=False):
        path = tmp_path_factory.mktemp("former") / "checkpoint_last.pt"
        state = torch.load(checkpoint("lite", ctc), weights_only=False)
        torch.save({**state, "model": with_combiner(state["model"])}, path)
        return path

    return make


def test_a_combiner_without_a_local_branch_is_of_a_former_lite():
    lite = ["0.mixer.summary.linear1.weight", "0.mixer.combiner.weight"]
    with pytest.raises(ValueError, match=f"{MESSAGE}, .*: train it again"):
        refuse_lite_with_combiner(lite)
    refuse_lite_with_combiner([*lite, "0.mixer.local.linear1.weight"])  # SummaryMixing itself
    refuse_lite_with_combiner(lite[:1])


@pytest.mark.parametrize("ctc", [False, True], ids=["pretrained", "ctc"])
def test_features_decode_and_exports_refuse_it(former, ctc, tmp_path, capsys):
    path = former(ctc)
    with pytest.raises(UserError, match=MESSAGE):
        load_encoder(Checkpoint.read(path), torch.device("cpu"))
    with pytest.raises(UserError, match=MESSAGE):
        restore(Checkpoint.read(path))
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    assert main(["export", "hf", str(path), str(tmp_path / "out")]) == 1
    assert MESSAGE in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_init_from_refuses_it_for_lite_alone(former, checkpoint):
    model = restore(Checkpoint.read(checkpoint("lite"))).model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=f"model.init_from=.*{MESSAGE}"):
        warm_start(model, former())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    twin = restore(Checkpoint.read(checkpoint("twin"))).model
    assert "encoder.layers.*.mixer" in warm_start(twin, former())


def test_training_refuses_to_go_on_from_it_and_to_fine_tune_it(former, tmp_path):
    data = tiny.write_corpus(tmp_path / "data")
    path = former()
    given = {"task.data": str(data), "model.extractor_mode": "layer_norm", "model.latent_dim": 12}
    settings = {**tiny.TINY_PRETRAINING, **given, "model.mixer": "summary_mixing_lite"}
    with pytest.raises(UserError, match=MESSAGE):
        tiny.train(
            "pretraining", "summarymixing_base_librispeech", {**settings, "checkpoint.save_dir": str(path.parent)}
        )
    settings = {**tiny.TINY_FINETUNING, "task.data": str(data), "model.w2v_path": str(path)}
    with pytest.raises(UserError, match=MESSAGE):
        tiny.train("finetuning", "base_100h", {**settings, "checkpoint.save_dir": str(tmp_path / "finetuned")})


@pytest.mark.parametrize("ctc", [False, True], ids=["pretrained", "ctc"])
def test_a_directory_of_hugging_face_is_refused_too(exported, ctc, tmp_path):
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    import shutil

    import transformers
    from safetensors.torch import load_file, save_file

    import fairseq_summarymixing.hf  # noqa: F401

    folder = shutil.copytree(exported("lite", ctc), tmp_path / "former")
    auto = transformers.AutoModelForCTC if ctc else transformers.AutoModelForPreTraining
    auto.from_pretrained(str(folder), trust_remote_code=False)
    weights = with_combiner(load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for kind in (auto, transformers.AutoModel):
        with pytest.raises(ValueError, match=MESSAGE):
            kind.from_pretrained(str(folder), trust_remote_code=False)
