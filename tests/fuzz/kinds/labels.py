"""What goes with a manifest line by line, and dictionaries."""

import shutil

from case import Case
from command_lines import ALL_OR_NOTHING, DECODE, FINETUNE, MERGE
from damage import damage_file, damaged_bytes, damaged_lines

FILES = {
    MERGE: ("train.ltr", "valid.wrd", "train.cls", "valid.trials", "dict.ltr.txt"),
    DECODE: ("valid.ltr", "dict.ltr.txt"),
    FINETUNE: ("train.ltr", "valid.ltr", "dict.ltr.txt"),
}


def make(draw, folder):
    command = draw.choice(list(FILES))
    if command is MERGE:
        shutil.copytree(folder / "data", folder / "data2")
    path = folder / "data" / draw.choice(FILES[command])
    damage = damage_file(draw, path, damaged_lines, damaged_lines, damaged_bytes)
    return Case(list(command), damage, command in ALL_OR_NOTHING)
