"""Damage inputs at random and run the commands on them: does each end in success, or in one line with nothing lost?

    python tests/fuzz/campaign.py --seed 1 --count 2000
    python tests/fuzz/campaign.py --every     # every number of recipes and options: negative, 0, NaN, huge
    python tests/fuzz/campaign.py --case 'audio 1 17' --keep FOLDER      # one case again

Each case is a real command in a process of its own, forked off one that has imported fairseq: status 0, or another
status, one line that begins with ``error: `` and holds no words of Python's, every input as it was and no file half
written; never a stack trace, a signal or no end within two minutes. A case depends on its kind, the seed and its number
alone. Prints each case that fails and at the end, or after Ctrl-C, a table. Exits with 1 where a case failed.
"""

import argparse
import contextlib
import importlib
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from case import Outcome, files_in, what_is_wrong
from forked import PRELOADED, Forked
from inputs import write_directory, write_inputs
from tqdm import tqdm

KINDS = (
    "audio",
    "manifests",
    "labels",
    "tables",
    "checkpoints",
    "directories",
    "language_models",
    "logs",
    "probes",
    "recipes",
    "options",
)
OF_NUMBERS = ("options", "recipes")
EVERY = "every"  # in the place of a seed
SECONDS = 120


def run_case(kind, seed, number, inputs, folder):
    """Run one case in a new folder; returns the case, its outcome and what is wrong, None for nothing."""
    module, folder = importlib.import_module(f"kinds.{kind}"), Path(folder)
    shutil.copytree(inputs, folder)
    if seed == EVERY:
        case = module.case_of(folder, *module.every(folder)[number])
    else:
        case = module.make(random.Random(f"{kind} {seed} {number}"), folder)
    before = files_in(folder)
    outcome = Outcome(*Forked(case.argv, folder).end(SECONDS))
    return case, outcome, what_is_wrong(case, outcome, before, files_in(folder))


def cases_of(kinds, seed, count, inputs):
    """(kind, seed, number) of each case: ``count`` of all kinds in turn, or each case that enumerates numbers."""
    if seed == EVERY:
        those = {kind: importlib.import_module(f"kinds.{kind}").every(inputs) for kind in kinds if kind in OF_NUMBERS}
        return [(kind, seed, number) for kind, every in those.items() for number in range(len(every))]
    return [(kinds[index % len(kinds)], seed, index // len(kinds)) for index in range(count)]


def run_campaign(cases, inputs, folder):
    """Run cases, or until Ctrl-C; prints those that fail, and returns two counts by kind: tried and held."""
    tried, held = Counter(), Counter()
    with contextlib.suppress(KeyboardInterrupt):
        for kind, seed, number in tqdm(cases, unit="case", disable=None):
            case, _, wrong = run_case(kind, seed, number, inputs, folder / "case")
            shutil.rmtree(folder / "case")
            tried[kind] += 1
            held[kind] += wrong is None
            if wrong:
                print(f"--case '{kind} {seed} {number}' [{case.damage}] {' '.join(case.argv)}\n    {wrong}", flush=True)
    return tried, held


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--every", dest="seed", action="store_const", const=EVERY, help="each number of each field")
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--case", metavar="'KIND SEED NUMBER'", help="run this case alone, and print its output")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="run --case there")
    args = parser.parse_args()
    PRELOADED.append("fairseq_summarymixing.hf")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        inputs = write_inputs(folder / "inputs")
        kind, seed, number = args.case.split() if args.case else (args.kind, args.seed, None)
        if kind in (None, "directories"):
            write_directory(inputs)
        if args.case:
            case, outcome, wrong = run_case(
                kind, seed if seed == EVERY else int(seed), int(number), inputs, args.keep or folder / "case"
            )
            print(f"[{case.damage}] {' '.join(case.argv)}\n{outcome.output}status {outcome.status}\n{wrong or 'held'}")
            return int(wrong is not None)
        tried, held = run_campaign(cases_of([kind] if kind else KINDS, seed, args.count, inputs), inputs, folder)
    print("| kind | tried | held |\n|---|---:|---:|")
    for kind in tried:
        print(f"| {kind} | {tried[kind]} | {held[kind]} |")
    return int(tried != held)


if __name__ == "__main__":
    sys.exit(main())
