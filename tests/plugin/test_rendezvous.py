"""Is it said for whom the processes of a run wait before it begins, and does the wait end in one line?"""

import functools
import os
import signal
import socket
import time
from datetime import timedelta

import pytest

pytest.importorskip("fairseq")

import torch
import torch.distributed as dist
from forked import Forked, forked
from hydra_plugins import _summarymixing_rendezvous as rendezvous
from omegaconf import OmegaConf
from processes import free_port, met_by_hand
from tiny import command, pretraining

from fairseq_summarymixing.plugin import interrupts

MODULE = rendezvous.__name__
QUICK = [(MODULE, "POLL_SECONDS", 0.1), (MODULE, "FIRST_SECONDS", 0.3)]


def wait_for(text, path):
    until = time.monotonic() + 60
    while text not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() < until, path.read_text()
        time.sleep(0.1)


@pytest.mark.skipif(torch.__version__ < "2.1", reason="torch 2.0 lets no other thread of process 0 run")
def test_who_is_missing_is_named_and_ctrl_c_ends_the_wait_in_one_line(tmp_path):
    met = {**met_by_hand(), "distributed_training.distributed_world_size": 4}
    address = met["distributed_training.distributed_init_method"]
    started = []
    for rank in (2, 0):
        settings = {**pretraining("DATA", tmp_path), **met, "distributed_training.distributed_rank": rank}
        argv = command("pretraining", "summarymixing_base_librispeech", settings)
        again = [(MODULE, "AGAIN_SECONDS", 0.5)]
        started.append(Forked(["fairseq-hydra-train", *argv[1:]], tmp_path, [*QUICK, *again]))
        if rank:
            wait_for(f"process 2 of 4 waits at {address} for process 0, which is to listen there", started[0].log)
    for rank, process in zip((2, 0), started):
        wait_for(f"process {rank} of 4 waits at {address} for 1, 3; 2 of 4 have joined", process.log)
    for process in started:
        os.kill(process.process.pid, signal.SIGINT)
    for process in started:
        status, output = process.end(60)
        assert status == 130 and output.splitlines()[-1] == interrupts.MESSAGE and "Traceback" not in output


def meet(rank, size, port, limit, file):
    """Write how it ends to meet as a process that is started by hand, torch's limit being so many seconds."""
    rendezvous.POLL_SECONDS, rendezvous.LIMIT_SECONDS = 0.1, limit
    cfg = {"distributed_rank": rank, "distributed_world_size": size, "distributed_no_spawn": True}
    cfg["distributed_init_method"] = f"tcp://localhost:{port}"
    init = functools.partial(dist.init_process_group, "gloo", timeout=timedelta(seconds=limit), world_size=size)
    init = functools.partial(init, init_method=cfg["distributed_init_method"], rank=rank)
    with file.open("w") as said:
        try:
            rendezvous.rendezvous(lambda cfg: init(), bool, "")(OmegaConf.create({"distributed_training": cfg}))
            print("met", file=said)
        except SystemExit as end:
            print(end, file=said)


def outcomes(folder, *arguments):
    """What processes say that meet with these arguments."""
    files = [folder / str(number) for number in range(len(arguments))]
    processes = [forked().Process(target=meet, args=(*each, file)) for each, file in zip(arguments, files)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    return [file.read_text().strip() for file in files]


def test_the_wait_ends_in_one_line_with_torchs_limit(tmp_path):
    port, other = free_port(), free_port()
    alone, first, out = outcomes(tmp_path, (1, 3, port, 1.2), (0, 2, other, 1.2), (2, 2, port, 1.2))
    waits = f"process 1 of 3 waits at tcp://localhost:{port} for process 0, which is to listen there"
    assert alone == (
        f"error: {waits}; they have not joined in 0.02 minutes: start these, or set "
        "distributed_training.distributed_world_size to the number of processes that are started"
    )
    waits = f"process 0 of 2 waits at tcp://localhost:{other} for the others"
    assert first.startswith(f"error: {waits}; they have not joined in")
    assert out == (
        "error: distributed_training.distributed_rank=2 must be 0 or more and below "
        "distributed_training.distributed_world_size=2"
    )


def test_processes_that_join_run_and_a_second_one_of_a_rank_is_refused(tmp_path):
    port = free_port()
    assert outcomes(tmp_path, (0, 2, port, 50), (1, 2, port, 50)) == ["met", "met"]
    with socket.socket() as own:
        own.bind(("", 0))
        own.listen()
        taken = own.getsockname()[1]
        (said,) = outcomes(tmp_path, (0, 2, taken, 2))
    assert said.startswith(
        f"error: port {taken} of distributed_training.distributed_init_method is taken, by another run"
    )


@pytest.mark.parametrize("method", [None, "env://", "file:///a", "tcp://host", "tcp://host:port"])
def test_other_ways_to_meet_are_left_alone(method):
    assert rendezvous.address_of(method) is None
