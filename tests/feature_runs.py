"""Run `features`, and read what it wrote."""

import numpy as np
import pytest

from fairseq_summarymixing.cli import main


def features(checkpoint, *audio, out, options=()):
    return main(["features", str(checkpoint), *map(str, audio), "-o", str(out), *options])


def arrays(path):
    """What a file of several holds, by name."""
    if path.suffix == ".npz":
        with np.load(path) as found:
            return dict(found)
    safetensors = pytest.importorskip("safetensors.numpy", reason="the hf extra is not installed")
    return safetensors.load_file(path)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
