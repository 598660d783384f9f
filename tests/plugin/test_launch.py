"""Does what ends a run before fairseq loads us, or in the process that spawns the others, end it in one line?"""

import sys

import pytest

pytest.importorskip("fairseq")

import hydra_plugins.fairseq_summarymixing as launch
from omegaconf import OmegaConf
from tiny import ROOT, pretraining, run
from torch.multiprocessing import ProcessExitedException

from fairseq_summarymixing import plugin
from fairseq_summarymixing.plugin import interrupts

OURS = OmegaConf.create(
    {"common": {"user_dir": "/a/fairseq_summarymixing/"}, "distributed_training": {"distributed_world_size": 4}}
)
OTHERS = OmegaConf.create({"common": {"user_dir": None}})
EXITED = ProcessExitedException("process 1 terminated", error_index=1, error_pid=7, exit_code=3)
KILLED = ProcessExitedException("process 0 terminated", error_index=0, error_pid=7, exit_code=-9, signal_name="SIGKILL")


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv(interrupts.REPORTED_BY_PARENT, "")


@pytest.mark.parametrize(
    "error, message",
    [
        (
            AssertionError("world size is 4 but have 0 available devices"),
            "error: distributed_training.distributed_world_",
        ),
        (
            FileNotFoundError("/a/fairseq_summarymixing"),
            "user_dir=/a/fairseq_summarymixing/ is no folder, neither here",
        ),
        (ImportError("... is not globally unique. Please"), "is a second copy of the package that was imported from /"),
        (EXITED, "error: process 1 has ended with status 3; its message stands above"),
        (KILLED, "error: process 0 was killed .SIGKILL., for want of memory for instance"),
    ],
    ids=["devices", "no user_dir", "another user_dir", "spawned", "killed"],
)
def test_errors_of_launching_are_one_line_for_our_runs_alone(error, message):
    call = launch.reporting(raising(error))
    with pytest.raises(SystemExit, match=message):
        call(OURS, None)
    with pytest.raises(type(error)):
        call(OTHERS, None)


@pytest.mark.parametrize("size", [0, -1])
def test_a_run_of_no_process_is_an_error(size):
    started = []
    call = launch.reporting(lambda cfg, main, **kwargs: started.append(cfg))
    none = OmegaConf.merge(OURS, {"distributed_training": {"distributed_world_size": size}})
    with pytest.raises(SystemExit, match=f"distributed_world_size must be at least 1; got {size}"):
        call(none, None)
    assert started == []


def test_other_errors_pass_through():
    for error in (AssertionError("of another kind"), RuntimeError("of any kind"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            launch.reporting(raising(error))(OURS, None)


def test_a_folder_that_hydra_cannot_write_is_named():
    full = OSError(30, "Read-only file system", "/ro/.hydra")
    with pytest.raises(SystemExit, match="error: hydra cannot write /ro/.hydra: Read-only file system; start from a "):
        launch.in_a_writable_folder(raising(full))(config=OURS)
    of_logging = ValueError("Unable to configure handler 'file'")
    of_logging.__cause__ = full
    with pytest.raises(SystemExit, match="error: hydra cannot write /ro/.hydra: Read-only file system"):
        launch.in_a_writable_folder(raising(of_logging))(config=OURS)
    for error, config in ((full, OTHERS), (ValueError("of another kind"), OURS)):
        with pytest.raises(type(error)):
            launch.in_a_writable_folder(raising(error))(config=config)


def test_an_interrupt_is_one_line(capsys):
    launch.reporting(lambda cfg, main: None)(OURS, None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == f"{interrupts.MESSAGE}\n"


def test_names_that_stand_in_both_places_are_the_same():
    assert (launch.SWITCH, launch.INTERRUPTED) == (plugin.SWITCH, interrupts.MESSAGE)
    assert launch.REPORTED_BY_PARENT == interrupts.REPORTED_BY_PARENT


def test_hydra_loads_us_before_fairseq_counts_gpus(tmp_path):
    status, output = run(
        "pretraining",
        "summarymixing_base_librispeech",
        {**pretraining("DATA", tmp_path), "distributed_training.distributed_world_size": 2},
        cwd=tmp_path,
    )
    assert status == 1 and "Traceback" not in output
    assert (
        output.strip().splitlines()[-1].startswith("error: distributed_training.distributed_world_size=2 is more than")
    )


def test_the_package_itself_is_not_imported():
    """fairseq refuses a user directory whose name is imported from another folder."""
    text = (ROOT / "fairseq_summarymixing" / "plugin" / "hydra_plugins" / "fairseq_summarymixing.py").read_text()
    assert not [line for line in text.splitlines() if "import" in line and "fairseq_summarymixing" in line]
