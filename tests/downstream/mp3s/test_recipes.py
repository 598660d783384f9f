"""Is each recipe told what makes its score valid?"""

import pytest

from fairseq_summarymixing.downstream.mp3s.recipes import RECIPES, arguments, choose
from fairseq_summarymixing.errors import UserError

PLACES = {"corpus": "C", "out": "O", "prepared": "P", "states": 13, "encoder": "E", "dim": 768, "seed": 3, "speaker": 7}
SHARED = "--data_folder=C --output_folder=O --ssl_hub=E --encoder_dim=768 --seed=3"
IEMOCAP = " --test_spk_id=7"
VOXCELEB1 = (
    " --verification_file=C/veri_test2.txt --train_annotation=O/save/train.csv --valid_annotation=O/save/dev.csv"
    " --dataloader_options={drop_last: True}"
)
BUCKEYE = (
    ' --skip_prep=True --train_csv=P/train.csv --valid_csv=P/valid.csv --test_csv=["P/test.csv"] --unk_index=<unk>'
)
SLURP = ' --train_splits=["train"]'
COMMANDS = {
    "LibriSpeech/LSTM": " --unk_index=<unk>",
    "LibriSpeech/contextnet": " --unk_index=<unk> --num_layers_ssl=13 --number_of_epochs=20",
    "CommonVoice/LSTM/cy": " --language=cy",
    "CommonVoice/LSTM/eu": " --language=eu",
    "CommonVoice/linear/cy": " --language=cy",
    "CommonVoice/linear/eu": " --language=eu",
    "SLURP/linear": SLURP,
    "SLURP/LSTM_linear": SLURP,
    "VoxCeleb1/Xvectors": VOXCELEB1 + " --compute_cost=!name:speechbrain.nnet.losses.nll_loss",
    "VoxCeleb1/ecapa_tdnn": VOXCELEB1,
    "IEMOCAP/linear": IEMOCAP,
    "IEMOCAP/ecapa_tdnn": IEMOCAP + " --train_dataloader_opts={drop_last: True}",
    "Buckeye/LSTM": BUCKEYE,
    "Buckeye/contextnet": BUCKEYE,
}


@pytest.mark.parametrize("task", RECIPES)
def test_the_command_of_each_recipe(task):
    assert " ".join(arguments(RECIPES[task], PLACES)) == SHARED + COMMANDS[task]


def test_other_epochs_replace_ours():
    found = arguments(RECIPES["LibriSpeech/contextnet"], PLACES, epochs=1)
    assert [one for one in found if "epochs" in one] == ["--number_of_epochs=1"]


def test_there_are_twelve_recipes_and_two_languages():
    assert len({recipe.folder for recipe in RECIPES.values()}) == 12 and set(RECIPES) == set(COMMANDS)
    assert choose(None) == RECIPES


def test_tasks_are_chosen_by_their_first_parts():
    assert list(choose(["SLURP", "CommonVoice/LSTM", "CommonVoice/linear/eu"])) == [
        "CommonVoice/LSTM/cy",
        "CommonVoice/LSTM/eu",
        "CommonVoice/linear/eu",
        "SLURP/linear",
        "SLURP/LSTM_linear",
    ]
    with pytest.raises(UserError, match="`tasks` must be of LibriSpeech/LSTM, .*; got CommonVoice/L$"):
        choose(["CommonVoice/L"])
