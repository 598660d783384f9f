"""What does a run print where its log cannot be written, as on a full disk?"""

import logging
import os

import pytest

from fairseq_summarymixing.plugin import unwritten_log


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_one_line_for_all_lines_that_are_lost(monkeypatch, capsys):
    monkeypatch.setattr(logging.FileHandler, "handleError", logging.Handler.handleError)
    unwritten_log.install()
    handler = logging.FileHandler("/dev/full")
    for _ in range(3):
        handler.handle(logging.makeLogRecord({"msg": "a line"}))
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith("warning: cannot write the log /dev/full: No space left on device; the run goes on")
