"""Make fairseq manifests and the four emotions of IEMOCAP, with one speaker left out.

    python manifests/iemocap.py IEMOCAP_full_release OUT --test-speaker 1
    python manifests/iemocap.py IEMOCAP_full_release --check

Session K has the speakers 2K - 1, a woman, and 2K, a man. test is --test-speaker, valid the other one of the same
session, train the other eight; results are means over the ten test speakers, each in a folder of its own. SPLIT.cls
is neu, hap (happy or excited), sad or ang; other utterances are passed over. The published numbers are those that
most papers give.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from fairseq_summarymixing.data.page import run_page
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines

CLASSES = {"neu": "neu", "hap": "hap", "exc": "hap", "sad": "sad", "ang": "ang"}
PUBLISHED = {"neu": 1708, "hap": 1636, "sad": 1084, "ang": 1103}
# [START - END]<TAB>SesSSG_DIALOG_GNNN<TAB>EMOTION<TAB>[V, A, D]; the last G, F or M, is who speaks
TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<turn>Ses\d\d[FM]_\S+_(?P<gender>[FM])\w*\d+)\t(?P<emotion>\w+)\t")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--test-speaker", type=int, choices=range(1, 11), default=1, metavar="1..10", help="default 1")


def read(args: argparse.Namespace) -> PublishedCorpus:
    root = args.corpus.absolute()
    by_speaker = {speaker: [] for speaker in range(1, 11)}
    for session in range(1, 6):
        folder = root / f"Session{session}" / "dialog" / "EmoEvaluation"
        if not folder.is_dir():
            raise UserError(f"{root} holds no Session{session}/dialog/EmoEvaluation; expected IEMOCAP_full_release")
        for file in sorted(folder.glob("[!.]*.txt")):
            for gender, utterance in read_dialog(root, session, file):
                by_speaker[2 * session - (gender == "F")].append(utterance)
    other = args.test_speaker + 1 if args.test_speaker % 2 else args.test_speaker - 1
    held_out = {args.test_speaker: "test", other: "valid"}
    splits = {"train": [], "valid": [], "test": []}
    for speaker, utterances in by_speaker.items():
        splits[held_out.get(speaker, "train")] += utterances
    found = Counter(one.label for utterances in by_speaker.values() for one in utterances)
    counts = [(label, found[label], number) for label, number in PUBLISHED.items()]
    return PublishedCorpus("IEMOCAP", root, splits, counts=counts)


def read_dialog(root: Path, session: int, file: Path) -> list:
    """Return [(F or M, utterance)] of a dialog's turns with one of the four emotions."""
    utterances = []
    for line in read_lines(file):
        found = TURN.match(line)
        if found and found["emotion"] in CLASSES:
            dialog = found["turn"].rpartition("_")[0]
            path = f"Session{session}/sentences/wav/{dialog}/{found['turn']}.wav"
            utterances.append((found["gender"], Utterance(path, label=CLASSES[found["emotion"]])))
    return utterances


if __name__ == "__main__":
    sys.exit(run_page(__doc__, read, add_options))
