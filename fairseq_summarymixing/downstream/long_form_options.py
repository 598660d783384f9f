"""Options of the verbs that compute recordings: how much audio at once."""

import argparse

BLOCK_SECONDS = 40.0
"""Of audio in a chunk: the largest tensor of wav2vec 2.0 large then has 31 MiB. From 32 MiB on, glibc takes memory anew
from the system each time."""


def add_batch_seconds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=120.0,
        help="padded audio per batch (default %(default)g); 0: one utterance at a time, which stock models of "
        "extractor_mode default (group norm over padding) need for an answer that no batch influences",
    )


def add_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dtype",
        choices=["fp32", "bf16", "auto"],
        default="fp32",
        help="bf16: on a CPU that multiplies bf16, round the factors of products to it, for about half the time and a "
        "hidden state that differs by about 1 %%; auto: where there is such a CPU (default %(default)s)",
    )


def add_long_form(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--block-seconds",
        type=float,
        default=BLOCK_SECONDS,
        metavar="S",
        help="longer recordings go through SummaryMixing in chunks of this length, with the result of one pass "
        "(default %(default)g)",
    )
    parser.add_argument(
        "--window",
        dest="window_seconds",
        type=float,
        metavar="S",
        help="self-attention sees windows of this length instead of the whole recording, of which it refuses more "
        "than 300 s; the result is then another than that of one pass",
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
