"""Run the commands of messages.txt, and read their errors."""

import contextlib
import copy
import fcntl
import functools
import io
import re
import runpy
import shlex
import socket

import pytest
import tiny
import torch
import yaml
from forked import Forked, kill_this
from processes import met_by_hand
from torch.multiprocessing import ProcessExitedException

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


QUICK = [("fairseq_summarymixing.plugin.failures", f"{name}_SECONDS", 0.2) for name in ("POLL", "MESSAGE")]
TWO_DEVICES = ("torch.cuda", "device_count", functools.partial(int, 2))
# What follows a command as a comment: what is set in its process before, in which of two
CIRCUMSTANCES = {
    "# /dev/shm is full": [("fairseq_summarymixing.plugin.loading", "_share", no_room)],
    "# memory holds no batch": [("torch.nn.functional", "cross_entropy", no_memory)],
    "# process 1 of two is killed": [TWO_DEVICES, ("torch.multiprocessing", "spawn", spawn_and_lose)],
    "# process 1 is killed": ([], [("fairseq_cli.train", "train", kill_this)]),
}


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
        values = CIRCUMSTANCES[mark + circumstance] if mark else []
        if verb in RECIPES:
            message = self._train(verb, arguments)
        elif verb == "fairseq-hydra-train":
            message = self._launch(arguments, values)
        elif verb == "two-processes":
            message = self._launch_two(arguments, values or ([], []))
        else:
            is_page = verb.endswith(".py")
            page = functools.partial(run_page, tiny.ROOT / verb, arguments)
            message = self._call(page if is_page else functools.partial(main, [verb, *arguments]))
        message = message.replace(str(self.folder), "DIR").replace(", ".join(EXTENSIONS), "EXTENSIONS")
        message = message.replace("and common.cpu=true:", "and torch finds no GPU here:")  # as it says beside a GPU
        message = message.replace(f"on {socket.gethostname()}", "on HOST")
        return re.sub(r"[\d,]+ bytes|has [\d.e+]+ GB", lambda found: re.sub(r"\d\S*", "N", found[0]), message)

    @staticmethod
    def _call(run):
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
            status = run()
        errors = [line for line in printed.getvalue().splitlines() if line.startswith("error: ")]
        assert status == 1 and errors[-1] == printed.getvalue().splitlines()[-1], printed.getvalue()
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


def run_page(page, arguments):
    """Run a script in manifests/ in this process; returns its exit status."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr("sys.argv", [str(page), *arguments])
        runpy.run_path(str(page), run_name="__main__")
    return left.value.code
