"""Is the score found where each recipe leaves it, and a run without one a failed run?"""

import pytest

from fairseq_summarymixing.downstream.mp3s.recipes import RECIPES
from fairseq_summarymixing.downstream.mp3s.score import forget_scores, read_scores
from fairseq_summarymixing.errors import UserError

EPOCH = "epoch: {}, lr_model: 2.00e-04 - train loss: 3.1 - valid loss: 2.90, valid CER: 80.10, valid WER: 1.00e+02\n"
TESTED = "Epoch loaded: 1 - test loss: 2.85, test CER: 79.00, test WER: 98.50\n"
CLASSIFIED = (
    "Epoch: 1, lr: 2.00e-04 - train loss: 2.89 - valid loss: 2.88, valid error_rate: 9.44e-01\n"
    "Epoch loaded: 1 - test loss: 2.88, test error_rate: 1.95e-01\n"
)
LOG = "2026-11-26 12:00:00,000 - root - INFO - EER(%)={}\n2026-11-26 12:00:00,000 - root - INFO - minDCF=99.0\n"


def errors(wer, words=27):
    """A file of SpeechBrain's: the whole test set's figure, then each utterance's."""
    of_set = f"%WER {wer} [ 24 / {words}, 0 ins, 20 del, 4 sub ]\n%SER 100.00 [ 3 / 3 ]\nScored 3 sentences\n"
    return f"{of_set}ALIGNMENTS\n===\n104-1000-0000, %WER 12.50 [ 1 / 8, 0 ins, 1 del, 0 sub ]\nTHE ; SHIP\n = ; =\n"


def test_word_errors_stand_in_a_file_for_each_test_set(tmp_path):
    (tmp_path / "wer_test-clean.txt").write_text(errors("88.89"))
    (tmp_path / "wer_test-other.txt").write_text(errors("103.70"))
    assert read_scores(tmp_path, RECIPES["LibriSpeech/LSTM"]) == {"test-clean": 88.89, "test-other": 103.7}
    (tmp_path / "wer_test.txt").write_text(errors("5.00"))
    assert read_scores(tmp_path, RECIPES["Buckeye/contextnet"]) == {"test": 5.0}


def test_accuracy_is_what_the_last_error_rate_leaves(tmp_path):
    (tmp_path / "train_log.txt").write_text(CLASSIFIED.replace("1.95e-01", "5.00e-01") + CLASSIFIED)
    assert read_scores(tmp_path, RECIPES["SLURP/linear"]) == {"test": 80.5}


def test_equal_error_rate_stands_in_the_log_alone(tmp_path):
    (tmp_path / "train_log.txt").write_text(
        "epoch: 1, lr: 1e-3 - train loss: 6.0 - valid loss: 5, valid ErrorRate: 1\n"
    )
    (tmp_path / "log.txt").write_text(LOG.format("33.333334"))
    assert read_scores(tmp_path, RECIPES["VoxCeleb1/Xvectors"]) == {"test": 33.333334}


@pytest.mark.parametrize(
    "task, files",
    [
        ("LibriSpeech/LSTM", {}),
        ("LibriSpeech/LSTM", {"wer_test-clean.txt": errors("1.00")}),
        ("Buckeye/LSTM", {"wer_test.txt": "", "train_log.txt": TESTED}),
        ("Buckeye/LSTM", {"wer_test.txt": errors("0.00", words=0)}),
        ("IEMOCAP/linear", {"log.txt": "Error: Number of utterances is not 5531, please check your IEMOCAP folder\n"}),
        ("IEMOCAP/linear", {"train_log.txt": CLASSIFIED.splitlines(True)[0]}),
        ("SLURP/linear", {"train_log.txt": CLASSIFIED.replace("1.95e-01", "nan")}),
        ("VoxCeleb1/ecapa_tdnn", {"log.txt": LOG.format("nan")}),
    ],
)
def test_a_run_without_a_score_has_failed(tmp_path, task, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="no score"):
        read_scores(tmp_path, RECIPES[task])


def test_scores_of_an_earlier_try_do_not_count(tmp_path):
    (tmp_path / "wer_test.txt").write_text(errors("5.00"))
    (tmp_path / "log.txt").write_text(LOG.format("1.0"))
    (tmp_path / "train_log.txt").write_text(EPOCH.format(1) + TESTED + EPOCH.format(2) + CLASSIFIED)
    forget_scores(tmp_path)
    for task in ("CommonVoice/LSTM/cy", "VoxCeleb1/Xvectors", "SLURP/linear"):
        with pytest.raises(UserError, match="no score"):
            read_scores(tmp_path, RECIPES[task])
    kept = EPOCH.format(1) + EPOCH.format(2) + CLASSIFIED.splitlines(True)[0]
    assert (tmp_path / "train_log.txt").read_text() == kept
