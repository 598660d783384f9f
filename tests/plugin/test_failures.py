"""Is the error of another process the last line of this one, whose training goes on until it ends?"""

import logging
import sys
import threading

import pytest

pytest.importorskip("fairseq")

from fairseq_summarymixing.plugin import failures

ERROR = "process 1 on node-1: there is no train.tsv"


class Watch(failures._Watch):
    """A watch without a store, which has a message at once."""

    def __init__(self, rank):
        self.rank = rank
        self.ends_by_itself = threading.Event()

    def _wait_for_message(self):
        return ERROR

    def _wait_until_seen(self):
        log_an_update(0)


def log_an_update(status):
    logging.getLogger("fairseq_cli.train").warning("the next update")


@pytest.fixture
def logged():
    """What fairseq logs goes to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("fairseq_cli.train").addHandler(handler)
    yield
    logging.getLogger("fairseq_cli.train").removeHandler(handler)
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("rank", [0, 1])
def test_nothing_is_logged_after_the_error(rank, capsys, logged, monkeypatch):
    monkeypatch.setattr(failures, "leave_now", log_an_update)
    monkeypatch.setattr(failures, "POLL_SECONDS", 0)
    Watch(rank).run()
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {ERROR}"
