"""Make fairseq manifests and transcripts for speechocean762 (openslr.org/101): English read by learners.

    python manifests/speechocean762.py speechocean762 OUT
    python manifests/speechocean762.py speechocean762 --check

test is the corpus's own; valid are --valid-percent of the speakers of its train. A transcript is the prompt that was
read, so mispronunciations set a floor under any error rate. The published numbers are those of its README.
"""

import argparse
import sys
from pathlib import Path

from fairseq_summarymixing.data.page import run_page
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance
from fairseq_summarymixing.data.splits import choose_split, split_percents
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines

UTTERANCES, SPEAKERS = 2500, 125  # in train as in test


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--valid-percent", type=float, default=10, help="of the training speakers (default 10)")


def read(args: argparse.Namespace) -> PublishedCorpus:
    root = args.corpus.absolute()
    if not {"train", "valid"} <= split_percents(args.valid_percent, 0).keys():
        raise UserError(f"`valid_percent` must leave speakers in train and in valid; got {args.valid_percent:g}")
    if not (root / "train/wav.scp").is_file():
        raise UserError(f"{root} holds no train/wav.scp; expected speechocean762, as unpacked")
    splits, counts = {"train": [], "valid": [], "test": []}, []
    for part in ("train", "test"):
        paths, texts, speakers = (read_map(root / part / name) for name in ("wav.scp", "text", "utt2spk"))
        for name, path in sorted(paths.items()):
            if name not in texts or name not in speakers:
                lacking = "text" if name not in texts else "utt2spk"
                raise UserError(f"{root / part / lacking} has nothing for {name}, which wav.scp names; unpack it again")
            split = choose_split(speakers[name], args.valid_percent, 0) if part == "train" else "test"
            splits[split].append(Utterance(path, args.rules(texts[name])))
        counts.append((f"all of {part}", len(paths), UTTERANCES))
        counts.append((f"speakers of {part}", len({speakers[name] for name in paths}), SPEAKERS))
    return PublishedCorpus("speechocean762", root, splits, counts=counts)


def read_map(path: Path) -> dict:
    """Return {first column: the rest} of a file in Kaldi's manner."""
    found = {}
    for number, line in enumerate(read_lines(path), 1):
        pair = line.split(None, 1)
        if len(pair) == 2 and found.setdefault(pair[0], pair[1].strip()) != pair[1].strip():
            raise UserError(f"{path}:{number}: {pair[0]} stands in an earlier line already: remove one")
    return found


if __name__ == "__main__":
    sys.exit(run_page(__doc__, read, add_options))
