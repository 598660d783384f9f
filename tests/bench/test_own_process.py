"""Does a process of its own return what a function returns, and end in one line where it is killed?"""

import os
import signal
import sys

import pytest
from tiny import EXAMPLES

sys.path.insert(0, str(EXAMPLES / "benchmarks"))

from own_process import in_own_process  # noqa: E402

from fairseq_summarymixing.bench.measure import parse_seconds  # noqa: E402
from fairseq_summarymixing.errors import UserError  # noqa: E402


def test_the_result_comes_from_another_process_and_errors_are_raised_here():
    handler = signal.getsignal(signal.SIGINT)
    assert in_own_process(os.getpid) != os.getpid()
    assert in_own_process(signal.getsignal, signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(UserError, match="`seconds` must be numbers with commas between; got x"):
        in_own_process(parse_seconds, "x")


def test_a_process_that_is_killed_is_an_error_and_no_wait():
    with pytest.raises(UserError, match="the process that measures was ended .status -9"):
        in_own_process(signal.raise_signal, signal.SIGKILL)
