"""Run a command in a process that is forked off one that has imported everything: the quickest way."""

import atexit
import contextlib
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import traceback
from multiprocessing import forkserver
from pathlib import Path

import fairseq_summarymixing

MEMORY = 4 * 2**30  # bytes beyond what the imports take
PRELOADED = ["fairseq_cli.hydra_train", "fairseq_summarymixing.models", "fairseq_summarymixing.tasks"]
PRELOADED += ["fairseq_summarymixing.cli", "fairseq_summarymixing.downstream.decode", "matplotlib.pyplot"]


def forked():
    """A context whose processes are forked off one that has imported fairseq and us, from where this process has.

    That one looks for packages in the folder where it starts first, which is a temporary one during some tests.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here = os.getcwd()
    os.chdir(Path(fairseq_summarymixing.__file__).parent.parent)
    try:
        forkserver.ensure_running()
    finally:
        os.chdir(here)
    return context


def set_values(values):
    """Set what ``values`` names: (module, name, value) of each."""
    for module, attribute, value in values:
        setattr(importlib.import_module(module), attribute, value)


class Forked:
    """A command at work in a folder: ``fairseq-summarymixing`` or ``fairseq-hydra-train`` with arguments.

    Args:
        values: as of :func:`set_values`, set before.
    """

    def __init__(self, argv, folder, values=()):
        self.logs = tempfile.TemporaryDirectory()
        self.log = Path(self.logs.name, "output")
        self.process = forked().Process(target=_run, args=(argv, str(folder), str(self.log), values))
        self.process.start()

    def end(self, seconds):
        """Wait for its end; returns its exit status, negative for a signal, None for no end; and all it printed."""
        self.process.join(seconds)
        status = self.process.exitcode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with what it has started
        self.process.join()
        with self.logs:
            return status, self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def kill_this(*args, **kwargs):
    """A value of :func:`set_values`: what kills the process that calls it."""
    os.kill(os.getpid(), signal.SIGKILL)


def _run(argv, folder, log, values):
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background commands ignore
    with open(log, "w") as file, open(os.devnull) as nothing:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        os.dup2(nothing.fileno(), 0)
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    os.environ["PWD"] = folder
    sys.argv = argv
    multiprocessing.set_start_method("fork", force=True)  # what loads data, as where a shell starts the command
    set_values(values)
    status = _call({"fairseq-summarymixing": _tool, "fairseq-hydra-train": _train}[argv[0]])
    atexit._run_exitfuncs()  # as where Python ends by itself
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _call(command):
    """Return the status with which Python would end."""
    try:
        return command() or 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1


def _tool():
    from fairseq_summarymixing.cli import main

    return main(sys.argv[1:])


def _train():
    import torch
    from fairseq_cli.hydra_train import cli_main

    from fairseq_summarymixing import plugin

    first = next((index for index, argument in enumerate(sys.argv) if "=" in argument), len(sys.argv))
    imported_before = Path(plugin.__file__).parent.parent  # another copy would be refused
    sys.argv.insert(first, f"common.user_dir={imported_before}")
    torch.set_num_threads(1)
    plugin.install()
    cli_main()


def _address_space():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
