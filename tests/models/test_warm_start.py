"""What does a model take of another's checkpoint, and what not?"""

import logging

import pytest

pytest.importorskip("fairseq")

import checkpoint_files
import tiny
import torch

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.downstream.restore import restore
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.models._warm_start import read_encoder, warm_start

SETTINGS = {**tiny.TINY_PRETRAINING, "model.extractor_mode": "layer_norm", "model.latent_dim": 12}


def model_of(path):
    return restore(Checkpoint.read(path)).model


@pytest.mark.parametrize("source", ["twin", "stock"])
@pytest.mark.parametrize("ctc", [False, True], ids=["pretrained", "ctc"])
def test_all_but_the_mixers_is_taken_of_self_attention(checkpoint, tmp_path, source, ctc):
    same = {"layer_norm_first": True, "conv_bias": True}
    model = model_of(checkpoint_files.pretrained(tmp_path / "new.pt", "summary_mixing", **same))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = read_encoder(checkpoint(source, ctc))
    report = warm_start(model, checkpoint(source, ctc))
    for name, value in model.state_dict().items():
        new = ".mixer." in name or name not in found
        assert torch.equal(value, before[name] if new else found[name]), name
        assert not new or ".mixer." in name or (ctc and name.startswith(("quantizer", "project_q", "final_proj")))
    lines = {line.split()[0]: line.split()[1:] for line in report.splitlines()}
    assert len(lines["encoder.layers.*.mixer"]) == 2  # new and left, none taken
    assert lines["parameters"] == ["taken", "new", "left"]


def test_a_directory_of_hugging_face_is_the_same_start(checkpoint, exported):
    for kind in ("twin", "stock", "paper"):
        expected, found = read_encoder(checkpoint(kind)), read_encoder(exported(kind))
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_other_sizes_are_refused_all_at_once(checkpoint, tmp_path):
    model = model_of(checkpoint_files.pretrained(tmp_path / "wide.pt", "lite", encoder_ffn_embed_dim=64))
    with pytest.raises(UserError, match=r"other sizes: encoder\.layers\.0\.feed_forward\.fc1\.weight \(48, 32\), here"):
        warm_start(model, checkpoint("lite"))


@pytest.mark.parametrize("source, target", [("no_summary", "summary_mixing"), ("summary_mixing", "no_summary")])
def test_the_branch_that_two_mixers_share_is_taken_and_a_combiner_of_another_width_stays_new(tmp_path, source, target):
    start, new = (
        checkpoint_files.pretrained(tmp_path / f"{mixer}.pt", "summary_mixing", mixer=mixer)
        for mixer in (source, target)
    )
    model = model_of(new)
    for value in model.state_dict().values():
        value.fill_(7)
    warm_start(model, start)
    mixer = {name: (value == 7).all() for name, value in model.encoder.layers[0].mixer.state_dict().items()}
    assert {name.partition(".")[0] for name in mixer if not mixer[name]} == {"local", "local_norm", "combiner"}
    assert mixer["combiner.weight"] and not any(mixer[name] for name in mixer if name.startswith("local"))


def test_a_checkpoint_of_something_else_is_named(checkpoint, tmp_path):
    state = torch.load(checkpoint("lite"), weights_only=False)
    state["cfg"]["model"]["_name"] = "hubert"
    torch.save(state, tmp_path / "hubert.pt")
    with pytest.raises(UserError, match="is a checkpoint of 'hubert'; expected wav2vec2"):
        read_encoder(tmp_path / "hubert.pt")


def test_training_starts_from_it_and_its_checkpoint_needs_it_no_more(checkpoint, tmp_path, caplog):
    start = checkpoint_files.pretrained(tmp_path / "start.pt", "stock", layer_norm_first=False, conv_bias=False)
    paths = tiny.paths(tiny.write_corpus(tmp_path / "data"), tmp_path / "run")
    unchanged = {"optimization.lr": [0.0], "optimizer.adam_betas": "(0.9,0.98)"}
    settings = {**SETTINGS, **paths, **unchanged, "model.init_from": str(start)}
    with caplog.at_level(logging.INFO):
        tiny.train("pretraining", "summarymixing_base_librispeech", settings)
    assert "encoder.layers.*.mixer" in caplog.text
    found, trained = read_encoder(start), tmp_path / "run" / "checkpoint_last.pt"
    for name, value in torch.load(trained, weights_only=False)["model"].items():
        assert ".mixer." in name or torch.equal(value, found[name]), name
    start.unlink()
    assert model_of(trained).cfg.init_from == str(start)


def test_other_tasks_are_refused():
    from fairseq_summarymixing.models.wav2vec2_summarymixing import (
        Wav2Vec2SummaryMixingConfig,
        Wav2Vec2SummaryMixingModel,
    )

    config = Wav2Vec2SummaryMixingConfig(init_from="somewhere.pt")
    with pytest.raises(ValueError, match="needs task._name=wav2vec2_summarymixing"):
        Wav2Vec2SummaryMixingModel.build_model(config, task=object())
