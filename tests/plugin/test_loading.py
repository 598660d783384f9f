"""Is it said in words for people why batches do not arrive from the processes that load them?"""

import pytest

pytest.importorskip("fairseq")

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin import loading


@pytest.mark.parametrize(
    "torchs, message",
    [
        (
            "unable to resize file </torch_7_1> to the right size: No space left on device (28)",
            "/dev/shm is full, through which loaded batches go: enlarge it .*, or set dataset.num_workers to a smaller",
        ),
        (
            "unable to open shared memory object </torch_7_1> in read-write mode: Too many open files (24)",
            "loaded batches hold too many files open: raise their number .ulimit -n 65536., or set dataset.num_workers",
        ),
    ],
)
def test_a_batch_that_cannot_be_shared(torchs, message, monkeypatch):
    def fail(batch):
        raise RuntimeError(torchs)

    monkeypatch.setattr(loading, "_share", fail)
    monkeypatch.setattr(loading, "get_worker_info", lambda: "of a loading process")
    with pytest.raises(UserError, match=message) as error:
        loading.collate_shared(list, [])
    assert "torch_" not in str(error.value)


@pytest.mark.parametrize(
    "torchs, message",
    [
        ("DataLoader worker (pid 9) is killed by signal: Bus error. ", r"was killed \(Bus error\), for want of memory"),
        ("DataLoader worker (pid(s) 9) exited unexpectedly", "was killed, for want of memory or of shared memory"),
    ],
)
def test_a_process_that_was_killed(torchs, message):
    with pytest.raises(UserError, match=f"a process that loads data {message}"), loading.loaded_batch():
        raise RuntimeError(torchs)
