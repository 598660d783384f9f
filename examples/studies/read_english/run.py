"""SummaryMixing, its self-attention twin and others on real English: the whole study, stage by stage.

    python examples/studies/read_english/run.py --data FOLDER [--out read_english] [--stages prepare pretrain ...]

FOLDER holds read_english/ and drink_orders/, each with audio/ and utterances.tsv (see prepare.py). Every model is
pre-trained on the same batches, fine-tuned on one hour and on ten minutes with CTC, and probed. Every command is shown,
and can be run by hand. Run the same again to go on after an interruption.

Small results, as text and as parameters in half precision, are in OUT/results. They can be brought to another machine:
what is there is not trained again.
"""

import argparse
import sys
from pathlib import Path

from prepare import prepare
from probes import probe
from runs import MODELS, PRECISIONS, choose_runs
from trainings import Trainings

from fairseq_summarymixing.compat import quiet_fairseq
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.jobs import count_cores

STAGES = ("prepare", "pretrain", "finetune", "costs", "probes", "report")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder of the corpora, for the stage prepare")
    add("--out", type=Path, default=Path("read_english"), help="default: %(default)s")
    add("--stages", nargs="+", choices=STAGES, default=STAGES, help="default: all, in this order")
    add("--only", nargs="+", choices=MODELS, default=list(MODELS), help="models (default: all)")
    seeds = "of SummaryMixing and its twin (default: 1 2 3); the others take the first one"
    add("--seeds", nargs="+", type=int, default=[1, 2, 3], help=seeds)
    add("--updates", type=int, default=5000, help="pre-training updates (default %(default)s)")
    add("--hour-updates", type=int, default=2000, help="fine-tuning on one hour (default %(default)s)")
    add("--minutes-updates", type=int, default=1000, help="fine-tuning on ten minutes (default %(default)s)")
    add("--cost-updates", type=int, default=60, help="measured twice for each model (default %(default)s)")
    add("--jobs", type=int, default=count_cores(), help="trainings at once (default: one per core)")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="default: %(default)s")
    add("--precision", choices=PRECISIONS, default="fp32", help="default: %(default)s")
    add("--minutes", type=float, help="stop all trainings after so long; results so far are kept")
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    """Raise a UserError that names the first option with a value that cannot be meant."""
    for name in ("updates", "hour_updates", "minutes_updates", "cost_updates", "jobs"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} must be 1 or more; got {getattr(args, name)}")
    if min(args.seeds) < 0 or len({*args.seeds}) < len(args.seeds):
        raise UserError(f"--seeds must be 0 or more, each once; got {' '.join(map(str, args.seeds))}")
    if args.minutes is not None and not args.minutes > 0:
        raise UserError(f"--minutes must be above 0; got {args.minutes:g}")
    if args.device == "cpu" and args.precision == "fp16":
        raise UserError("--precision fp16 needs --device cuda; on the CPU there are fp32 and bf16")


def main() -> None:
    args = options()
    check(args)
    out, runs = args.out.resolve(), choose_runs(args.only, args.seeds)
    if "prepare" in args.stages:
        if args.data is None:
            raise UserError("--data is missing: name the folder that holds read_english/ and drink_orders/")
        prepare(args.data.resolve(), out)
    trainings = Trainings(out, args)
    for stage in ("pretrain", "finetune"):
        if stage in args.stages and not trainings.run(stage, runs):
            return
    if "costs" in args.stages:
        with quiet_fairseq():
            from costs import measure
        measure(out, args)
    if "probes" in args.stages:
        for run in filter(trainings.is_kept, runs):
            trainings.check_whole(run)
        probe(out, runs, args.device)
    if "report" in args.stages:
        with quiet_fairseq():
            from report import report
        print(report(out))


if __name__ == "__main__":
    sys.exit(exit_status(main))
