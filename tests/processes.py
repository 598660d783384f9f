"""Runs of two processes on one machine, started in each of the ways that fairseq has."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forked import forked, set_values
from tiny import ROOT, accept_ctrl_c, command, compose

GLOO = {"distributed_training.distributed_world_size": 2, "distributed_training.distributed_backend": "gloo"}
WAYS = ("spawn", "torchrun", "by hand")


def start_pair(way, folder, name, settings, of_rank=({}, {}), environment=None):
    """Start a run of two processes; returns its commands' processes, rank 0 or their parent first.

    Args:
        way: ``spawn``: fairseq's own, one command; ``torchrun``; ``by hand``: a command for each rank.
        of_rank: settings of each rank alone, by hand.
    """
    if way == "spawn":
        return [_start(command(folder, name, {**settings, **GLOO}), environment, two_devices=True)]
    if way == "torchrun":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
        torchrun += ["--master_port", str(free_port()), "--no_python"]
        return [_start(torchrun + command(folder, name, {**settings, **GLOO}), environment, two_devices=True)]
    settings = {**settings, **met_by_hand()}
    ranks = [{"distributed_training.distributed_rank": rank, **of_rank[rank]} for rank in (0, 1)]
    return [_start(command(folder, name, {**settings, **rank}), environment) for rank in ranks]


def met_by_hand():
    """Settings of both processes where each is started by itself; a rank is to be added."""
    address = f"tcp://localhost:{free_port()}"
    return {
        **GLOO,
        "distributed_training.distributed_no_spawn": True,
        "distributed_training.distributed_init_method": address,
    }


def run_pair(way, folder, name, settings, timeout=240, **options):
    """Run two processes to their end. Returns the commands' exit statuses and outputs, and the seconds it took."""
    began = time.monotonic()
    processes = start_pair(way, folder, name, settings, **options)
    try:
        outputs = [process.communicate(timeout=timeout)[0] for process in processes]
    finally:
        for process in processes:
            kill(process)
    return [process.returncode for process in processes], outputs, time.monotonic() - began


def train_pair(folder, name, settings):
    """Train as :func:`fork_pair`; raises AssertionError with the processes' output where one fails."""
    statuses, outputs = fork_pair(folder, name, settings)
    assert statuses == [0, 0], (statuses, *(output[-3000:] for output in outputs))


def fork_pair(folder, name, settings, values=(), of_rank=({}, {})):
    """Train in two processes that are forked off one that has imported fairseq already: the quickest way.

    Args:
        of_rank: settings of each rank alone.
        values: as of :func:`~forked.set_values`, set in both before.

    Returns:
        Exit statuses and outputs, rank 0 first.
    """
    context = forked()
    settings = {**settings, **met_by_hand()}
    with tempfile.TemporaryDirectory() as logs:
        files = [os.path.join(logs, str(rank)) for rank in (0, 1)]
        processes = [
            context.Process(target=_train, args=(folder, name, {**settings, **of_rank[rank]}, rank, file, values))
            for rank, file in enumerate(files)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=240)
            process.kill()
        return [process.exitcode for process in processes], [Path(file).read_text() for file in files]


def _train(folder, name, settings, rank, log, values):
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import torch
    from fairseq.distributed.utils import call_main
    from fairseq_cli.train import main

    torch.set_num_threads(1)
    set_values(values)
    call_main(compose(folder, name, {**settings, "distributed_training.distributed_rank": rank}), main)


def kill(process):
    """Kill a command and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def _start(arguments, environment, two_devices=False):
    given = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **(environment or {})}
    if two_devices:
        given["PYTHONPATH"] = str(Path(__file__).parent / "two_devices")
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: (accept_ctrl_c(), os.setpgrp()),
    )
