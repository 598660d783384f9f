"""Does an objective of a user's own train in fairseq by one file and a recipe?"""

from dataclasses import dataclass

import pytest
import torch

pytest.importorskip("fairseq", reason="tests a fairseq model")

import tiny
import yaml
from best_rq import BestRQ
from fairseq.models import BaseFairseqModel, register_model

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.models import ENCODER_CONFIGS, FairseqSpeechEncoder, recipe_fields

NAME = "best_rq_of_a_user"


@dataclass
class BestRQConfig(recipe_fields(ENCODER_CONFIGS)):
    pass


@register_model(NAME, dataclass=BestRQConfig)
class BestRQModel(FairseqSpeechEncoder, BestRQ, BaseFairseqModel):
    config_class, configs = BestRQConfig, ENCODER_CONFIGS

    def forward(self, source, padding_mask=None, utterance_seeds=None):
        logits, targets = super().forward(source, padding_mask, utterance_seeds)
        return {"x": logits, "targets": targets}

    def get_logits(self, net_output):
        return net_output["x"]

    def get_targets(self, sample, net_output):
        return net_output["targets"]


def test_it_trains_and_its_encoder_is_there_for_fine_tuning(tmp_path):
    corpus = tiny.write_corpus(tmp_path / "corpus", clips=4)
    recipe = yaml.safe_load((tiny.EXAMPLES / "pretraining" / "summarymixing_base_librispeech.yaml").read_text())
    sizes = {name: tiny.MODEL[name] for name in tiny.MODEL if name not in ("final_dim", "latent_vars", "num_negatives")}
    recipe["model"] = {"_name": NAME, **sizes}
    recipe["criterion"] = {"_name": "wav2vec", "infonce": True, "log_keys": []}
    (tmp_path / "best_rq.yaml").write_text("# @package _global_\n" + yaml.safe_dump(recipe))
    settings = {
        **tiny.ONE_UPDATE,
        "dataset.batch_size": None,
        "lr_scheduler.warmup_updates": 1,
        "task.min_sample_size": 4000,
    }
    folder = tmp_path / "checkpoints"
    tiny.train(tmp_path, "best_rq", {**settings, "task.data": str(corpus), "checkpoint.save_dir": str(folder)})
    checkpoint = Checkpoint.read(folder / "checkpoint_last.pt")
    assert checkpoint.name == NAME
    model = BestRQModel.build_model(BestRQConfig(**sizes))
    model.load_state_dict(torch.load(folder / "checkpoint_last.pt", weights_only=False)["model"], strict=True)
    model.remove_pretraining_modules()
    features = model.eval().extract_features(torch.randn(2, 8000), None)
    assert features["x"].shape == (2, 24, 32) and len(features["layer_results"]) == 2
    with pytest.raises(ValueError, match="model.num_negatives=7 is not supported"):
        BestRQModel.build_model(BestRQConfig(**sizes, num_negatives=7))
