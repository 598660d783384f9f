"""Does a run find what the user names where hydra changes the working folder, and does a sweep go on after an error?"""

import os
import subprocess

import pytest

pytest.importorskip("fairseq")

from omegaconf import OmegaConf
from tiny import command, pretraining, write_corpus

from fairseq_summarymixing import plugin
from fairseq_summarymixing.data import manifest as manifests
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin import working_folder


def test_paths_that_are_not_in_hydras_folder_are_found_where_the_command_was_given(tmp_path, monkeypatch):
    for folder in ("start/DATA", "hydra/HERE", "start/HERE"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "start/checkpoint_last.pt").write_text("not this run's")
    monkeypatch.chdir(tmp_path / "hydra")
    monkeypatch.setenv("PWD", str(tmp_path / "start"))
    given = {
        "task": {"data": "DATA"},
        "model": {"w2v_path": "HERE", "init_from": "facebook/wav2vec2-base"},
        "checkpoint": {"restore_file": "checkpoint_last.pt", "save_dir": "DATA"},
    }
    cfg = OmegaConf.create(given)
    OmegaConf.set_struct(cfg, True)
    with working_folder.paths_from_the_start(cfg):
        given["task"]["data"] = str(tmp_path / "start/DATA")
        assert cfg == given


def test_a_relative_root_is_in_the_folder_where_the_command_was_given(tmp_path, monkeypatch):
    from fairseq.tasks.audio_pretraining import AudioPretrainingConfig, AudioPretrainingTask

    write_corpus(tmp_path / "start/DATA", clips=2, splits=["train"])
    manifest = tmp_path / "start/DATA/train.tsv"
    manifest.write_text(manifest.read_text().replace(str(manifest.parent), "DATA"))
    (tmp_path / "hydra").mkdir()
    monkeypatch.chdir(tmp_path / "hydra")
    monkeypatch.setenv("PWD", str(tmp_path / "start"))
    monkeypatch.setattr(working_folder, "is_in_hydras_folder", lambda: True)
    plugin.install()
    with working_folder.paths_from_the_start(OmegaConf.create({})):
        pass
    try:
        assert manifests.read_manifest(manifest, check_files=True)[0] == str(manifest.parent)
        task = AudioPretrainingTask(
            OmegaConf.create(vars(AudioPretrainingConfig(data=str(manifest.parent), tpu=False)))
        )
        task.load_dataset("train")
        assert task.dataset("train")[0]["source"].numel() > 1000
    finally:
        manifests.start_folders.clear()
    with pytest.raises(UserError, match="train.tsv:1: the folder DATA does not exist"):
        manifests.read_manifest(manifest)


def test_a_sweep_with_relative_paths_goes_on_after_errors(tmp_path):
    write_corpus(tmp_path / "DATA", clips=2)
    for path in (tmp_path / "DATA").glob("*.tsv"):
        path.write_text(path.read_text().replace(str(tmp_path / "DATA"), "DATA"))
    settings = pretraining("DATA", tmp_path / "checkpoints", dataset__disable_validation=True)
    settings["optimizer.weight_decay"] = "-1,0.1,0.2"
    sweep = [
        part.replace("'", "") if "weight_decay" in part else part  # a choice, not a text
        for part in command("pretraining", "summarymixing_base_librispeech", settings)
    ]
    environment = {**os.environ, "PWD": str(tmp_path), "OMP_NUM_THREADS": "1"}
    process = subprocess.run([*sweep, "-m"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    output = process.stdout + process.stderr
    assert process.returncode == 1 and "Traceback" not in output, output[-3000:]
    crashes = [line.split("Crashed! ")[1] for line in output.splitlines() if "Crashed! " in line]
    assert crashes[0] == "error: optimizer.weight_decay must be at least 0; got -1.0"
    assert crashes[1].startswith(f"error: checkpoint.save_dir={tmp_path}/checkpoints is that of job 1 of this sweep")
    last = "error: of this sweep, jobs 0, 2 failed; their errors stand above"
    assert output.strip().splitlines()[-1] == last
    assert len(crashes) == 2 and (tmp_path / "checkpoints/checkpoint_last.pt").exists()
