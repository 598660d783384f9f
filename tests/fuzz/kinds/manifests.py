"""Manifests: damaged text, rows that do not fit."""

import shutil

from case import Case
from command_lines import ALL_OR_NOTHING, DECODE, FEATURES, FINETUNE, MERGE, PRETRAIN, TRANSCRIBE
from damage import damage_file, damaged_bytes, damaged_lines


def make(draw, folder):
    of_manifest = [command[:3] + ("data/valid.tsv", *command[4:]) for command in (TRANSCRIBE, FEATURES)]
    command = draw.choice([MERGE, DECODE, PRETRAIN, FINETUNE, *of_manifest])
    if command is MERGE:
        shutil.copytree(folder / "data", folder / "data2")
    split = draw.choice(["train", "valid"]) if command in (MERGE, PRETRAIN, FINETUNE) else "valid"
    path = folder / "data" / f"{split}.tsv"
    return Case(
        list(command), damage_file(draw, path, damaged_lines, damaged_lines, damaged_bytes), command in ALL_OR_NOTHING
    )
