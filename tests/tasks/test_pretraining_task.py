"""Does pre-training survive a real corpus, and end in a one-line error where it cannot?"""

import logging
import re

import numpy as np
import pytest
import torch

pytest.importorskip("fairseq", reason="tests the fairseq task")

from fairseq import tasks
from fairseq.logging import metrics
from forked import Forked
from tiny import (
    TINY_LOG_MEL,
    command,
    compose,
    last_checkpoint,
    paths,
    pretraining,
    run,
    tone,
    train,
    write_corpus,
    write_wave,
)

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes
from fairseq_summarymixing.tasks import unpack
from fairseq_summarymixing.tasks._dataset import ResilientAudioDataset
from fairseq_summarymixing.tasks._health import HealthMonitor

RECIPE = ("pretraining", "summarymixing_base_librispeech")


def settings(corpus, folder, **more):
    return pretraining(corpus, folder / "checkpoints", **more)


def spoil(corpus):
    """One file of each kind that a real corpus holds, appended to train.tsv. Returns their names."""
    good = tone(1.0)
    write_wave(corpus / "bad/short.wav", good[:100])
    write_wave(corpus / "bad/one-sample.wav", good[:1])
    import soundfile

    silent_nan = np.where(np.arange(16000) == 5000, np.nan, good)
    soundfile.write(str(corpus / "bad/nan.wav"), silent_nan, 16000, subtype="FLOAT")
    (corpus / "bad/empty.wav").touch()
    (corpus / "bad/text.wav").write_text("this is no audio")
    whole = (corpus / "audio/train-0.wav").read_bytes()
    (corpus / "bad/truncated.wav").write_bytes(whole[:30])
    bad = ["short", "one-sample", "nan", "empty", "text", "truncated", "missing"]
    with open(corpus / "train.tsv", "a") as manifest:
        manifest.writelines(f"bad/{name}.wav\t16000\n" for name in bad)
    return bad


def dataset(corpus, **arguments):
    given = dict(sample_rate=16000, min_sample_size=4000, pad=False, normalize=False)
    return ResilientAudioDataset(str(corpus / "train.tsv"), **{**given, **arguments})


def test_unusable_files_are_skipped_with_one_warning_each_and_counted(tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", clips=6)
    bad = spoil(corpus)
    data = dataset(corpus)
    for _ in range(2):
        items = [data[index] for index in range(len(data))]
    assert data.num_skipped == len(bad)
    assert [item["source"] is None for item in items] == [False] * 6 + [True] * len(bad)
    warned = [record.getMessage() for record in caplog.records if "skipping" in record.getMessage()]
    assert len(warned) == len(bad)
    assert all(any(f"/bad/{name}.wav: " in message for message in warned) for name in bad)
    batch = data.collater(items)
    assert batch["id"].tolist() == list(range(6))
    assert data.collater(items[6:])["id"].tolist() == []


def test_training_goes_on_over_unusable_files_within_the_limit_also_in_workers(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=6)
    spoil(corpus)
    for workers in (0, 2):
        folder = tmp_path / f"workers-{workers}"
        changes = dict(task__max_skipped=0.9, optimization__max_update=12, dataset__num_workers=workers)
        train(*RECIPE, settings(corpus, folder, **changes))
        assert (folder / "checkpoints/checkpoint_last.pt").exists()


def test_too_many_unusable_files_stop_the_run_with_one_line(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=6)
    spoil(corpus)
    status, output = run(*RECIPE, settings(corpus, tmp_path, optimization__max_update=50, dataset__num_workers=1))
    assert status == 1
    assert "Traceback" not in output
    # workers may still warn of files after it
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert " of 13 files of train.tsv cannot be used, more than task.max_skipped=0.01 allows" in errors[0]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_sample_rates_are_resampled_or_refused(rate, channels, tmp_path):
    pytest.importorskip("scipy", reason="resamples with scipy")
    corpus = write_corpus(tmp_path / "corpus", clips=1)
    samples = tone(1.0, rate=rate)
    write_wave(corpus / "other.wav", np.stack([samples] * channels, axis=1), rate)
    with open(corpus / "train.tsv", "a") as manifest:
        manifest.write(f"other.wav\t{rate}\n")
    resampled = dataset(corpus)[1]["source"]
    assert len(resampled) == 16000
    # a tone below both Nyquist frequencies keeps its energy
    assert resampled.square().mean().item() == pytest.approx(np.mean(samples**2), rel=0.05)
    refusing = dataset(corpus, resample_others=False)
    assert refusing[1]["source"] is None and refusing.num_skipped == 1


def test_a_corpus_of_which_nothing_can_be_used_is_refused_at_once(tmp_path):
    corpus = tmp_path / "corpus"
    write_wave(corpus / "a.wav", tone(1.0, rate=8000), 8000)
    (corpus / "train.tsv").write_text(f"{corpus}\na.wav\t8000\n")
    with pytest.raises(UserError, match=r"no file that was tried can be used; .*a.wav: its sample rate is 8000 Hz"):
        dataset(corpus, resample_others=False)
    with pytest.raises(UserError, match="every file is shorter than task.min_sample_size=9000"):
        dataset(corpus, min_sample_size=9000)


def test_crops_depend_on_seed_epoch_and_utterance_alone(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=6, seconds=(1.0, 2.0))
    data = dataset(corpus, max_sample_size=8000)

    def crops(order, epoch):
        data.set_epoch(epoch)
        batch = data.collater([data[index] for index in order])
        return {int(index): source for index, source in zip(batch["id"], batch["net_input"]["source"])}

    first, shuffled, later = crops([0, 1, 2, 3], 1), crops([3, 5, 1], 1), crops([0, 1, 2, 3], 2)
    assert torch.equal(first[1], shuffled[1]) and torch.equal(first[3], shuffled[3])
    assert not torch.equal(first[1], later[1])


def test_padding_instead_of_cropping(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=6, seconds=(0.6, 1.4))
    limit = 16000
    data = dataset(corpus, pad=True, max_sample_size=limit)
    batch = data.collater([data[index] for index in range(6)])
    sources, padding = batch["net_input"]["source"], batch["net_input"]["padding_mask"]
    assert sources.shape == padding.shape == (6, limit)
    kept = [index for index in range(6) if data.sizes[index] <= limit]
    assert 1 < len(kept) < 6
    for index in range(6):
        real = int(min(data.sizes[index], limit))
        assert not padding[index, :real].any() and padding[index, real:].all()
        assert (sources[index, real:] == 0).all()
        # the same as alone: whole, or the same crop
        alone = data.collater([data[index]])["net_input"]["source"][0]
        assert torch.equal(sources[index, :real], alone)
        assert index not in kept or torch.equal(alone, data[index]["source"])


@pytest.mark.parametrize(
    "line, message",
    [
        ("audio/train-0.wav\n", r"train.tsv:6: expected 'path<TAB>frames'"),
        ("audio/x.wav\t-3\n", r"train.tsv:6: expected a positive number of frames"),
        ("/absolute/x.wav\t16000\n", r"train.tsv:6: expected a path relative to the root"),
    ],
)
def test_a_damaged_manifest_is_refused_before_training(line, message, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=4)
    with open(corpus / "train.tsv", "a") as manifest:
        manifest.write(line)
    with pytest.raises(UserError, match=message):
        train(*RECIPE, settings(corpus, tmp_path))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task.data": "/nowhere"}, "error: task.data=/nowhere is no folder: expected one that holds"),
        ({"model.mixer": "fourier"}, "error: mixer must be one of summary_mixing, summary_mixing_lite"),
        (
            {"model.encoder_attention_heads": 5},
            "error: model_dim must be a positive multiple of num_heads; got 32 and 5 "
            "(model_dim is encoder_embed_dim, num_heads is encoder_attention_heads",
        ),
        ({"model.codebook_negatives": 3}, "error: model.codebook_negatives=3 is not supported"),
        ({"task.num_batch_buckets": 4}, "error: task.num_batch_buckets=4 is not supported by the task"),
        ({"task.labels": "ltr"}, "error: task.labels=ltr is not supported by the task wav2vec2_summarymixing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_users_mistake_ends_the_command_with_one_line(change, message, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=2)
    argv = command(*RECIPE, {**settings(corpus, tmp_path), **change})
    status, output = Forked(["fairseq-hydra-train", *argv[1:]], tmp_path).end(120)
    assert status == 1
    assert "Traceback" not in output
    assert output.splitlines()[-1].startswith(message)


def test_the_hours_of_audio_per_update_are_logged_and_compared_with_the_recipes(tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", clips=8)
    hours = 64000 / 16000 / 3600  # dataset.max_tokens
    for updates in (1, 40):  # the second goes on in a later epoch
        caplog.clear()
        changes = dict(optimization__update_freq=[2], optimization__max_update=updates)
        with caplog.at_level(logging.INFO):
            train(*RECIPE, settings(corpus, tmp_path, task__hours_per_update=6 * hours, **changes))
        assert caplog.text.count("one update takes about") == 1
        assert "(1 processes x 2 accumulated batches)" in caplog.text
        assert caplog.text.count("set optimization.update_freq=[6]") == 1
    caplog.clear()
    train(*RECIPE, settings(corpus, tmp_path / "as-meant", task__hours_per_update=hours))
    assert "the recipe means" not in caplog.text


@pytest.mark.parametrize("mixer", ["hyper_mixing", "fastformer", "no_summary"])
def test_a_recipe_trains_another_mixer_by_one_field(mixer, tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", clips=4)
    with caplog.at_level(logging.INFO):
        train(*RECIPE, settings(corpus, tmp_path, model__mixer=mixer))
    assert re.search(r'"train_loss": "[0-9.]+"', caplog.text)
    state = last_checkpoint(tmp_path / "checkpoints")
    assert state["cfg"]["model"]["mixer"] == mixer
    moments = state["last_optimizer_state"]["state"].values()
    assert len(moments) == len(state["model"])  # every parameter had a gradient
    assert all(state["exp_avg"].isfinite().all() and state["exp_avg"].any() for state in moments)


def test_peak_memory_is_logged(tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus")
    with caplog.at_level(logging.INFO):
        train(*RECIPE, settings(corpus, tmp_path))
    assert re.search('"peak_memory_gb": "[0-9.]*[1-9]', caplog.text)


class BackwardAlone:
    def backward(self, loss):
        loss.backward()


@pytest.mark.parametrize("mixer", ["summary_mixing", "self_attention"])
def test_the_activation_memory_logged_is_what_the_forward_pass_stores(mixer, tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    fields = {**TINY_LOG_MEL, **paths(corpus, tmp_path), "model.mixer": mixer, "dataset.batch_size": 8}
    cfg = compose("pretraining", "summarymixing_155m_librilight", fields)
    task = tasks.setup_task(cfg.task)
    model, criterion = task.build_model(cfg.model), task.build_criterion(cfg.criterion)
    task.load_dataset("train")
    batch = task.dataset("train").collater([task.dataset("train")[index] for index in range(8)])
    _, _, logged = task.train_step(batch, model, criterion, BackwardAlone(), 0)
    with count_activation_bytes(model) as stored:
        criterion(model, unpack(batch))
    seconds = batch["net_input"]["source"].numel() / 16000
    with metrics.aggregate() as shown:
        task.reduce_metrics([logged], criterion)
    expected = stored.total / 1e6 / seconds
    assert shown.get_smoothed_value("activation_mb_per_audio_second") == pytest.approx(expected, abs=5e-4)


def test_the_health_monitor_warns_of_each_known_failure_once():
    monitor = HealthMonitor(patience=10)
    healthy = [monitor.update(loss, 0.2, 50.0, 100) for loss in np.linspace(6.658, 3, 200)]
    assert not any(healthy)
    stuck = [monitor.update(6.66, 0.01, 50.0, 100) for _ in range(50)]
    assert [len(messages) for messages in stuck] == [0] * 9 + [1] + [0] * 40
    assert "guessing" in stuck[9][0] and "6.658" in stuck[9][0]
    collapsed = [monitor.update(0.01, 1.0, 2.0, 100) for _ in range(150)]
    assert [message for messages in collapsed for message in messages][0].startswith("accuracy is 1.00 while about 2.0")
    assert sum(map(len, collapsed)) == 1
    broken = [monitor.check_finite(float("nan")) for _ in range(5)]
    assert sum(map(len, broken)) == 1 and "nan" in broken[0][0]
    empty = [monitor.check_masked(0) for _ in range(50)]
    assert sum(map(len, empty)) == 1 and "model.mask_prob" in empty[9][0]


def test_files_too_short_by_the_manifest_are_logged(tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", clips=4)
    with open(corpus / "train.tsv", "a") as manifest:
        manifest.write("audio/short.wav\t1000\n")
    assert len(dataset(corpus)) == 4
    assert "1 of 5 files are shorter than task.min_sample_size=4000 samples" in caplog.text


def test_a_bf16_run_takes_waveforms_in_full_precision(tmp_path, monkeypatch):
    from fairseq_summarymixing.modules.log_mel import LogMel

    waves = []
    forward = LogMel.forward
    monkeypatch.setattr(
        LogMel, "forward", lambda self, wave, lengths: waves.append(wave) or forward(self, wave, lengths)
    )
    settings = {**TINY_LOG_MEL, "common.bf16": True, **paths(write_corpus(tmp_path), tmp_path)}
    train("pretraining", "summarymixing_155m_librilight", settings)
    assert waves and all(wave.dtype == torch.float32 for wave in waves)
    assert all(torch.equal(wave * 2**15, (wave * 2**15).round()) for wave in waves)  # as 16-bit files hold them
    assert any((wave != wave.bfloat16()).any() for wave in waves)
