"""Kill a run of two processes at random moments, resume it each time, and compare it with an uninterrupted run.

    python tests/campaigns/kill_training.py --kills 10 --seed 1

Each kill (SIGKILL) hits one of the two processes, at any moment after they have met; the other has to end by itself.
Prints a line for each kill and, at the end, whether the weights are the same bit by bit and what else lies in the
folder of checkpoints. Exits with 1 where anything does not hold.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from processes import kill, run_pair, start_pair
from tiny import resumable, write_corpus

RECIPE = ("pretraining", "summarymixing_base_librispeech")
OTHER_ENDS_SECONDS = 90  # the store's loss is noticed after 60


def settings(corpus, folder, updates):
    saving = dict(checkpoint__save_interval_updates=5, checkpoint__keep_interval_updates=1)
    length = dict(lr_scheduler__total_num_update=1000, optimization__max_update=updates)
    return resumable(corpus, folder, dataset__num_workers=1, model__encoder_layerdrop=0.3, **length, **saving)


def updates_of(folder):
    path = folder / "checkpoint_last.pt"
    return torch.load(path, weights_only=False)["optimizer_history"][-1]["num_updates"] if path.exists() else 0


def kill_one(given, draw, longest):
    """Start the run, kill one of its processes, wait for the other. Returns the rank, seconds until the kill, seconds
    until the other ended (None: it did not), or None where the run ended before."""
    processes = start_pair("by hand", *RECIPE, given)
    for line in processes[0].stdout:  # torch itself waits long for a process that never came
        if "initialized host" in line:
            break
    seconds, rank = draw.uniform(0, longest), draw.randrange(2)
    time.sleep(seconds)
    try:
        if any(process.poll() is not None for process in processes):
            return None
        processes[rank].send_signal(signal.SIGKILL)
        began = time.monotonic()
        try:
            processes[1 - rank].communicate(timeout=OTHER_ENDS_SECONDS)
        except Exception:
            return rank, seconds, None
        return rank, seconds, time.monotonic() - began
    finally:
        for process in processes:
            kill(process)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    draw, held = random.Random(args.seed), True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        corpus = write_corpus(folder / "corpus", clips=24)
        statuses, outputs, whole = run_pair(
            "by hand", *RECIPE, settings(corpus, folder / "whole", args.updates), timeout=1200
        )
        assert statuses == [0, 0], outputs[0][-3000:]
        print(f"uninterrupted: {args.updates} updates in {whole:.0f} s", flush=True)
        given, kills = settings(corpus, folder / "killed", args.updates), 0
        while kills < args.kills:
            done = kill_one(given, draw, whole)
            if done is None:
                print("the run was complete before the kill; begun again", flush=True)
                for path in (folder / "killed").glob("*.pt"):
                    path.unlink()
                continue
            kills += 1
            rank, seconds, other = done
            held &= other is not None
            where = f"process {rank} after {seconds:.1f} s, from update {updates_of(folder / 'killed')} on"
            ended = "the other DID NOT END" if other is None else f"the other ended after {other:.1f} s"
            print(f"kill {kills}: {where}; {ended}", flush=True)
        statuses, outputs, _ = run_pair("by hand", *RECIPE, given, timeout=1200)
        held &= statuses == [0, 0]
        states = [torch.load(folder / name / "checkpoint_last.pt", weights_only=False) for name in ("whole", "killed")]
        same = all(torch.equal(value, states[1]["model"][name]) for name, value in states[0]["model"].items())
        left = sorted(path.name for path in (folder / "killed").iterdir() if not path.name.endswith(".pt"))
        outcome = "the same bit by bit" if same else "DIFFERENT"
        print(f"exit statuses {statuses}; weights {outcome}; beside the checkpoints: {left}")
        held &= same and left == [".training.lock"]
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
