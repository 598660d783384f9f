"""Do processes of one run that were given different things end together, and train where they may differ?"""

import re
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("fairseq", reason="trains with fairseq")

import torch
from forked import forked
from processes import fork_pair, free_port
from tiny import compose, resumable, write_corpus

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin import same_run
from fairseq_summarymixing.plugin.same_run import OF_ONE_PROCESS, shared_fields

RECIPE = ("pretraining", "summarymixing_base_librispeech")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=6)


def test_what_belongs_to_one_process_is_not_compared(corpus, tmp_path):
    cfg = compose(*RECIPE, resumable(corpus, tmp_path))
    shared = shared_fields(cfg)
    assert {"common.seed", "model._name", "optimization.lr", "checkpoint.patience", "task.normalize"} <= set(shared)
    assert not OF_ONE_PROCESS & set(shared)
    groups = {name.split(".")[0] for name in shared}
    assert {"model", "task", "criterion", "optimizer", "lr_scheduler", "bmuf"} <= groups
    assert not {"generation", "job_logging_cfg"} & groups


def test_processes_may_have_their_own_paths_and_logs(corpus, tmp_path):
    (tmp_path / "copied").mkdir()
    for path in corpus.glob("*.tsv"):
        shutil.copy(path, tmp_path / "copied")
    own = {
        "task.data": str(tmp_path / "copied"),
        "checkpoint.save_dir": str(tmp_path / "other"),
        "common.log_interval": 7,
        "common.log_file": str(tmp_path / "log"),
        "dataset.data_buffer_size": 3,
    }
    statuses, outputs = fork_pair(*RECIPE, resumable(corpus, tmp_path / "run"), of_rank=({}, own))
    assert statuses == [0, 0], outputs
    assert (tmp_path / "run/checkpoint_last.pt").exists() and not (tmp_path / "other/checkpoint_last.pt").exists()


def test_other_manifests_or_a_checkpoint_that_one_process_alone_finds_end_all(tmp_path):
    (tmp_path / "checkpoint_last.pt").write_text("of an earlier run")
    files, address = [tmp_path / "0", tmp_path / "1"], f"tcp://localhost:{free_port()}"
    both = [forked().Process(target=compare, args=(tmp_path, rank, address, files[rank])) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=60)
    data, beginning, valid = files[0].read_text().splitlines()
    assert files[1].read_text() == files[0].read_text()
    rule = "must be the same for all processes of a run; got"
    assert re.fullmatch(
        rf"the manifest of train {rule} 3 utterances of 60 samples .checksum \w+. in process 0 and 2 utterances of 30 "
        r"samples .checksum \w+. in process 1: copy it",
        data,
    )
    assert beginning == (
        f"the checkpoint to go on from {rule} a file in process 0 and no file in process 1: share "
        "its folder between the machines, or copy it"
    )
    assert valid == "the same"


def compare(folder, rank, address, file):
    """Write what a process of two reports of data and of a checkpoint that the other does not have."""
    torch.distributed.init_process_group("gloo", init_method=address, world_size=2, rank=rank)
    train, valid = SimpleNamespace(sizes=[10, 20, 30][: 3 - rank]), SimpleNamespace(sizes=[10])
    checks = [
        same_run.same_data(None, None, SimpleNamespace(datasets={"train": train, "valid": valid}), None),
        same_run.same_beginning(None, str(folder / ("checkpoint_last.pt", "nosuch/checkpoint_last.pt")[rank])),
        same_run.same_data(None, None, SimpleNamespace(datasets={"valid": valid}), None),
    ]
    with file.open("w") as said:
        for check in checks:
            try:
                with check:
                    print("the same", file=said)
            except UserError as error:
                print(error, file=said)
