"""Are recordings that are computed together what they are alone?"""

import checkpoint_files
import numpy as np
import pytest
import tiny
from feature_runs import features

from fairseq_summarymixing.modules.encoder import Encoder

SECONDS = (0.4, 1.3, 0.9, 2.2, 1.1, 0.05)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short")
    for index, seconds in enumerate(SECONDS):
        tiny.write_wave(folder / f"{index}.wav", tiny.tone(seconds, seed=index))
    return folder


@pytest.mark.parametrize("kind", checkpoint_files.KINDS)
def test_together_and_alone_are_equal(kind, short, tmp_path, monkeypatch):
    checkpoint = checkpoint_files.pretrained(tmp_path / "model.pt", kind, normalize="paper" in kind)
    batches, forward = [], Encoder.forward
    monkeypatch.setattr(
        Encoder, "forward", lambda self, x, *rest, **more: batches.append(len(x)) or forward(self, x, *rest, **more)
    )
    options = ["--layers", "all", "--batch-seconds", "3", "--chunk-seconds", "2"]
    assert features(checkpoint, short, out=tmp_path / "together", options=options) == 0
    assert features(checkpoint, short, out=tmp_path / "alone", options=["--layers", "all"]) == 0
    for path in sorted((tmp_path / "alone").glob("*.npy")):
        alone, together = np.load(path), np.load(tmp_path / "together" / path.name)
        np.testing.assert_allclose(together, alone, atol=1e-5 * max(1, np.abs(alone).max()), err_msg=path.name)
    in_chunks = kind not in ("twin", "paper_twin", "hyper_mixing", "fastformer") and "stock" not in kind
    together = batches[: -len(SECONDS)]
    assert together == ([2, 3] if in_chunks else [1, 2, 3]), "the longest, more than a chunk, is alone"


def test_a_recording_that_is_there_is_left_alone_and_the_others_are_computed(short, tmp_path):
    checkpoint = checkpoint_files.pretrained(tmp_path / "model.pt", "paper")
    options = ["--batch-seconds", "10"]
    assert features(checkpoint, short / "1.wav", out=tmp_path / "out", options=options) == 0
    before = (tmp_path / "out" / "1.layer-2.npy").stat().st_mtime_ns
    assert features(checkpoint, short, out=tmp_path / "out", options=options) == 0
    assert len(list((tmp_path / "out").glob("*.layer-2.npy"))) == len(SECONDS)
    assert (tmp_path / "out" / "1.layer-2.npy").stat().st_mtime_ns == before
