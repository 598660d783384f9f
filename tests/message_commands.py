"""Run the commands of messages.txt, and read their errors."""

import contextlib
import copy
import fcntl
import functools
import io
import re
import runpy
import shlex
import shutil
import socket
import sys
import types

import pytest
import tiny
import torch
import yaml
from forked import Forked, kill_this
from processes import met_by_hand
from torch.multiprocessing import ProcessExitedException

from fairseq_summarymixing import __version__
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.data.formats import EXTENSIONS

SECONDS = 120
NO_SAVE = {"checkpoint.save_dir": "saved", "checkpoint.no_save": True}
RECIPES = {"pretrain": ("pretraining", "summarymixing_base_librispeech"), "finetune": ("finetuning", "base_10h")}


def no_room(*args):
    raise RuntimeError("unable to resize file </torch_7_1> to the right size: No space left on device (28)")


def no_memory(*args, **kwargs):
    torch.empty(2**57)


def spawn_and_lose(**kwargs):
    raise ProcessExitedException("", error_index=1, error_pid=7, exit_code=-9, signal_name="SIGKILL")


def full_disk(path):
    return shutil._ntuple_diskusage(10**6, 10**6, 0)


DOWNSTREAM = "fairseq_summarymixing.downstream"
QUICK = [("fairseq_summarymixing.plugin.failures", f"{name}_SECONDS", 0.2) for name in ("POLL", "MESSAGE")]
TWO_DEVICES = ("torch.cuda", "device_count", functools.partial(int, 2))
# What follows a command as a comment: what is set in its process before, in which of two
CIRCUMSTANCES = {
    "# /dev/shm is full": [("fairseq_summarymixing.plugin.loading", "_share", no_room)],
    "# memory holds no batch": [("torch.nn.functional", "cross_entropy", no_memory)],
    "# process 1 of two is killed": [TWO_DEVICES, ("torch.multiprocessing", "spawn", spawn_and_lose)],
    "# there is no GPU": [("torch.cuda", "is_available", functools.partial(bool, False))],
    "# the processor lacks bf16": [(f"{DOWNSTREAM}.devices", "takes_bf16_products", functools.partial(bool, False))],
    "# the disk is full": [(f"{DOWNSTREAM}.probe.hidden_states.shutil", "disk_usage", full_disk)],
    "# process 1 is killed": ([], [("fairseq_cli.train", "train", kill_this)]),
    "# torch finds no GPU": [("torch.cuda", "is_available", bool)],
}
NOT_INSTALLED = " is not installed"


@contextlib.contextmanager
def set_for_a_while(values):
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in values:
            patch.setattr(f"{module}.{name}", value)
        yield


@contextlib.contextmanager
def absent(package):
    """Let a package be not installed."""

    def find_spec(finder, name, *args):
        return None if name.partition(".")[0] == package else finder.find_spec(name, *args)

    with pytest.MonkeyPatch.context() as patch:
        for name in list(sys.modules):
            if name.partition(".")[0] == package:
                patch.delitem(sys.modules, name)
        finders = [functools.partial(find_spec, finder) for finder in sys.meta_path]
        patch.setattr("sys.meta_path", [types.SimpleNamespace(find_spec=find) for find in finders])
        yield


class Commands:
    """Run the commands of the table in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = (folder / "busy/.training.lock").open()  # as another training holds it
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.settings = {
            "pretrain": tiny.pretraining("data", "save"),
            "finetune": tiny.finetuning("data", "save", "pretrained.pt"),
        }
        self.recipes = {verb: tiny.read_recipe(*recipe) for verb, recipe in RECIPES.items()}

    def error(self, line):
        """The error of a command, with DIR for its folder and words for what differs between machines."""
        command, mark, circumstance = line.partition("# ")
        verb, *arguments = shlex.split(command)
        package, is_absent, _ = circumstance.partition(NOT_INSTALLED)
        values = CIRCUMSTANCES[mark + circumstance] if mark and not is_absent else []
        if verb in RECIPES:
            with absent(package) if is_absent else set_for_a_while(values):
                message = self._train(verb, arguments)
        elif verb == "fairseq-hydra-train":
            message = self._launch(arguments, values)
        elif verb == "two-processes":
            message = self._launch_two(arguments, values or ([], []))
        else:
            with absent(package) if is_absent else set_for_a_while(values):
                message = self._call(functools.partial(run_verb, verb, arguments))
        message = message.replace(str(self.folder), "DIR").replace(", ".join(EXTENSIONS), "EXTENSIONS")
        message = message.replace("and common.cpu=true:", "and torch finds no GPU here:")  # as it says beside a GPU
        message = message.replace(f"on {socket.gethostname()}", "on HOST")
        message = re.sub(r"(?<=bytes, )[-\d: ]+(?=\))", "TIME", message.replace(__version__, "VERSION"))
        return re.sub(r"[\d,]+ bytes|has [\d.e+]+ GB", lambda found: re.sub(r"\d\S*", "N", found[0]), message)

    @staticmethod
    def _call(run):
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
            status = run()
        lines = printed.getvalue().splitlines()
        if status == 2:  # of argparse, below its usage
            return lines[-1].partition(": error: ")[2]
        errors = [line for line in lines if line.startswith("error: ")]
        assert status == 1 and errors[-1] == lines[-1], printed.getvalue()
        return "\n".join(line[len("error: ") :] for line in errors)

    def _train(self, verb, overrides):
        from fairseq_cli.train import main as train

        given = (override.partition("=")[::2] for override in overrides)
        settings = {
            **self.settings[verb],
            "common.user_dir": None,
            **{field: yaml.safe_load(value or "''") for field, value in given},
        }
        with pytest.raises(ValueError) as error, contextlib.redirect_stdout(io.StringIO()):
            train(tiny.complete(copy.deepcopy(self.recipes[verb]), settings))
        return str(error.value)

    def _launch(self, overrides, values):
        """The error of a pre-training in a process of its own; of each job, in a sweep."""
        status, output = Forked(self._command(sorted(overrides, key="-m".__eq__)), self.folder, values).end(SECONDS)
        assert "Traceback" not in output and status == 1, output
        jobs = re.split(r"^\[.*\]\[HYDRA\]\s+#\d+ :.*\n", output, flags=re.MULTILINE)[1:]
        said = [re.findall(r"Crashed! error: (.*)|(done training)", job) for job in jobs]
        assert all(len(each) == 1 for each in said), output
        of_jobs = [f"job {number}: {''.join(each[0])}" for number, each in enumerate(said)]
        return "\n".join([*of_jobs, last_error(output)])

    def _launch_two(self, overrides, values):
        """The errors of a pre-training in two processes, the first one's first."""
        met = met_by_hand()
        started = []
        for rank in (0, 1):
            own = [override[2:] for override in overrides if override.startswith(f"{rank}:")]
            common = [override for override in overrides if override[1] != ":"]
            argv = self._command([*common, *own], **met, **{"distributed_training.distributed_rank": rank})
            started.append(Forked(argv, self.folder, [*QUICK, *values[rank]]))
        ended = [process.end(SECONDS) for process in started]
        lines = []
        for rank, (status, output) in enumerate(ended):
            assert "Traceback" not in output, output
            lines.append(f"process {rank}: {last_error(output) if status == 1 else f'status {status}'}")
        return "\n".join(lines)

    def _command(self, overrides, **more):
        settings = {**self.settings["pretrain"], "task.data": "rooted", **NO_SAVE, **more}
        return ["fairseq-hydra-train", *tiny.command(*RECIPES["pretrain"], settings)[1:], *overrides]


def last_error(output):
    last = output.strip().splitlines()[-1]
    assert last.startswith("error: "), output
    return last[len("error: ") :]


def run_verb(verb, arguments):
    """Run a verb, a script or ``python -m MODULE`` in this process; returns its exit status."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        if verb == "python":
            patch.setattr("sys.argv", arguments[1:])
            runpy.run_module(arguments[1], run_name="__main__")
        elif verb.endswith(".py"):
            script = tiny.ROOT / verb
            patch.setattr("sys.argv", [str(script), *arguments])
            with beside(script.parent):
                runpy.run_path(str(script), run_name="__main__")
        else:
            sys.exit(main([verb, *arguments]))
    return left.value.code


@contextlib.contextmanager
def beside(folder):
    """Let a script import its neighbours, and forget them after it."""
    neighbours = {path.stem for path in folder.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in neighbours & sys.modules.keys()}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in neighbours:
            sys.modules.pop(name, None)
        sys.modules.update(others)
