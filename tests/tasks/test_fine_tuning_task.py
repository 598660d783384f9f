"""Does fine-tuning survive a corpus in which some recordings, or their transcripts, cannot be used?"""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("fairseq", reason="fine-tunes with fairseq")

from processes import fork_pair
from tiny import TINY_LOG_MEL, assert_same_weights, finetuning, last_checkpoint, tone, train, write_wave

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.tasks._targets import frames_needed, shortest_audio

RECIPE = ("finetuning", "base_10h")
OURS = {"task._name": "audio_finetuning_summarymixing"}
SECOND = 16000
# Nothing is drawn
PLAIN = {
    "dataset.batch_size": 1,
    "model.apply_mask": False,
    "model.freeze_finetune_updates": 0,
    "model.layerdrop": 0.0,
    **{f"model.{name}": 0.0 for name in ("dropout", "attention_dropout", "activation_dropout", "final_dropout")},
    "checkpoint.best_checkpoint_metric": "loss",
    "lr_scheduler.phase_ratio": None,
    "lr_scheduler.warmup_steps": 1,
    "lr_scheduler.hold_steps": 99,
    "lr_scheduler.decay_steps": 9,
}
GOOD = 4


def write_corpus(folder, good=GOOD, bad=(), splits=("train", "valid")):
    """``good`` recordings of a second, and one of each kind in ``bad``, which is longest by the manifest."""
    for split in splits:
        rows, labels = [], []
        for clip in range(good):
            write_wave(folder / f"{split}-{clip}.wav", tone(1.0, seed=clip))
            rows.append(f"{split}-{clip}.wav\t{SECOND}")
            labels.append("A B |")
        for kind in bad:
            rows.append(f"{kind}.wav\t{300 if kind == 'tiny' else 2 * SECOND}")
            labels.append("A A B " * 60 if kind == "wordy" else "A B |")
        (folder / f"{split}.tsv").write_text("\n".join([str(folder), *rows]) + "\n")
        (folder / f"{split}.ltr").write_text("\n".join(labels) + "\n")
    (folder / "damaged.wav").write_bytes(b"RIFFxxxx")
    write_wave(folder / "wordy.wav", tone(2.0))
    write_wave(folder / "tiny.wav", tone(300 / SECOND))
    import soundfile

    soundfile.write(str(folder / "nan.wav"), np.full(2 * SECOND, np.nan), SECOND, subtype="FLOAT")
    (folder / "dict.ltr.txt").write_text("A 9\n| 8\nB 7\n")
    return folder


@pytest.fixture(scope="module")
def pretrained(checkpoint):
    return checkpoint("summary_mixing")


REASONS = {
    "missing": "no such file",
    "damaged": "not readable as audio",
    "nan": "NaN or infinite samples",
    "wordy": "its transcript of 180 symbols needs",
}


@pytest.mark.parametrize("processes", [1, 2])
def test_what_cannot_be_used_changes_nothing_but_the_log(processes, pretrained, tmp_path, caplog):
    more = {**PLAIN, "optimization.update_freq": [8], "optimization.max_update": 2}
    whole, spoilt = write_corpus(tmp_path / "a"), write_corpus(tmp_path / "b", bad=[*REASONS, "tiny"])
    train(*RECIPE, finetuning(whole, tmp_path / "whole", pretrained, **more))
    caplog.clear()
    more.update(OURS, **{"task.max_skipped": 0.9, "optimization.update_freq": [8 // processes]})
    settings = finetuning(spoilt, tmp_path / "spoilt", pretrained, **more)
    if processes == 1:
        train(*RECIPE, settings)
        log = caplog.text
    else:
        statuses, outputs = fork_pair(*RECIPE, settings)
        assert statuses == [0, 0], outputs[0][-3000:]
        log = "".join(outputs)
    for kind, reason in REASONS.items():
        assert f"{kind}.wav: " in log and reason in log
    assert "1 of 9 files are shorter than the 400 samples of a frame and left out" in log
    found, expected = last_checkpoint(tmp_path / "spoilt"), last_checkpoint(tmp_path / "whole")
    assert_same_weights(found, expected, atol=1e-5, rtol=1e-3)
    assert found["extra_state"]["val_loss"] == pytest.approx(expected["extra_state"]["val_loss"], rel=1e-3)


def run(corpus, folder, pretrained, **more):
    train(*RECIPE, finetuning(corpus, folder, pretrained, **{**PLAIN, **more}))


def test_stock_recipes_survive_a_share_and_name_the_field_that_sets_it(pretrained, tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", bad=["damaged"])
    with pytest.raises(UserError) as error:
        run(corpus, tmp_path / "run", pretrained, optimization__max_update=5)
    assert str(error.value).replace("valid.tsv", "train.tsv") == (
        "1 of 5 files of train.tsv cannot be used, more than task.max_skipped=0.01 allows; the log names each with its "
        "reason. To go on without them: task._name=audio_finetuning_summarymixing +task.max_skipped=SHARE"
    )
    write_wave(corpus / "damaged.wav", tone(2.0, rate=44100), rate=44100)  # other rates are resampled
    run(corpus, tmp_path / "run", pretrained, optimization__max_update=5)
    saved = last_checkpoint(tmp_path / "run")
    assert saved["cfg"]["task"]["_name"] == "audio_finetuning" and "max_skipped" not in saved["cfg"]["task"]


def test_a_bad_file_of_a_small_validation_set_does_not_end_a_training(pretrained, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", bad=["damaged"])
    root, *rows = (corpus / "train.tsv").read_text().splitlines()
    labels = (corpus / "train.ltr").read_text().splitlines()
    good = [index for index, row in enumerate(rows) if not row.startswith("damaged")]
    assert len(good) == len(rows) - 1
    (corpus / "train.tsv").write_text("\n".join([root, *(rows[index] for index in good)]) + "\n")
    (corpus / "train.ltr").write_text("".join(f"{labels[index]}\n" for index in good))
    run(corpus, tmp_path / "run", pretrained, optimization__max_update=2)
    assert math.isfinite(last_checkpoint(tmp_path / "run")["extra_state"]["val_loss"])


def test_batches_whose_transcripts_are_empty_train(pretrained, tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    for split in ("train", "valid"):
        (corpus / f"{split}.ltr").write_text("\nA B |\n\nB |\n")
    run(corpus, tmp_path / "run", pretrained, optimization__max_update=4)
    assert math.isfinite(last_checkpoint(tmp_path / "run")["extra_state"]["val_loss"])


def test_a_recording_that_makes_gradients_nan_is_named_and_can_be_left_out(pretrained, tmp_path, monkeypatch):
    import soundfile

    monkeypatch.setattr("fairseq_summarymixing.data.audio.LARGEST_SAMPLE", math.inf)
    corpus = write_corpus(tmp_path / "corpus")
    soundfile.write(str(corpus / "train-2.wav"), 3e38 * np.sign(tone(1.0)), SECOND, subtype="FLOAT")
    with pytest.raises(UserError) as error:
        run(corpus, tmp_path / "run", pretrained, optimization__max_update=5)
    assert "are not finite because of a batch that holds train-2.wav: look for damaged audio there" in str(error.value)
    assert str(error.value).endswith("with task._name=audio_finetuning_summarymixing +task.leave_out=FILE")
    (tmp_path / "left-out.txt").write_text("train-2.wav\n")
    left_out = {**OURS, "task.leave_out": str(tmp_path / "left-out.txt"), "optimization.max_update": 5}
    run(corpus, tmp_path / "run", pretrained, **left_out)
    assert last_checkpoint(tmp_path / "run")["optimizer_history"][-1]["num_updates"] == 5


def test_a_log_mel_model_is_fine_tuned_in_bf16_on_waveforms_in_full_precision(tmp_path, monkeypatch):
    from fairseq_summarymixing.modules.log_mel import LogMel

    corpus = write_corpus(tmp_path / "corpus")
    pretraining = {**TINY_LOG_MEL, "task.data": str(corpus), "checkpoint.save_dir": str(tmp_path / "first")}
    train("pretraining", "summarymixing_155m_librilight", pretraining)
    waves, forward = [], LogMel.forward
    monkeypatch.setattr(
        LogMel, "forward", lambda self, wave, lengths: waves.append(wave) or forward(self, wave, lengths)
    )
    settings = {**finetuning(corpus, tmp_path / "second", tmp_path / "first/checkpoint_last.pt"), "common.bf16": True}
    train(*RECIPE, {**settings, "task.normalize": False, "checkpoint.best_checkpoint_metric": "loss"})
    assert waves and all(wave.dtype == torch.float32 for wave in waves)
    assert all(torch.equal(wave * 2**15, (wave * 2**15).round()) for wave in waves)  # as 16-bit files hold them
    assert any((wave != wave.bfloat16()).any() for wave in waves)


@pytest.mark.parametrize("label, needed", [([], 0), ([5], 1), ([5, 6, 5], 3), ([5, 5], 3), ([7, 7, 7, 6, 6], 8)])
def test_ctc_needs_a_frame_between_equal_symbols(label, needed):
    label = torch.tensor(label, dtype=torch.int)
    assert frames_needed(label) == needed
    for frames in {needed, max(needed - 1, 1)} - {0}:
        emissions = torch.zeros(frames, 1, 8).log_softmax(-1)
        loss = torch.nn.functional.ctc_loss(emissions, label[None], torch.tensor([frames]), torch.tensor([len(label)]))
        assert math.isfinite(loss) == (frames >= needed)


def test_the_shortest_audio_is_found_for_each_number_of_frames():
    def frames(samples):  # as stock wav2vec2 computes it
        return torch.floor((samples - 400) / 320 + 1).long()

    slow = [next(n for n in range(5000) if frames(torch.tensor(n)) >= wanted) for wanted in range(12)]
    assert shortest_audio(frames, 11) == slow
