"""Options of the verbs that run an encoder: how much audio at once, on which device, in which precision."""

import argparse

CHUNK_SECONDS = 40.0
"""Length of a chunk: the largest tensor of wav2vec 2.0 large then has 31 MiB. From 32 MiB on, glibc requests memory
from the system each time."""
BATCH_SECONDS = CHUNK_SECONDS
"""Padded audio in a batch of shorter recordings, for the same reason; a GPU takes more at once."""


def add_batch_seconds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=BATCH_SECONDS,
        help="padded audio per batch (default %(default)g, which suits a CPU; a GPU takes more); 0: one utterance "
        "at a time, without which the results of models of extractor_mode default (group norm over padding) depend a "
        "little on the batch",
    )


def add_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dtype",
        choices=["fp32", "bf16", "auto"],
        default="fp32",
        help="bf16: on a CPU with AMX, round the factors of products to it, which takes about half the "
        "time and changes hidden states by about 1 %%; auto: bf16 on such a CPU, else fp32 (default %(default)s)",
    )


def add_long_form(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chunk-seconds",
        type=float,
        default=CHUNK_SECONDS,
        metavar="S",
        help="SummaryMixing computes longer recordings in chunks of this length, with the result of a single pass "
        "(default %(default)g)",
    )
    parser.add_argument(
        "--window",
        dest="window_seconds",
        type=float,
        metavar="S",
        help="self-attention computes longer recordings in windows of this length, with a result that differs from "
        "that of a single pass; without, it refuses recordings of more than 300 s",
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
