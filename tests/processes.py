"""Runs of two processes on one machine, started in each of the ways that fairseq has."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tiny import ROOT, command, hear_ctrl_c

GLOO = {
    "distributed_training.distributed_world_size": 2,
    "distributed_training.distributed_backend": "gloo",
}  # fmt: skip
WAYS = ("spawn", "torchrun", "by hand")


def start_pair(way, folder, name, settings, of_rank=({}, {}), environment=None):
    """Start a run of two processes; returns its commands' processes, rank 0 or their parent first.

    Args:
        way: ``spawn``: fairseq's own, one command; ``torchrun``; ``by hand``: a command for each rank.
        of_rank: settings of each rank alone, by hand.
    """
    settings = {**settings, **GLOO}
    if way == "spawn":
        return [_start(command(folder, name, settings), environment, two_devices=True)]
    if way == "torchrun":
        torchrun = [
            sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()),
            "--no_python",
        ]  # fmt: skip
        return [_start(torchrun + command(folder, name, settings), environment, two_devices=True)]
    settings = {
        **settings, "distributed_training.distributed_no_spawn": True,
        "distributed_training.distributed_init_method": f"tcp://localhost:{free_port()}",
    }  # fmt: skip
    ranks = [{"distributed_training.distributed_rank": rank, **of_rank[rank]} for rank in (0, 1)]
    return [_start(command(folder, name, {**settings, **rank}), environment) for rank in ranks]


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


def kill(process):
    """Kill a command and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
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
        arguments, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: (hear_ctrl_c(), os.setpgrp()),
    )  # fmt: skip
