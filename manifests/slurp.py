"""Make fairseq manifests, transcripts and scenario or intent labels for SLURP.

    python manifests/slurp.py SLURP OUT [--label intent]
    python manifests/slurp.py SLURP --check

SLURP holds train.jsonl, devel.jsonl and test.jsonl of github.com/pswietojanski/slurp (or that repository's
dataset/slurp/), and slurp_real/, as unpacked from zenodo.org/record/4274930; with --synthetic also
train_synthetic.jsonl and slurp_synth/. Every recording of an utterance is a row. The published numbers are counted
from the lists in that repository; that of train is not known here.
"""

import argparse
import json
import sys
from pathlib import Path

from fairseq_summarymixing.data.page import run_page
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines

LISTS = {"train": "train", "valid": "devel", "test": "test"}
PUBLISHED = {"valid": 8690, "test": 13078}  # recordings
SCENARIOS = 18


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--label", choices=["scenario", "action", "intent"], default="scenario", help="for SPLIT.cls")
    parser.add_argument("--synthetic", action="store_true", help="train on train_synthetic as well")


def read(args: argparse.Namespace) -> PublishedCorpus:
    root = args.corpus.absolute()
    splits = {split: read_list(root, name, "slurp_real", args) for split, name in LISTS.items()}
    scenarios = {one.label for split in splits.values() for one in split}
    if args.synthetic:
        splits["train"] += read_list(root, "train_synthetic", "slurp_synth", args)
    counts = [("scenarios", len(scenarios), SCENARIOS)] if args.label == "scenario" else []
    return PublishedCorpus("SLURP", root, splits, PUBLISHED, counts)


def read_list(root: Path, name: str, folder: str, args: argparse.Namespace) -> list:
    """Return an utterance for each recording that a list names."""
    path = next(
        (path for path in (root / f"{name}.jsonl", root / "dataset/slurp" / f"{name}.jsonl") if path.is_file()), None
    )
    if path is None:
        raise UserError(f"{root} holds no {name}.jsonl; take it from dataset/slurp/ of github.com/pswietojanski/slurp")
    utterances = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            entry = json.loads(line)
            text, label = args.rules(entry["sentence"]), str(entry[args.label])
            utterances += [Utterance(f"{folder}/{one['file']}", text, label) for one in entry["recordings"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{path}:{number}: expected an object of JSON with sentence, {args.label} and recordings; "
                f"found {line[:60]!r}"
            ) from error
    return utterances


if __name__ == "__main__":
    sys.exit(run_page(__doc__, read, add_options))
