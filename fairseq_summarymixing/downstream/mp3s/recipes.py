"""The twelve recipes of MP3S, and the command-line options that make each of them run and its score valid.

Options may hold {corpus}, {out} (the run's folder), {prepared} (of corpora that we prepare) and {states} (the number of
hidden states).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import UserError

WER, ACCURACY, EER = "WER", "accuracy", "EER"
RUNNER = "fairseq_summarymixing.integrations.mp3s"
BUCKEYE, IEMOCAP_SPEAKERS = "buckeye", tuple(range(1, 11))


@dataclass(frozen=True)
class Recipe:
    """A column of the benchmark's table.

    Attributes:
        folder: of the recipe, below benchmarks/MP3S.
        corpus: key in corpora.yaml.
        title: task and probe, for tables.
        metric: WER, accuracy or EER, all in percent.
        tests: test sets, by the names that the recipe gives to their scores; each is a column of its own.
        options: beside those that every recipe gets.
        speakers: each is the test set of one run, and the score is the mean of these runs. Empty: one run.
        packages: that the recipe imports besides SpeechBrain.
        differences: how our runs differ from the recipe as it stands, for the report.
    """

    folder: str
    corpus: str
    title: str
    metric: str
    tests: Sequence[str] = ("test",)
    options: Sequence[str] = ()
    speakers: Sequence[int] = ()
    packages: Sequence[str] = ()
    differences: Sequence[str] = ()

    @property
    def score_files(self) -> Mapping[str, str]:
        """Return the file that holds the errors of each test set; only of word error rates."""
        return {test: f"wer_{test}.txt" for test in self.tests}


_LIBRISPEECH = ("test-clean", "test-other")
_UNKNOWN = "--unk_index=<unk>"  # it is the label itself
_UNKNOWN_LABEL = "the label of unknown letters is a string: where it is decoded, the recipe's number ends the run"
_SLURP = {
    "options": ('--train_splits=["train"]',),
    "packages": ("jsonlines", "pandas"),
    "differences": ('train_splits is ["train"]: the train_real of the recipe does not exist',),
}
_VOXCELEB = (
    "--verification_file={corpus}/veri_test2.txt",
    "--train_annotation={out}/save/train.csv",
    "--valid_annotation={out}/save/dev.csv",
    "--dataloader_options={drop_last: True}",
)
_TEN_SPEAKERS = "mean over the ten test speakers, each in a run of its own"
_BUCKEYE = {
    "options": (
        "--skip_prep=True",
        "--train_csv={prepared}/train.csv",
        "--valid_csv={prepared}/valid.csv",
        '--test_csv=["{prepared}/test.csv"]',
        _UNKNOWN,
    ),
    "differences": (
        "segments are cut by our preparation: the benchmark's trains on its dev and test speakers, and its LSTM reads "
        "the whole recording for each segment",
        _UNKNOWN_LABEL,
    ),
}
_NO_MARGIN = "plain cross-entropy in place of the margin loss, whose gradient is exactly 0 after its log-softmax"
_SEEDED = "its split and crops, by Python's random numbers, follow the seed: they are the same for every model"
_WHOLE_BATCHES = "whole batches only: of a last one with a single utterance, batch norm after pooling fails"
EPOCHS = "20 epochs, as with the LSTM, in place of 2"
_CONFORMER = "the second probe of the published table is a Conformer, for which there is no recipe"

RECIPES: Mapping[str, Recipe] = {
    "LibriSpeech/LSTM": Recipe(
        "LibriSpeech/LSTM",
        "librispeech",
        "LibriSpeech, BiLSTM",
        WER,
        _LIBRISPEECH,
        (_UNKNOWN,),
        differences=(_UNKNOWN_LABEL,),
    ),
    "LibriSpeech/contextnet": Recipe(
        "LibriSpeech/contextnet",
        "librispeech",
        "LibriSpeech, ContextNet",
        WER,
        _LIBRISPEECH,
        (_UNKNOWN, "--num_layers_ssl={states}", "--number_of_epochs=20"),
        differences=(EPOCHS, _CONFORMER, _UNKNOWN_LABEL),
    ),
    **{
        f"CommonVoice/{head}/{language}": Recipe(
            f"CommonVoice/{head}",
            f"commonvoice_{language}",
            f"{name}, {title}",
            WER,
            options=(f"--language={language}",),
            packages=("sentencepiece",),
        )
        for head, title in (("LSTM", "BiLSTM"), ("linear", "linear"))
        for language, name in (("cy", "Welsh"), ("eu", "Basque"))
    },
    "SLURP/linear": Recipe("SLURP/linear", "slurp", "SLURP, linear", ACCURACY, **_SLURP),
    "SLURP/LSTM_linear": Recipe("SLURP/LSTM_linear", "slurp", "SLURP, BiLSTM", ACCURACY, **_SLURP),
    "VoxCeleb1/Xvectors": Recipe(
        "VoxCeleb1/Xvectors",
        "voxceleb1",
        "VoxCeleb1, x-vectors",
        EER,
        options=(*_VOXCELEB, "--compute_cost=!name:speechbrain.nnet.losses.nll_loss"),
        differences=(_NO_MARGIN, _SEEDED, _WHOLE_BATCHES),
    ),
    "VoxCeleb1/ecapa_tdnn": Recipe(
        "VoxCeleb1/ecapa_tdnn",
        "voxceleb1",
        "VoxCeleb1, ECAPA-TDNN",
        EER,
        options=_VOXCELEB,
        differences=(_SEEDED, _WHOLE_BATCHES),
    ),
    "IEMOCAP/linear": Recipe(
        "IEMOCAP/linear",
        "iemocap",
        "IEMOCAP, linear",
        ACCURACY,
        speakers=IEMOCAP_SPEAKERS,
        differences=(_TEN_SPEAKERS,),
    ),
    "IEMOCAP/ecapa_tdnn": Recipe(
        "IEMOCAP/ecapa_tdnn",
        "iemocap",
        "IEMOCAP, ECAPA-TDNN",
        ACCURACY,
        options=("--train_dataloader_opts={drop_last: True}",),
        speakers=IEMOCAP_SPEAKERS,
        differences=(_TEN_SPEAKERS, _WHOLE_BATCHES),
    ),
    "Buckeye/LSTM": Recipe("Buckeye/LSTM", BUCKEYE, "Buckeye, BiLSTM", WER, **_BUCKEYE),
    "Buckeye/contextnet": Recipe("Buckeye/contextnet", BUCKEYE, "Buckeye, ContextNet", WER, **_BUCKEYE),
}
"""By task, in the order of the table."""


def choose(tasks: Sequence[str] | None) -> dict[str, Recipe]:
    """Return the recipes of tasks such as LibriSpeech, CommonVoice/LSTM and CommonVoice/LSTM/cy; None = all.

    Raises:
        UserError: an unknown task.
    """
    for task in tasks or ():
        if not any(_is_of(name, task) for name in RECIPES):
            raise UserError(f"`tasks` must be of {', '.join(RECIPES)}, or their first parts; got {task}")
    return {name: recipe for name, recipe in RECIPES.items() if tasks is None or any(_is_of(name, t) for t in tasks)}


def _is_of(name: str, task: str) -> bool:
    return f"{name}/".startswith(f"{task}/")


def arguments(recipe: Recipe, places: Mapping[str, str | int], epochs: int | None = None) -> list[str]:
    """Return what follows ``train.py hparams/ssl.yaml`` on the command line, but for the device.

    Args:
        places: the values of {corpus}, {out}, {prepared}, {states}, and ``encoder``, ``dim``, ``seed``, ``speaker``.
        epochs: in place of the recipe's.
    """
    shared = ["--data_folder={corpus}", "--output_folder={out}", "--ssl_hub={encoder}", "--encoder_dim={dim}"]
    shared += ["--seed={seed}"] + ["--test_spk_id={speaker}"] * bool(recipe.speakers)
    options = [option for option in recipe.options if epochs is None or not option.startswith("--number_of_epochs=")]
    filled = [_fill(option, places) for option in [*shared, *options]]
    return filled + ([f"--number_of_epochs={epochs}"] if epochs is not None else [])


def _fill(option: str, places: Mapping[str, str | int]) -> str:
    for name, value in places.items():
        option = option.replace(f"{{{name}}}", str(value))
    return option
