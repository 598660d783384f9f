"""Language models (ARPA) and lexicons."""

from case import Case
from command_lines import BEAM, TRANSCRIBE
from damage import damage_file, damaged_bytes, damaged_lines

OPTIONS = BEAM[-6:]


def make(draw, folder):
    command = draw.choice([BEAM, (*BEAM, "--tune", "train", "--nbest", "3"), (*TRANSCRIBE, *OPTIONS)])
    path = folder / draw.choice(["lm.arpa", "lexicon.txt"])
    damage = damage_file(draw, path, damaged_lines, damaged_lines, damaged_bytes)
    return Case(list(command), damage, "decode" in command)
