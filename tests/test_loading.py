"""Does a checkpoint load in Python, in every order of imports, as stock's do?"""

import subprocess
import sys

import pytest
import torch

import fairseq_summarymixing

pytest.importorskip("fairseq")

ORDERS = [
    "import fairseq_summarymixing; {by_name}",
    "import fairseq_summarymixing; {by_folder}",
    "import fairseq_summarymixing.models, fairseq_summarymixing.tasks; {by_name}",
    "{by_name}; import fairseq_summarymixing; {by_folder}; {by_name}",
]
# The name is not found in the current folder, and is then taken to lie beside fairseq
BY_NAME = "utils.import_user_module(argparse.Namespace(user_dir='fairseq_summarymixing'))"
BY_FOLDER = "utils.import_user_module(argparse.Namespace(user_dir=fairseq_summarymixing.__path__[0]))"
SCRIPT = """
import argparse, multiprocessing, sys
from fairseq import checkpoint_utils, utils
import fairseq_cli.train, fairseq.nan_detector

def load(order):
    exec(order)
    [model], *_ = checkpoint_utils.load_model_ensemble_and_task([sys.argv[1]])
    from fairseq_summarymixing import plugin
    return f"{type(model).__name__}, plugin installed: {plugin.install.cache_info().currsize == 1}"

with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(*pool.map(load, sys.argv[2:], chunksize=1), sep="\\n")
"""


def test_every_order_of_imports_registers_our_names(checkpoint, tmp_path):
    orders = [order.format(by_name=BY_NAME, by_folder=BY_FOLDER) for order in ORDERS]
    command = [sys.executable, "-c", SCRIPT, str(checkpoint("summary_mixing", ctc=True)), *orders]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    # as fairseq's user directory it changes what plugin/README.md lists, whenever it was imported
    assert process.stdout.splitlines()[-len(orders) :] == ["Wav2VecCtc, plugin installed: True"] * len(orders)


def test_an_import_of_the_models_alone_is_enough_to_load(checkpoint, tmp_path):
    code = (
        "import fairseq_summarymixing.models, sys; from fairseq import checkpoint_utils; "
        "[model], *_ = checkpoint_utils.load_model_ensemble_and_task([sys.argv[1]]); print(type(model).__name__)"
    )
    command = [sys.executable, "-c", code, str(checkpoint("summary_mixing"))]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "Wav2Vec2SummaryMixingModel"


def test_another_copy_of_the_package_is_no_user_directory_of_it(tmp_path):
    (tmp_path / "fairseq_summarymixing").mkdir()
    assert str(tmp_path / "fairseq_summarymixing") not in fairseq_summarymixing.__path__
    assert fairseq_summarymixing.__path__[0] + "/../fairseq_summarymixing" in fairseq_summarymixing.__path__


@pytest.mark.parametrize("kind", ["summary_mixing", "stock"])
def test_load_gives_what_fairseq_loads(kind, checkpoint):
    from fairseq import checkpoint_utils

    wave = torch.randn(1, 8000)
    (expected,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint(kind))])
    model, task = fairseq_summarymixing.load(checkpoint(kind))
    with torch.no_grad():
        found, known = (one.extract_features(wave, padding_mask=None)["x"] for one in (model, expected.eval()))
    assert torch.equal(found, known) and not model.training
    model, task = fairseq_summarymixing.load(checkpoint(kind, ctc=True), {"data": "elsewhere"})
    assert task.cfg.data == "elsewhere" and task.target_dictionary.symbols[-1] == "E"


@pytest.mark.parametrize(
    "overrides",
    [
        {"data": "elsewhere", "labels": "ltr"},  # fairseq-validate's own, of the task
        {"normalize": False, "max_sample_size": 9, "min_sample_size": 99},
        {"mask_prob": 0.0, "dropout": 0.5, "required_seq_len_multiple": 2, "fp16": True, "mask_min_space": 3},
    ],
)
@pytest.mark.parametrize("ctc", [False, True])
def test_overrides_by_name_that_stock_takes_are_taken(overrides, ctc, checkpoint):
    from fairseq import checkpoint_utils

    for kind in ("stock", "summary_mixing"):
        path = str(checkpoint(kind, ctc=ctc))
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides=dict(overrides))
        assert len(models) == 1
