"""Does a step of every recipe cost what it did, and is a change for the worse named?"""

import dataclasses
import json
import re

import pytest
import torch
from tiny import EXAMPLES

from fairseq_summarymixing.bench import candidates, counts
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.errors import UserError

pytestmark = pytest.mark.skipif(
    not hasattr(torch.amp, "is_autocast_available"), reason="torch < 2.4 lacks operations on meta"
)


def test_no_step_costs_more_than_the_file_in_the_repository_says(capsys):
    """Where this fails by intention: fairseq-summarymixing bench check --write, and say why in the commit."""
    status = main(["bench", "check"])
    assert status == 0, capsys.readouterr().err


def counted_recipes():
    """Size, model, and whether a mixer is set, of each recipe for our model but those of waveforms at toy sizes."""
    from omegaconf import OmegaConf

    from fairseq_summarymixing.models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig

    for path in [*EXAMPLES.glob("pretraining/*.yaml"), *EXAMPLES.glob("*/**/pretraining_log_mel.yaml")]:
        model = OmegaConf.load(path).model
        if model._name != "wav2vec2":
            size = path.stem.split("_")[-2] if path.parent.name == "pretraining" else path.parent.name
            yield size.replace("166m", "155m"), OmegaConf.merge(Wav2Vec2SummaryMixingConfig, model), "mixer" in model


def test_sizes_are_those_of_the_recipes_field_by_field():
    pytest.importorskip("fairseq", reason="reads recipes")
    from fairseq_summarymixing.models._fields import translate

    counted = set()
    for size, model, has_mixer in counted_recipes():
        shape = counts.RECIPES[size]
        encoder = dataclasses.replace(shape.encoder, mixer=model.mixer, encoder_layerdrop=model.encoder_layerdrop)
        for expected in shape._replace(encoder=encoder):
            assert translate(model, type(expected)) == expected, size
        counted |= {(size, mixer) for mixer in ([model.mixer] if has_mixer else counts.MIXERS)}
    assert counted == {(size, mixer) for size in counts.RECIPES for mixer in counts.MIXERS}


def test_counts_are_those_of_the_cpu(tiny_shapes, monkeypatch):
    from fairseq_summarymixing.modules.lean.activation_memory import count_activation_bytes

    monkeypatch.setattr(counts, "MIXERS", ("summary_mixing",))
    monkeypatch.setattr(counts, "RECIPES", {"155m": candidates.SHAPES["155m"]})
    found = counts.count()
    candidate = candidates.build("step", "155m", "summary_mixing", 2, 10, "cpu", torch.float32)
    with count_activation_bytes(candidate.module) as saved:
        candidate.forward()
    short, long = (found[f"155m, summary_mixing, 2 x {seconds} s"] for seconds in (10, 30))
    assert short["activation_bytes"] == pytest.approx(saved.total, rel=0.02)  # masks are drawn
    assert long["activation_bytes"] < 4 * short["activation_bytes"], "similarities grow with the square"
    assert long["calls"] == short["calls"]


def test_what_has_become_worse_is_named_and_what_is_better_shown(tmp_path, monkeypatch):
    file = tmp_path / "counts.json"
    monkeypatch.setattr(counts, "count", lambda: {"a step": {"operations": 1000, "calls": 50}})
    with pytest.raises(UserError, match="counts.json holds no counts of these steps; write them: bench check --write"):
        counts.check(file)
    for value in (0, -5, float("nan"), "5", None):
        file.write_text(json.dumps({"a step": {"operations": 1000, "calls": value}}))
        with pytest.raises(UserError, match="counts.json holds no counts of these steps; write them"):
            counts.check(file)
    counts.check(file, write=True)
    assert counts.check(file) == "1 step cost as much as the file says"
    file.write_text(json.dumps({"a step": {"operations": 1000, "calls": 50}, "one that is gone": {"calls": 5}}))
    with pytest.raises(UserError, match="counts.json holds other steps than are counted .*: one that is gone$"):
        counts.check(file)
    file.write_text(json.dumps({"another": {"calls": 5}}))
    with pytest.raises(UserError, match="other steps than are counted .*: another; a step$"):
        counts.check(file)
    file.write_text(json.dumps({"a step": {"operations": 980, "calls": 60}}))
    with pytest.raises(UserError, match="more than 1 % more than in counts.json: a step: operations\n"):
        counts.check(file)
    file.write_text(json.dumps({"a step": {"operations": 995, "calls": 60}}))
    assert re.search(r"a step +calls +60 +50 +0.833", counts.check(file))
    file.write_text(json.dumps({"a step": {"operations": 10**400, "calls": 50}}))  # above what a float holds
    assert "0.000" in counts.check(file)
