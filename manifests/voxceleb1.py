"""Make fairseq manifests, speakers and verification trials for VoxCeleb1.

    python manifests/voxceleb1.py VOXCELEB1 OUT
    python manifests/voxceleb1.py VOXCELEB1 --check

VOXCELEB1 holds wav/idNNNNN/VIDEO/NNNNN.wav (or dev/wav and test/wav) and the list of trials, veri_test2.txt or what
--trials names. test is every recording of the speakers in the trials, OUT/test.trials the trials; train and valid are
those of the other speakers, --valid-percent of the recordings in valid. SPLIT.cls names the speakers. The published
numbers are those of the corpus's page.
"""

import argparse
import sys
from pathlib import Path

from fairseq_summarymixing.data.manifest import Trial
from fairseq_summarymixing.data.page import run_page
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance
from fairseq_summarymixing.data.report import Report
from fairseq_summarymixing.data.splits import choose_split, split_percents
from fairseq_summarymixing.data.walk import find_audio
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines

FOLDERS = ("wav", "dev/wav", "test/wav")
FORM = "1 idNNNNN/VIDEO/NNNNN.wav idNNNNN/VIDEO/NNNNN.wav"  # of a trial
SPEAKERS, TRAIN, TEST = 1251, 148642, 4874  # speakers; recordings of the 1211 and of the 40 speakers
TRIALS = {"veri_test2.txt": 37611, "veri_test.txt": 37720}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=Path, help="default: CORPUS/veri_test2.txt, or in CORPUS/meta")
    parser.add_argument("--valid-percent", type=float, default=10, help="of the training recordings (default 10)")


def read(args: argparse.Namespace) -> PublishedCorpus:
    root = args.corpus.absolute()
    if "train" not in split_percents(args.valid_percent, 0):
        raise UserError(f"`valid_percent` must leave something to train on; got {args.valid_percent:g}")
    path_of = find_recordings(root)
    file = args.trials or next(
        (path for path in (root / "veri_test2.txt", root / "meta/veri_test2.txt") if path.is_file()), None
    )
    if file is None:
        raise UserError(f"{root} holds no veri_test2.txt; name the list of trials with --trials")
    trials = read_trials(file, path_of)
    test_speakers = {trial.first.split("/")[-3] for trial in trials} | {trial.second.split("/")[-3] for trial in trials}
    splits = {"train": [], "valid": [], "test": []}
    for name, path in path_of.items():
        speaker = name.split("/")[0]
        split = "test" if speaker in test_speakers else choose_split(name, args.valid_percent, 0)
        splits[split].append(Utterance(path, label=speaker))
    named = {path for trial in trials for path in (trial.first, trial.second)}
    splits["test"] += [Utterance(path, label=path.split("/")[-3]) for path in sorted(named - set(path_of.values()))]
    counts = [
        ("speakers", len({name.split("/")[0] for name in path_of}), SPEAKERS),
        ("train and valid", len(splits["train"]) + len(splits["valid"]), TRAIN),
    ]
    if file.name in TRIALS:
        counts.append(("trials", len(trials), TRIALS[file.name]))
    return PublishedCorpus("VoxCeleb1", root, splits, {"test": TEST}, counts, trials={"test": trials})


def find_recordings(root: Path) -> dict:
    """Return {"idNNNNN/VIDEO/NNNNN.wav": path below the corpus}, sorted."""
    found = {}
    for folder in FOLDERS:
        if (root / folder).is_dir():
            paths = find_audio(root / folder, ["wav", "flac"], Report().add)
            found.update({path: f"{folder}/{path}" for path in paths if path.count("/") == 2})
    if not found:
        raise UserError(f"{root} holds no wav/idNNNNN/VIDEO/NNNNN.wav; expected VoxCeleb1, as unpacked")
    return dict(sorted(found.items()))


def read_trials(path: Path, path_of: dict) -> list:
    """Return the trials of a list, "1 one.wav other.wav" a line, 1 for the same speaker."""
    trials = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        same, *names = line.split()
        if same not in ("0", "1") or len(names) != 2 or any(name.count("/") != 2 for name in names):
            raise UserError(f"{path}:{number}: expected {FORM!r}; found {line[:80]!r}")
        trials.append(Trial(same == "1", *(path_of.get(name, f"wav/{name}") for name in names)))
    if not trials:
        raise UserError(f"{path} holds no trials; expected {FORM!r} per line")
    return trials


if __name__ == "__main__":
    sys.exit(run_page(__doc__, read, add_options))
