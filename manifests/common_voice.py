"""Make fairseq manifests and labels for Common Voice, release 11 or newer, one language as unpacked.

    python manifests/common_voice.py cv-corpus-11.0-2022-09-21/cy OUT
    python manifests/common_voice.py cv-corpus-11.0-2022-09-21/cy --check

train, valid and test are the corpus's own train.tsv, dev.tsv and test.tsv, whose columns are found by their names.
Clips are MP3 files of 32 or 48 kHz, so copies at 16 kHz are made under OUT/audio. The published numbers are those of
Welsh and Basque, from common-voice/cv-dataset.
"""

import argparse
import re
import sys

from fairseq_summarymixing.data.described import read_entries
from fairseq_summarymixing.data.page import run_page
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance
from fairseq_summarymixing.errors import UserError

LISTS = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
COLUMNS = {"path": "path", "text": "sentence"}
# Clips in train.tsv, dev.tsv and test.tsv, by release and language
PUBLISHED = {
    "cy": {
        "11.0": (7726, 5247, 5266),
        "12.0": (7769, 5283, 5292),
        "13.0": (7810, 5293, 5307),
        "14.0": (7861, 5324, 5333),
        "15.0": (7871, 5336, 5341),
        "16.0": (7903, 5345, 5354),
        "16.1": (7902, 5352, 5355),
        "17.0": (7960, 5371, 5379),
        "18.0": (7972, 5381, 5387),
        "19.0": (7991, 5391, 5396),
        "20.0": (8003, 5392, 5399),
        "21.0": (8014, 5403, 5406),
        "22.0": (8014, 5408, 5408),
        "23.0": (8024, 5403, 5409),
        "24.0": (8026, 5414, 5414),
        "25.0": (8030, 5413, 5415),
    },
    "eu": {
        "11.0": (10832, 6561, 6561),
        "12.0": (10904, 6586, 6586),
        "13.0": (10918, 6591, 6591),
        "14.0": (11050, 6640, 6640),
        "15.0": (11519, 6806, 6806),
        "16.0": (50492, 12515, 12515),
        "16.1": (54390, 12742, 12742),
        "17.0": (75336, 13630, 13630),
        "18.0": (102309, 14312, 14312),
        "19.0": (104438, 14353, 14353),
        "20.0": (105389, 14371, 14371),
        "21.0": (106004, 14383, 14383),
        "22.0": (130043, 14753, 14753),
        "23.0": (133943, 14801, 14801),
        "24.0": (134190, 14804, 14804),
        "25.0": (134472, 14808, 14808),
    },
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--min-words", type=int, default=1, help="leave out shorter sentences (MP3S: 3)")
    parser.add_argument(
        "--max-train-seconds", type=float, default=float("inf"), help="leave out longer clips of train (MP3S: 10)"
    )


def read(args: argparse.Namespace) -> PublishedCorpus:
    root = args.corpus.absolute()
    if not (root / "clips").is_dir():
        raise UserError(f"{root} holds no folder clips; expected one language of a release, such as cv-corpus-11.0/cy")
    splits = {split: read_split(root / name, args) for split, name in LISTS.items()}
    release = re.search(r"cv-corpus-(\d+(\.\d+)?)", root.parent.name)
    published = PUBLISHED.get(root.name, {}).get(release[1] if release else "")
    return PublishedCorpus(
        f"Common Voice {release[1] if release else ''} {root.name}",
        root,
        splits,
        published=dict(zip(LISTS, published)) if published else {},
        longest={"train": args.max_train_seconds},
        resample=True,
    )


def read_split(path, args: argparse.Namespace) -> list:
    """Return the utterances of a list; --check counts them all."""
    utterances = []
    for clip, entry in read_entries(path, COLUMNS):
        clip, text = clip if clip.endswith(".mp3") else f"{clip}.mp3", args.rules(entry.text)
        if args.check or len(text.split()) >= args.min_words:
            utterances.append(Utterance(f"clips/{clip}", text))
    return utterances


if __name__ == "__main__":
    sys.exit(run_page(__doc__, read, add_options))
