"""Does the store hold what the encoder computes, once, and never what something else computed?"""

import os
import shutil

import numpy as np
import pytest
import torch

from fairseq_summarymixing.downstream.encoder import normalised
from fairseq_summarymixing.downstream.inputs import read_wave
from fairseq_summarymixing.downstream.load_encoder import load_encoder
from fairseq_summarymixing.downstream.model_on_disk import read_model
from fairseq_summarymixing.downstream.probe import hidden_states as module
from fairseq_summarymixing.downstream.probe.hidden_states import LongForm, compute_hidden_states, encoder_digest
from fairseq_summarymixing.downstream.probe.splits import read_split
from fairseq_summarymixing.errors import UserError

CPU = torch.device("cpu")


def compute(path, corpus, folder, split="test", **long_form):
    checkpoint = read_model(path)
    recordings = read_split(corpus, split, "ltr").recordings()
    return compute_hidden_states(
        checkpoint, encoder_digest(checkpoint), recordings, folder, split, LongForm(**long_form)
    )


def expected_states(path, recording):
    encoder = load_encoder(read_model(path), CPU)
    wave = read_wave(recording)
    with torch.no_grad():
        states = encoder.model.encode((normalised(wave) if encoder.normalize else wave).unsqueeze(0)).hidden_states
    states = torch.stack(states)[:, 0]
    return (states - states.mean(dim=-1, keepdim=True)) / (states.var(dim=-1, keepdim=True, correction=0) + 1e-5).sqrt()


def path_of(tones, number=0):
    return str(tones / "audio" / f"test-{number}.wav")


KINDS = ["summary_mixing", "paper", "twin", "hyper_mixing", "stock", "stock-group_norm", "stock-ctc", "paper-ctc"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_store_holds_every_normalised_hidden_state(kind, checkpoint, tones, tmp_path):
    path = checkpoint(kind.replace("-ctc", ""), kind.endswith("-ctc"))
    found = compute(path, tones, tmp_path)
    assert found.num_states == 3
    for number in (0, 1):
        expected = expected_states(path, path_of(tones, number))
        states = np.array(found[path_of(tones, number)])
        assert states.dtype == np.float16 and states.shape == tuple(expected.shape)
        torch.testing.assert_close(torch.from_numpy(states).float(), expected, atol=4e-3, rtol=2e-3)


@pytest.mark.parametrize("kind, ctc", [("summary_mixing", False), ("paper", True), ("stock", True), ("twin", False)])
def test_a_directory_of_hugging_face_gives_what_its_checkpoint_gives(kind, ctc, checkpoint, exported, tones, tmp_path):
    states = [
        np.array(compute(path, tones, tmp_path / name)[path_of(tones)], dtype=np.float32)
        for name, path in (("checkpoint", checkpoint(kind, ctc)), ("directory", exported(kind, ctc)))
    ]
    np.testing.assert_allclose(*states, atol=4e-3)


def test_a_public_directory_without_our_fields_is_read(exported, checkpoint, tones, tmp_path):
    import json

    folder = tmp_path / "public"
    shutil.copytree(exported("stock"), folder)
    config = json.loads((folder / "config.json").read_text())
    del config["fairseq"]
    (folder / "config.json").write_text(json.dumps(config))
    found = compute(folder, tones, tmp_path / "states")[path_of(tones)]
    expected = expected_states(checkpoint("stock"), path_of(tones))
    torch.testing.assert_close(torch.from_numpy(np.array(found)).float(), expected, atol=4e-3, rtol=2e-3)


def test_chunks_change_nothing(checkpoint, tones, tmp_path, monkeypatch):
    whole = compute(checkpoint("paper"), tones, tmp_path / "whole")
    monkeypatch.setattr(module, "load_encoder", lambda *args: load_encoder(*args[:2], chunk_seconds=1.0))
    monkeypatch.setattr("fairseq_summarymixing.downstream.encoder.RecordingEncoder.frames_per_second", 13)
    in_chunks = compute(checkpoint("paper"), tones, tmp_path / "chunks")
    for number in (0, 1):
        pair = (np.array(states[path_of(tones, number)], np.float32) for states in (whole, in_chunks))
        np.testing.assert_allclose(*pair, atol=4e-3)


@pytest.fixture
def counted(monkeypatch):
    """Recordings in the order in which they are encoded."""
    read, found = module.read_wave, []
    monkeypatch.setattr(module, "read_wave", lambda path: found.append(os.path.basename(path)) or read(path))
    return found


def test_states_are_reused_until_checkpoint_recordings_or_window_change(checkpoint, tones, tmp_path, counted):
    corpus = tmp_path / "corpus"
    shutil.copytree(tones, corpus)
    (corpus / "test.tsv").write_text((corpus / "test.tsv").read_text().replace(str(tones), str(corpus)))
    path = tmp_path / "model.pt"
    shutil.copy(checkpoint("twin"), path)

    def recordings_encoded(**options):
        counted.clear()
        compute(path, corpus, tmp_path / "states", **options)
        return len(counted)

    assert recordings_encoded() == 12
    assert recordings_encoded() == 0
    (corpus / "test.ltr").write_text("A |\n" * 12)
    os.utime(path)
    assert recordings_encoded() == 0, "neither labels nor the checkpoint's time matter"
    assert recordings_encoded(window_seconds=1.0) == 12

    state = torch.load(path, weights_only=False)
    state["last_optimizer_state"] = {"lr": 3}
    torch.save(state, path)
    assert recordings_encoded() == 0, "nor what is not of the encoder"
    state["model"]["encoder.layers.1.mixer.q_proj.weight"][0, 0] += 1
    torch.save(state, path)
    assert recordings_encoded() == 12
    state["cfg"]["task"]["normalize"] = True
    torch.save(state, path)
    assert recordings_encoded() == 12

    lines = (corpus / "test.tsv").read_text().splitlines(keepends=True)
    (corpus / "test.tsv").write_text("".join(lines[:-1]))
    (corpus / "test.ltr").write_text("A |\n" * 11)
    assert recordings_encoded() == 11
    os.utime(corpus / "audio" / "test-3.wav", (0, 0))
    assert recordings_encoded() == 11


def test_an_interrupted_run_goes_on_and_a_damaged_part_is_made_anew(checkpoint, tones, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(module, "PART_SECONDS", 2)
    path, read = checkpoint("summary_mixing"), module.read_wave

    def stop(recording):
        if recording.endswith("test-7.wav"):
            raise KeyboardInterrupt
        return read(recording)

    with monkeypatch.context() as patch:
        patch.setattr(module, "read_wave", stop)
        with pytest.raises(KeyboardInterrupt):
            compute(path, tones, tmp_path)
    finished = len(list(tmp_path.rglob("*.f16")))
    assert finished >= 2 and not list(tmp_path.rglob("*.part"))
    counted.clear()
    found = compute(path, tones, tmp_path)
    assert "test-7.wav" in counted and "test-0.wav" not in counted
    whole = {file: file.read_bytes() for file in tmp_path.rglob("*.f16")}
    for damaged in sorted(whole)[:2]:
        damaged.write_bytes(whole[damaged][:-2])
    counted.clear()
    found = compute(path, tones, tmp_path)
    assert 0 < len(counted) < 12
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.f16")} == whole
    for number in range(12):
        expected = expected_states(path, path_of(tones, number))
        states = torch.from_numpy(np.array(found[path_of(tones, number)])).float()
        torch.testing.assert_close(states, expected, atol=4e-3, rtol=2e-3)


def test_what_cannot_be_computed_is_a_one_line_error(checkpoint, tones, tmp_path, monkeypatch):
    path = checkpoint("summary_mixing")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(UserError, match="the hidden states of 0.0 h need .* name another folder in `states`"):
            compute(path, tones, tmp_path)
    monkeypatch.setattr(module, "read_wave", lambda recording: torch.zeros(100))
    with pytest.raises(UserError, match="test-0.wav has 100 samples at 16000 Hz, fewer than one frame needs"):
        compute(path, tones, tmp_path)
    assert not list(tmp_path.rglob("*.f16"))


def test_states_that_are_not_finite_are_not_written(checkpoint, tones, tmp_path, monkeypatch):
    monkeypatch.setattr("fairseq_summarymixing.checkpoints.state.check_weights", lambda *_: None)
    state = torch.load(checkpoint("summary_mixing"), weights_only=False)
    for part in ("fc1", "fc2"):  # each as large as a parameter may be
        state["model"][f"encoder.layers.1.feed_forward.{part}.weight"].fill_(1e18)
    torch.save(state, tmp_path / "nan.pt")
    with pytest.raises(UserError, match="layer 2 of .*test-0.wav is not finite: its training had diverged"):
        compute(tmp_path / "nan.pt", tones, tmp_path / "states")
    assert not list(tmp_path.rglob("*.f16"))
