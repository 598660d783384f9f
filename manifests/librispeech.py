"""Make fairseq manifests and labels for LibriSpeech, as unpacked from openslr.org/12.

    python manifests/librispeech.py LIBRISPEECH OUT
    python manifests/librispeech.py LIBRISPEECH --check

For every split that is there, such as train-clean-100, OUT/SPLIT.tsv, .wrd and .ltr; ``train``, all training splits
together; ``valid``, a copy of --valid; dict.ltr.txt; and report.tsv: what was left out and why. --check looks at the
splits that are there.
"""

import argparse
import sys
from pathlib import Path

from fairseq_summarymixing.data.page import run_page
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance
from fairseq_summarymixing.data.transcripts import clean
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines

TRAIN = ("train-clean-100", "train-clean-360", "train-other-500")
# Utterances
PUBLISHED = {
    "train-clean-100": 28539,
    "train-clean-360": 104014,
    "train-other-500": 148688,
    "dev-clean": 2703,
    "dev-other": 2864,
    "test-clean": 2620,
    "test-other": 2939,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", nargs="+", default=[], choices=PUBLISHED, help="default: all training splits there")
    parser.add_argument("--valid", default="dev-other", choices=PUBLISHED, help="default %(default)s")


def read(args: argparse.Namespace) -> PublishedCorpus:
    root = args.corpus.absolute()
    present = [split for split in PUBLISHED if (root / split).is_dir()]
    missing = [] if args.check else [split for split in [*args.train, args.valid] if split not in present]
    if not present:
        raise UserError(f"{root} holds none of {', '.join(PUBLISHED)}; expected LibriSpeech, as unpacked")
    if missing:
        raise UserError(f"{root} holds no {', '.join(missing)}, only {', '.join(present)}; see --train and --valid")
    splits = {split: read_split(root, split, args.rules) for split in present}
    published = {split: PUBLISHED[split] for split in present}
    if not args.check:
        train = args.train or [split for split in TRAIN if split in present]
        if train:
            splits["train"] = [one for split in train for one in splits[split]]
        splits["valid"] = splits[args.valid]
    return PublishedCorpus("LibriSpeech", root, splits, published)


def read_split(root: Path, split: str, rules) -> list:
    """Return the utterances of one split, from its SPEAKER-CHAPTER.trans.txt files."""
    utterances = []
    for file in sorted((root / split).glob("*/*/*.trans.txt")):
        for number, line in enumerate(read_lines(file), start=1):
            name, _, text = line.partition(" ")
            if not clean(text):
                raise UserError(f"{file}:{number}: expected 'utterance TEXT'; found {line[:60]!r}")
            path = file.with_name(f"{name}.flac").relative_to(root).as_posix()
            utterances.append(Utterance(path, rules(clean(text))))
    if not utterances:
        raise UserError(f"{root / split} holds no SPEAKER/CHAPTER/*.trans.txt; unpack it again")
    return utterances


if __name__ == "__main__":
    sys.exit(run_page(__doc__, read, add_options))
