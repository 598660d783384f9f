"""Directories of Hugging Face, of ``export hf``."""

import shutil

from case import Case
from command_lines import ALL_OR_NOTHING, IMPORT, WARM_START
from damage import damage_file, damaged_bytes, damaged_json, damaged_lines

JSON = ("config.json", "preprocessor_config.json", "vocab.json")


def make(draw, folder):
    command = draw.choice([IMPORT, WARM_START])
    if not draw.randrange(20):
        shutil.rmtree(folder / "hf")
        return Case(list(command), "hf: missing", command in ALL_OR_NOTHING)
    path = folder / "hf" / draw.choice([*JSON, "config.json", "config.json", "model.safetensors"])
    is_json = path.suffix == ".json"
    ways = [damaged_json, damaged_json, damaged_lines, damaged_bytes] if is_json else [damaged_bytes]
    return Case(list(command), damage_file(draw, path, *ways), command in ALL_OR_NOTHING)
