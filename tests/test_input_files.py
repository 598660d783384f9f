"""Does everything that reads a file refuse at once what is no file?"""

import os
import signal
import socket

import pytest

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.input_files import kind_of
from fairseq_summarymixing.json_files import read_json
from fairseq_summarymixing.text_files import open_text, read_lines, read_text


@pytest.fixture(autouse=True)
def at_once():
    """A reader that waits is interrupted."""

    def stop(*_):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["a named pipe", "a device", "a folder", "a socket"])
def unusual(request, tmp_path, monkeypatch):
    """A path, and what it is."""
    path = tmp_path / "named"
    if request.param == "a named pipe":
        os.mkfifo(path)
    elif request.param == "a device":
        path.symlink_to("/dev/zero")
    elif request.param == "a folder":
        path.mkdir()
    else:
        monkeypatch.chdir(tmp_path)  # a socket's name has a limit
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("named")
    return path, request.param


def read_checkpoint(path):
    from fairseq_summarymixing.checkpoints import Checkpoint

    Checkpoint.read(path)


def read_recording(path):
    from fairseq_summarymixing.downstream.inputs import read_wave

    read_wave(str(path))


def read_header(path):
    from fairseq_summarymixing.downstream.inputs import read_length

    read_length(str(path))


def read_language_model(path):
    from fairseq_summarymixing.downstream.beam_search import BeamSearch

    BeamSearch(lm=path, lexicon=__file__)


READERS = [read_text, open_text, read_json, read_checkpoint, read_recording, read_header, read_language_model]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_what_is_no_file_is_refused(read, unusual):
    path, kind = unusual
    if read not in (read_text, open_text, read_json):
        pytest.importorskip("fairseq", reason="reads with fairseq's classes")
    with pytest.raises(ValueError, match=f"is {kind}"):
        read(path)


def test_what_a_verb_has_written_is_not_taken_from_what_is_no_file(unusual):
    pytest.importorskip("fairseq", reason="imports fairseq's classes")
    from fairseq_summarymixing.downstream.feature_files import FeatureFiles
    from fairseq_summarymixing.downstream.probe.hidden_states import Part

    folder = unusual[0].parent
    (folder / "a.json").symlink_to(unusual[0])
    assert FeatureFiles(folder, "a", {}, None).read_origin() is None and Part(folder / "a", []).shapes() is None


def test_a_shells_nameless_pipe_is_read():
    out, into = os.pipe()
    os.write(into, b"a\nb\n")
    os.close(into)
    assert read_lines(f"/dev/fd/{out}") == ["a", "b"]
    os.close(out)


def test_what_is_not_there_has_no_kind(tmp_path):
    assert kind_of(tmp_path / "nothing") is None and kind_of("a\0b") is None
    for path in (tmp_path / "nothing", "a\0b"):
        with pytest.raises(UserError, match="cannot read"):
            read_text(path)
