"""The command ``fairseq-summarymixing VERB``: the list of verbs, each with the module that owns its options."""

import argparse
import sys
from typing import List, Optional

from . import __version__
from .bench import command as bench
from .compare import command as compare
from .converters import export_command, import_command
from .data import manifest_command
from .data.demo import synth_command
from .downstream import decode_command, features_command, transcribe_command
from .downstream.mp3s import command as mp3s_command
from .downstream.probe import command as probe_command
from .errors import UserError, exit_status

VERBS = {
    "manifest": (manifest_command, "make fairseq manifests"),
    "synth": (synth_command, "make a demo corpus of synthetic speech"),
    "decode": (decode_command, "decode a test split and compute its error rates"),
    "transcribe": (transcribe_command, "transcribe recordings of any length with a fine-tuned checkpoint"),
    "features": (features_command, "write hidden states of recordings of any length"),
    "probe": (probe_command, "measure what frozen encoders know, by small models trained on their hidden states"),
    "mp3s": (mp3s_command, "run the published benchmark: probes of frozen encoders, in twelve recipes"),
    "export": (export_command, "convert a checkpoint for other tools, and check that it computes the same"),
    "import": (import_command, "convert another tool's model to a fairseq checkpoint"),
    "compare": (compare, "make tables and plots of training runs"),
    "bench": (bench, "measure time and memory of training steps, beside the alternatives"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fairseq-summarymixing",
        description="Prepare corpora for wav2vec 2.0 with SummaryMixing; use, evaluate and compare its checkpoints.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (module, purpose) in VERBS.items():
        verb = verbs.add_parser(name, help=purpose)
        module.add_options(verb)
        verb.set_defaults(run=module.run, parser=verb)
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run one verb and return the exit status of :func:`~.errors.exit_status`."""
    args = build_parser().parse_args(argv)
    return exit_status(lambda: _run(args), args.parser)


def _run(args: argparse.Namespace) -> None:
    for name, value in vars(args).items():
        if value == "" or (isinstance(value, list) and "" in value):  # which would be this folder, or the default
            raise UserError(f"`{name}` is empty; expected a value. Is a variable of the shell not set?")
    args.run(args)


if __name__ == "__main__":
    sys.exit(main())
