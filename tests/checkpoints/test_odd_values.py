"""Does a checkpoint that holds something else than fairseq saves end in one line, before hours of building?"""

import copy

import pytest

pytest.importorskip("fairseq")

import torch

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.downstream.restore import restore
from fairseq_summarymixing.errors import UserError

INNER = ("cfg", "model", "w2v_args", "model")


@pytest.fixture(scope="module")
def state(checkpoint):
    return torch.load(checkpoint("lite", ctc=True), weights_only=False)


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("cfg", "model"), [1], "cfg.model is not what fairseq saves there but '.1.'"),
        (("cfg", "task"), "x", "cfg.task is not what fairseq saves there"),
        (("cfg", "criterion"), 3, "cfg.criterion is not what fairseq saves there"),
        (("cfg", "task", "_name"), {"a": 1}, "cfg.task._name is not what"),
        (("cfg", "task", "_name"), "nosuch", "cannot be built"),
        (("cfg", "model", "w2v_args"), 5, "cfg.model.w2v_args is not what"),
        (INNER, b"x", "cfg.model.w2v_args.model is not what"),
        ((*INNER, "encoder_layers"), 10**6, "the configuration has 1000000 encoder layers, the parameters are of 2"),
        ((*INNER, "encoder_layers"), float("nan"), "the configuration has nan encoder layers"),
        ((*INNER, "conv_feature_layers"), "[(512, 3, 2)] * 1000000000", "cannot be built: conv_feature_layers must be"),
        ((*INNER, "encoder_embed_dim"), 10**9, "cannot be built"),
        ((*INNER, "encoder_attention_heads"), [], "cannot be built"),
        (("task_state",), 7, "task_state is not what"),
        (("task_state", "target_dictionary"), "A B", "task_state.target_dictionary is not what"),
        (("optimizer_history",), [3], "an entry of optimizer_history is not what"),
    ],
    ids=str,
)
def test_an_odd_value_is_one_line(place, value, message, state, tmp_path):
    odd = inside = copy.deepcopy(state)
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    torch.save(odd, tmp_path / "odd.pt")
    with pytest.raises(UserError, match=message) as error:
        restore(Checkpoint.read(tmp_path / "odd.pt"))
    assert "\n" not in str(error.value) and "odd.pt" in str(error.value)
