"""Make utterances of 3 to 8 digits from the Free Spoken Digit Dataset: 16 kHz audio, manifests and labels.

    python manifests/spoken_digits.py FSDD_RECORDINGS OUT
    python manifests/spoken_digits.py FSDD_RECORDINGS --check

The recordings, ``{digit}_{speaker}_{index}.wav``, are those of https://github.com/Jakobovski/free-spoken-digit-
dataset. The held-out speakers are ``test``; a part of the others' recordings, set aside before joining, is ``valid``.
"""

import argparse
import re
import sys
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairseq_summarymixing.data.audio import SAMPLE_RATE, BadAudio, read_mono, resample, write_flac
from fairseq_summarymixing.data.manifest import Row, check_root, write_splits
from fairseq_summarymixing.data.page import add_out, check_out
from fairseq_summarymixing.data.published import PublishedCorpus, check_corpus
from fairseq_summarymixing.data.splits import choose_split, split_percents
from fairseq_summarymixing.errors import UserError, counted, exit_status

WORDS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]
NAME = re.compile(r"(\d)_([^_]+)_\d+")
SPEAKERS, RECORDINGS = 6, 50  # of each digit by each speaker, by the set's README
PAUSE_SECONDS = (0.05, 0.3)
PAUSE_NOISE = 1e-3  # standard deviation, full scale = 1: a real pause is never digital zero


def groups(recordings: Path, held_out: list, valid_percent: float) -> dict:
    """Return {(split, speaker): recordings}, both sorted."""
    found = defaultdict(list)
    for path in sorted(recordings.glob("*.wav")):
        name = NAME.fullmatch(path.stem)
        if name:
            split = "test" if name[2] in held_out else choose_split(path.stem, valid_percent, 0)
            found[split, name[2]].append(path)
    if not found:
        raise UserError(f"{recordings} holds no files named like 7_speaker_12.wav")
    speakers = {speaker for _, speaker in found}
    unknown = sorted(set(held_out) - speakers)
    if unknown or speakers == set(held_out):
        raise UserError(
            f"--held-out {','.join(held_out)} must be some, not all, of the speakers {','.join(sorted(speakers))}"
        )
    return {key: found[key] for key in sorted(found)}


def cut(paths: list, random: np.random.RandomState) -> list:
    """Shuffle and cut into pieces of 3 to 8; each recording is used once."""
    paths, pieces = [paths[i] for i in random.permutation(len(paths))], []
    while paths:
        length = len(paths) if len(paths) <= 8 else random.randint(3, 9)
        if 0 < len(paths) - length < 3:
            length = len(paths) - 3
        pieces.append(paths[:length])
        paths = paths[length:]
    return pieces


def join(paths: list, random: np.random.RandomState) -> np.ndarray:
    """Return the recordings at 16 kHz with a pause before, between and after them."""

    def pause():
        return PAUSE_NOISE * random.randn(int(random.uniform(*PAUSE_SECONDS) * SAMPLE_RATE))

    parts = [pause()]
    for path in paths:
        try:
            parts += [resample(*read_mono(path)), pause()]
        except BadAudio as error:
            raise UserError(f"cannot use {path}: {error}; copy it again, or remove it") from error
    return np.concatenate(parts)


def check(recordings: Path) -> None:
    """Compare the recordings that are there with those of the published set."""
    found = [name.groups() for name in map(NAME.fullmatch, (path.stem for path in recordings.glob("*.wav"))) if name]
    each = Counter(found)
    whole = sum(count == RECORDINGS for count in each.values())
    counts = [
        ("speakers", len({speaker for _, speaker in found}), SPEAKERS),
        ("recordings", len(found), SPEAKERS * len(WORDS) * RECORDINGS),
        (f"digits of a speaker with {RECORDINGS}", whole, SPEAKERS * len(WORDS)),
    ]
    check_corpus(PublishedCorpus("Free Spoken Digit Dataset", recordings, {}, counts=counts))


def make(recordings: Path, out: Path, seed: int, passes: int, held_out: list, valid_percent: float) -> None:
    if passes < 1:
        raise UserError(f"--passes must be 1 or more; got {passes}")
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed must be from 0 to {2**32 - 1}; got {seed}")
    if "train" not in split_percents(valid_percent, 0):
        raise UserError(f"--valid-percent must leave something to train on; got {valid_percent:g}")
    check_root(out / "audio")
    splits, plan = {"train": [], "valid": [], "test": []}, []
    for (split, speaker), paths in groups(recordings, held_out, valid_percent).items():
        # A source for each, so that more passes change nothing in valid and test.
        # RandomState, not default_rng: numpy promises that its numbers never change.
        random = np.random.RandomState([seed, zlib.crc32(f"{split}/{speaker}".encode())])
        pieces = [piece for _ in range(passes if split == "train" else 1) for piece in cut(paths, random)]
        plan += [(split, speaker, number, piece, random) for number, piece in enumerate(pieces, start=1)]
    for split, speaker, number, piece, random in tqdm(plan, unit="utterance", disable=None):
        samples, name = join(piece, random), f"{speaker}/{speaker}-{split}-{number:05d}.flac"
        write_flac(out / "audio" / name, samples)
        splits[split].append(Row(name, len(samples), " ".join(WORDS[int(path.name[0])] for path in piece)))
    write_splits(out, out / "audio", {split: rows for split, rows in splits.items() if rows})
    for split, rows in splits.items():
        minutes = sum(row.frames for row in rows) / SAMPLE_RATE / 60
        print(f"{split}: {counted(len(rows), 'utterance')}, {minutes:.1f} minutes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="FSDD_RECORDINGS")
    add_out(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--passes", type=int, default=1, help="random joins of each training recording (default 1)")
    parser.add_argument("--held-out", default="nicolas,lucas", help="speakers of test (default %(default)s)")
    parser.add_argument("--valid-percent", type=float, default=10, help="of the training speakers' recordings")
    args = parser.parse_args()
    return exit_status(lambda: run(args), parser)


def run(args: argparse.Namespace) -> None:
    check_out(args)
    if args.check:
        check(args.corpus)
    else:
        make(args.corpus, args.out, args.seed, args.passes, args.held_out.split(","), args.valid_percent)


if __name__ == "__main__":
    sys.exit(main())
