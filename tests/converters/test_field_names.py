"""Does an option that stands in ``modules/config.py`` exist in fairseq and in Hugging Face, both ways?"""

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest
import tiny

pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

from fairseq_summarymixing.checkpoints.field_names import OUR_FIELDS, SHARED_FIELDS, TRAINING_FIELDS
from fairseq_summarymixing.hf.configuration_summarymixing import SummaryMixingConfig, module_config
from fairseq_summarymixing.models._fields import CONFIGS, translate
from fairseq_summarymixing.models._hf_config import from_hf, to_hf
from fairseq_summarymixing.models.wav2vec2_summarymixing import Wav2Vec2SummaryMixingConfig
from fairseq_summarymixing.modules.choices import CHOICES
from fairseq_summarymixing.modules.config import EncoderConfig, FrontendConfig

FIELDS = {
    field.name: (config, field)
    for config in (FrontendConfig, EncoderConfig)
    for field in dataclasses.fields(config)
    if field.name not in TRAINING_FIELDS
}
OTHER = dict(
    conv_feature_layers=((24, 10, 5), (24, 2, 2)),
    mel_conv_layers=((24, 5, 2),),
    extractor_mode="layer_norm",
    summary_hidden_dim=96,
    activation_fn="relu",
    encoder_embed_dim=96,
    encoder_attention_heads=6,
)


def other_value(name, default):
    if name in OTHER:
        return OTHER[name]
    if name in CHOICES:
        return next(value for value in CHOICES[name] if value != default)
    return not default if isinstance(default, bool) else default + 3 if isinstance(default, int) else 0.25


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_survives_the_way_to_hugging_face_and_back(name):
    config, field = FIELDS[name]
    value = other_value(name, field.default)
    chosen = {"frontend": "log_mel"} if name == "mel_conv_layers" else {}
    as_recipe = str(list(value)) if name.endswith("conv_layers") or name == "conv_feature_layers" else value
    recipe = Wav2Vec2SummaryMixingConfig(**chosen, **{name: as_recipe})
    expected = translate(recipe, config)
    assert getattr(expected, name) == value
    layers = getattr(translate(recipe, FrontendConfig), "mel_conv_layers" if chosen else "conv_feature_layers")
    theirs = SummaryMixingConfig.from_dict({**to_hf(vars(recipe), layers, ours=True), **layerdrop(name, value)})
    assert getattr(module_config(theirs, config), name) == value
    back = from_hf({**theirs.to_dict(), **layerdrop(name, value)}, ours=True)
    assert getattr(translate(Wav2Vec2SummaryMixingConfig(**back), config), name) == value


def layerdrop(name, value):
    """What an export sets to 0, whatever training had, for tools that want each layer each time."""
    return {"layerdrop": value} if name == "encoder_layerdrop" else {}


def test_the_table_knows_no_field_that_does_not_exist():
    import transformers

    ours = {field.name for config in CONFIGS for field in dataclasses.fields(config)}
    assert {*SHARED_FIELDS, *OUR_FIELDS} <= ours
    assert set(SHARED_FIELDS.values()) <= set(transformers.Wav2Vec2Config().to_dict())
    assert not set(OUR_FIELDS.values()) & set(transformers.Wav2Vec2Config().to_dict())


def test_a_default_of_ours_is_the_same_everywhere():
    recipe, theirs = Wav2Vec2SummaryMixingConfig(), SummaryMixingConfig()
    for name, (config, field) in FIELDS.items():
        assert getattr(translate(recipe, config), name) == field.default
        if "help" in field.metadata and name not in ("mel_conv_layers", "activation_fn"):
            assert getattr(module_config(theirs, config), name) == field.default


CLASS = '''
"""A mean over the frames around."""

import torch.nn.functional as F
from torch import Tensor, nn


class MovingAverage(nn.Module):
    def __init__(self, average_frames: int):
        super().__init__()
        self.average_frames = average_frames

    def forward(self, x: Tensor, padding_mask=None) -> Tensor:
        size = self.average_frames
        return F.avg_pool1d(x.transpose(1, 2), size, stride=1, padding=size // 2).transpose(1, 2)
'''
LINE = '"moving_average": Part(MovingAverage, average_frames="average_frames"),'
OPTION = '    average_frames: int = option(5, "frames that moving_average averages, an odd number")\n'
USER = """
import dataclasses
from tiny import MODEL as SIZES
from fairseq_summarymixing.models._hf_config import from_hf, to_hf
from fairseq_summarymixing.hf import SummaryMixingConfig, SummaryMixingModel
from fairseq_summarymixing.hf.code import code_files
from fairseq_summarymixing.models.wav2vec2_summarymixing import *

MODEL = {**SIZES, "encoder_embed_dim": 44, "quantize_targets": True}  # 44: no multiple of 12, the default heads

def build(**fields):
    return Wav2Vec2SummaryMixingModel.build_model(Wav2Vec2SummaryMixingConfig(**{**MODEL, **fields}))

fields = {field.name: field for field in dataclasses.fields(Wav2Vec2SummaryMixingConfig)}
assert "moving_average averages" in fields["average_frames"].metadata["help"]
assert "moving_average (average_frames)" in fields["mixer"].metadata["help"]
for heads in (5, 12):  # a mixer without heads takes any recipe's number, and none
    model = build(mixer="moving_average", average_frames=3, encoder_attention_heads=heads)
assert [layer.mixer.average_frames for layer in model.encoder.layers] == [3, 3]
try:
    build(average_frames=3)
except ValueError as error:
    assert str(error).startswith("model.average_frames has no effect with model.mixer=summary_mixing"), error
else:
    raise SystemExit("an idle option was accepted")
there = to_hf(vars(model.cfg), ((16, 10, 5), (16, 8, 8), (24, 8, 8)), ours=True)
assert there["average_frames"] == 3 and from_hf(there, ours=True)["average_frames"] == 3
theirs = SummaryMixingModel(SummaryMixingConfig(**there))
assert [layer.mixer.average_frames for layer in theirs.encoder.layers] == [3, 3]
assert SummaryMixingConfig().average_frames == 5
code = code_files("0", there)
assert "class MovingAverage" in code["modeling_summarymixing.py"]
assert "average_frames" in code["configuration_summarymixing.py"]
"""


def test_a_mixer_with_an_option_is_a_class_a_field_and_a_line(tmp_path):
    package = tmp_path / "fairseq_summarymixing"
    shutil.copytree(tiny.ROOT / "fairseq_summarymixing", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "modules" / "moving_average.py").write_text(CLASS.lstrip())
    insert(package / "modules" / "config.py", "    summary_hidden_dim: Optional[int]", OPTION)
    insert(package / "modules" / "build.py", '    "fastformer": Part(', f"    {LINE}\n")
    insert(package / "modules" / "build.py", "from .positional", "from .moving_average import MovingAverage\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(tiny.ROOT / "tests")])}
    command = [sys.executable, "-c", USER]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def insert(path, before, text):
    """Write text before the one line that begins so."""
    lines = path.read_text().splitlines(keepends=True)
    (place,) = (number for number, line in enumerate(lines) if line.startswith(before))
    path.write_text("".join([*lines[:place], text, *lines[place:]]))
