import os
import signal
import subprocess
import sys
import time

import pytest
from tiny import accept_ctrl_c

pytest.importorskip("scipy")

FILES = 150


@pytest.fixture
def large_corpus(tmp_path, write_tone):
    """Enough to resample for some seconds."""
    first = write_tone(tmp_path / "corpus" / "000.wav", 8, 44100, channels=2)
    for number in range(1, FILES):
        os.link(first, tmp_path / "corpus" / f"{number:03d}.wav")
    return tmp_path / "corpus"


def command(corpus, out):
    return [
        *(sys.executable, "-m", "fairseq_summarymixing", "manifest", "folder", str(corpus), str(out)),
        *("--resample", "16000", "--valid-percent", "30", "--workers", "1"),
    ]


def environment():
    package_parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return {**os.environ, "PYTHONPATH": package_parent, "OMP_NUM_THREADS": "1"}


def stop_after_a_few_copies(corpus, out, signal_number):
    process = subprocess.Popen(
        command(corpus, out),
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=accept_ctrl_c,
    )
    while len(list(out.glob("audio/*.flac"))) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal_number)
    _, errors = process.communicate(timeout=20)
    assert 0 < len(list(out.glob("audio/*.flac"))) < FILES, "it was done before it could be stopped"
    return process.returncode, errors


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_manifest_and_the_next_run_completes_it(large_corpus, tmp_path, signal_number):
    out = tmp_path / "out"
    status, errors = stop_after_a_few_copies(large_corpus, out, signal_number)
    assert not list(out.glob("*.tsv"))
    if signal_number == signal.SIGINT:
        assert status == 130
        assert "Traceback" not in errors
        assert not list(out.rglob("*.part"))
    kept = {path: path.stat().st_mtime_ns for path in out.glob("audio/*.flac")}
    subprocess.run(command(large_corpus, out), env=environment(), check=True, capture_output=True)
    made_anew = [path for path, written in kept.items() if path.stat().st_mtime_ns != written]
    assert len(made_anew) <= (signal_number == signal.SIGKILL), "only the last copy may have lacked its note"
    assert not list(out.rglob(".*"))
    rows = [(out / f"{split}.tsv").read_text().splitlines()[1:] for split in ("train", "valid")]
    assert sorted(rows[0] + rows[1]) == [f"{number:03d}.flac\t128000" for number in range(FILES)]
