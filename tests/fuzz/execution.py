"""Run a command in a process that is forked off one that has imported everything."""

import atexit
import contextlib
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from case import Outcome
from processes import forked

MEMORY = 4 * 2**30  # bytes beyond what the imports take


def run(argv, folder, seconds):
    """Run ``fairseq-summarymixing`` or ``fairseq-hydra-train`` with arguments in a folder."""
    with tempfile.TemporaryDirectory() as logs:
        log = os.path.join(logs, "output")
        process = forked().Process(target=_run, args=(argv, str(folder), log))
        process.start()
        process.join(seconds)
        status = process.exitcode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started
        process.join()
        return Outcome(status, Path(log).read_text(encoding="utf-8", errors="replace") if os.path.exists(log) else "")


def _run(argv, folder, log):
    os.setpgrp()
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

    torch.set_num_threads(1)
    plugin.install()
    cli_main()


def _address_space():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
