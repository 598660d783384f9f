"""Do exported directories work in the users' own tools? Each runs a script in an environment of its own.

``make test-ecosystem`` makes the environments; the one that the tests run in stands for transformers 5.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

import numpy as np

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.converters import parity
from fairseq_summarymixing.converters.export_source import read_export_source

HERE = Path(__file__).parent
FEW = [(kind, ctc) for kind in ("paper", "twin", "stock") for ctc in (False, True)] + [("summary_mixing", False)]
CTC = [(kind, True) for kind in ("summary_mixing-group_norm", "lite", "paper_twin")]
TRANSFORMERS = FEW + CTC + [("stock-same_width", False)]


def reference(source, path):
    """Write what fairseq computes of random utterances, for the scripts."""
    arrays = {}
    for case, lengths in parity.CASES.items():
        wave, padding_mask = parity.example(lengths)
        outputs, frames_mask = parity.fairseq_outputs(source, wave, padding_mask)
        arrays.update({f"{name}.{case}": value.numpy() for name, value in outputs.items() if name != parity.LAST})
        arrays[f"wave.{case}"] = wave.numpy()
        if padding_mask is not None:
            arrays[f"mask.{case}"], arrays[f"real.{case}"] = (~padding_mask).long().numpy(), (~frames_mask).numpy()
    np.savez(path, **arrays)
    return path


def run(python, script, *arguments):
    """The last line that the script prints, read as JSON."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [str(python), str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={**environment, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.strip().splitlines()[-1])


def environment(name):
    python = tiny.ROOT / f".venv-{name}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment .venv-{name}; make test-ecosystem makes it")
    return python


def use(python, script, checkpoint, exported, tmp_path, kind, ctc):
    file = reference(read_export_source(Checkpoint.read(checkpoint(kind, ctc))), tmp_path / "reference.npz")
    return run(python, script, exported(kind, ctc), file)


@pytest.mark.parametrize("kind, ctc", TRANSFORMERS)
def test_transformers_of_this_environment(checkpoint, exported, tmp_path, kind, ctc):
    did = use(sys.executable, "transformers_user.py", checkpoint, exported, tmp_path, kind, ctc)
    assert {"same_numbers", "heads_train", "pipelines"} <= set(did["did"])


@pytest.mark.parametrize("kind, ctc", TRANSFORMERS)
def test_transformers_4(checkpoint, exported, tmp_path, kind, ctc):
    did = use(environment("transformers4"), "transformers_user.py", checkpoint, exported, tmp_path, kind, ctc)
    assert did["transformers"].startswith("4.") and "trainer" in did["did"]


@pytest.mark.parametrize("kind, ctc", FEW)
def test_speechbrain(checkpoint, exported, tmp_path, kind, ctc):
    use(environment("speechbrain"), "speechbrain_user.py", checkpoint, exported, tmp_path, kind, ctc)


@pytest.mark.parametrize("kind, ctc", FEW)
def test_s3prl(checkpoint, exported, tmp_path, kind, ctc):
    use(environment("s3prl"), "s3prl_user.py", checkpoint, exported, tmp_path, kind, ctc)
