"""The verb ``probe``: its options and the functions that they call."""

import argparse

from ..long_form_options import add_long_form

DESCRIPTION = (
    "Measure what frozen encoders know. For each CKPT (pre-trained or fine-tuned, ours or stock wav2vec2, or a Hugging "
    "Face directory) the hidden states of all layers are computed once, and a small head on a weighted sum of them is "
    "trained. Task ctc: letters, from SPLIT.ltr; WER and CER. classify: a class for each utterance, from SPLIT.cls; "
    "accuracy. verify: speakers, from SPLIT.cls, and pairs of recordings, from SPLIT.trials or all pairs; equal error "
    "rate. Learning rate and epoch are chosen on the second split. Writes tables, intervals, paired tests and a plot "
    "of the layers' weights. Run again to go on after an interruption."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("task", choices=["ctc", "classify", "verify"], metavar="TASK", help="ctc, classify, verify")
    parser.add_argument("checkpoints", nargs="+", metavar="CKPT")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with SPLIT.tsv and labels")
    parser.add_argument("-o", "--out", required=True, metavar="OUT")
    parser.add_argument(
        "--splits",
        nargs=3,
        default=["train", "valid", "test"],
        metavar=("TRAIN", "VALID", "TEST"),
        help="to train, to choose and to test on (default: train valid test)",
    )
    parser.add_argument("--labels", metavar="KIND", help="ending of the label files (default: ltr for ctc, else cls)")
    parser.add_argument(
        "--head",
        choices=["linear", "blstm", "statistics", "xvector"],
        help="ctc: linear (default) or blstm, two layers; classify: linear over the mean (default) or statistics, "
        "attentive statistics pooling; verify: xvector",
    )
    parser.add_argument("--names", metavar="A,B,...", help="one name per checkpoint (default: from their paths)")
    parser.add_argument(
        "--states", metavar="DIR", help="folder for hidden states, which tasks share (default: OUT/states)"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="seeds of the probes (default: 1 2 3)"
    )
    parser.add_argument(
        "--lr",
        dest="rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="learning rates; the first seed tries all (default: 0.003 0.01 0.03 0.1 for linear heads, else 0.001 "
        "0.003 0.01)",
    )
    parser.add_argument("--epochs", type=int, default=20, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--batch-seconds", type=float, default=40.0, metavar="S", help="padded audio per batch (default %(default)g)"
    )
    parser.add_argument(
        "--hidden-size", type=int, default=128, metavar="N", help="of blstm, statistics, xvector (default %(default)s)"
    )
    add_long_form(parser)


def run(args: argparse.Namespace) -> None:
    from .grid import Grid
    from .hidden_states import LongForm
    from .report import text
    from .run import probe

    result = probe(
        args.task,
        args.checkpoints,
        args.data,
        args.out,
        args.splits,
        args.labels,
        args.head,
        args.names.split(",") if args.names else None,
        args.states,
        Grid(args.seeds, args.rates, args.epochs, args.batch_seconds, args.hidden_size),
        LongForm(args.chunk_seconds, args.window_seconds, args.device),
    )
    print(f"{text(result)}\n\n{result['out']}")
