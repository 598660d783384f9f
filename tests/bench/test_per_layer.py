"""Does the script that counts a layer's costs give those of every further layer?"""

import subprocess
import sys

import pytest
import torch
from tiny import ROOT

if not hasattr(torch.amp, "is_autocast_available"):
    pytest.skip("torch < 2.4 lacks operations on meta", allow_module_level=True)

sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

import per_layer  # noqa: E402

from fairseq_summarymixing.bench import candidates, counts  # noqa: E402


def test_a_layer_beside_its_twins(tiny_shapes, monkeypatch):
    monkeypatch.setattr(counts, "RECIPES", candidates.SHAPES)
    rows = list(per_layer.rows())
    assert [row[0].split(",")[0] for row in rows] == ["base"] * 3 + ["155m"] * 3
    four, three = (counts.count_step("155m", "self_attention", 10, layers=layers)["calls"] for layers in (4, 3))
    title, _, twin, _ = rows[-1]
    assert title == "155m, calls" and int(twin) == four - three
    for title, ours, twin, ratio in rows:
        assert float(ratio) == pytest.approx(float(ours) / float(twin), abs=0.01)
        assert "calls" in title or float(ratio) < 1


def test_an_argument_that_it_does_not_take_is_refused():
    ended = subprocess.run([sys.executable, per_layer.__file__, "--seconds", "5"], capture_output=True, text=True)
    assert ended.returncode == 2 and "unrecognized arguments: --seconds 5" in ended.stderr
