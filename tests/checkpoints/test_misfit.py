"""Does a line say which parameters do not fit, and can a checkpoint that was stripped be used?"""

import pytest
import torch

from fairseq_summarymixing.checkpoints.misfit import misfit


def test_the_first_parameters_that_do_not_fit_are_named():
    saved, built = torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    with pytest.raises(RuntimeError) as error:
        torch.nn.Linear(4, 3).load_state_dict({**saved.state_dict(), "scale": torch.ones(1)})
    assert misfit(error.value) == "scale is not of this model; weight is (3, 2), here (3, 4)"
    with pytest.raises(RuntimeError) as error:
        built.load_state_dict({})
    assert misfit(error.value) == "0.weight is missing; 0.bias is missing; 1.weight is missing and 1 more"
    assert misfit(ValueError("the checkpoint holds self-attention\nand so on")) == "the checkpoint holds self-attention"


def test_a_checkpoint_without_anything_of_its_training_is_used(checkpoint, tmp_path):
    from fairseq_summarymixing.checkpoints import Checkpoint
    from fairseq_summarymixing.downstream.restore import restore

    state = torch.load(checkpoint("summary_mixing"), weights_only=False)
    torch.save({name: state[name] for name in ("cfg", "model")}, tmp_path / "stripped.pt")
    model = restore(Checkpoint.read(tmp_path / "stripped.pt")).model
    assert model.state_dict().keys() == state["model"].keys()
