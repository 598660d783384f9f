"""Tables of transcripts, speakers and labels, and lists of splits and of recordings."""

from case import Case
from command_lines import FEATURES, MANIFEST, TRANSCRIBE
from damage import damage_file, damaged_bytes, damaged_lines

COLUMNS = ("--columns", "path=path", "text=text", "speaker=speaker", "label=label")
LISTS = ("--split-list", "train=train.txt", "valid=valid.txt")
COMMANDS = (
    ("table.tsv", (*MANIFEST, "--transcripts", "table.tsv", "--valid-percent", "40")),
    ("table.csv", (*MANIFEST, "--transcripts", "table.csv", *COLUMNS, "--valid-percent", "40")),
    ("table.csv", (*MANIFEST, *COLUMNS, "--split-list", "train=table.csv")),
    ("train.txt", (*MANIFEST, *LISTS)),
    ("valid.txt", (*MANIFEST, *LISTS, "--transcripts", "table.tsv", "--case", "lower", "--keep-characters", "a-z")),
    ("list.txt", (*TRANSCRIBE[:3], "@list.txt", *TRANSCRIBE[4:])),
    ("list.txt", (*FEATURES[:3], "@list.txt", *FEATURES[4:])),
)


def make(draw, folder):
    (folder / "list.txt").write_text("data/audio/train-0.wav\ndata/audio/valid-0.wav\ndata/valid.tsv\n")
    name, command = draw.choice(COMMANDS)
    return Case(list(command), damage_file(draw, folder / name, damaged_lines, damaged_lines, damaged_bytes))
