"""Do workers read the rows of a manifest where their parent holds them?"""

import multiprocessing
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fairseq", reason="tests the data set of a fairseq task")

from tiny import write_corpus

from fairseq_summarymixing.tasks._dataset import ResilientAudioDataset

ROWS = 100_000
SMAPS = Path("/proc/self/smaps_rollup")


@pytest.fixture
def data(tmp_path):
    corpus = write_corpus(tmp_path, clips=1)
    with open(corpus / "train.tsv", "a") as manifest:
        manifest.writelines(f"a/name/of/a/recording-{number}.wav\t{16000 + number}\n" for number in range(ROWS))
    return ResilientAudioDataset(str(corpus / "train.tsv"), sample_rate=16000, min_sample_size=9000)


def test_a_worker_that_is_started_anew_is_sent_shared_memory(data):
    sent = [bytes(ForkingPickler.dumps(data)) for _ in range(2)]
    assert max(map(len, sent)) < 10_000
    first, second = map(pickle.loads, sent)
    for found in (first, second):
        assert len(found) == len(data) and np.array_equal(found.sizes, data.sizes)
        assert [found.name(index) for index in (0, 5, ROWS)] == [data.name(index) for index in (0, 5, ROWS)]
    assert data.name(ROWS) == f"a/name/of/a/recording-{ROWS - 1}.wav"
    first.sizes[7] = 12345
    assert second.sizes[7] == 12345


def test_a_pickled_data_set_is_whole(data):
    found = pickle.loads(pickle.dumps(data))
    assert found.name(ROWS) == data.name(ROWS) and np.array_equal(found.sizes, data.sizes)


@pytest.mark.skipif(not SMAPS.exists(), reason="counts memory as Linux does")
def test_a_forked_worker_reads_all_paths_without_a_copy_of_their_memory(data):
    def read_all(queue):
        before = private_bytes()
        letters = sum(len(data.name(index)) for index in range(len(data)))
        queue.put((letters, private_bytes() - before))

    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    worker = context.Process(target=read_all, args=(queue,))
    worker.start()
    letters, copied = queue.get()
    worker.join()
    assert letters > 30 * ROWS
    assert copied < letters / 10


def private_bytes():
    """What this process has written to since it was forked."""
    return 1024 * sum(int(line.split()[1]) for line in SMAPS.read_text().splitlines() if line.startswith("Private_"))
