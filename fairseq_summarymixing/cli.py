"""``fairseq-summarymixing <verb>``: parses the command line and calls; the work is done elsewhere."""

import argparse
import sys
from typing import List, Optional

from . import __version__
from .errors import UserError, exit_status


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fairseq-summarymixing",
        description="Corpora, decoding and comparisons around SummaryMixing wav2vec 2.0.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_manifest(verbs)
    _add_synth(verbs)
    _add_decode(verbs)
    _add_features(verbs)
    _add_export(verbs)
    _add_import(verbs)
    _add_compare(verbs)
    _add_bench(verbs)
    return parser


def _add_manifest(verbs) -> None:
    manifest = verbs.add_parser("manifest", help="make fairseq manifests")
    kinds = manifest.add_subparsers(dest="kind", metavar="KIND", required=True)
    folder = kinds.add_parser(
        "folder",
        help="from any tree of audio files",
        description="Write OUT/{train,valid,test}.tsv for the audio files in SRC; OUT/report.tsv lists what was left "
        "out and why. With --transcripts also .wrd, .ltr and dict.ltr.txt. The split of a file never depends on "
        "the others. Run again to go on after an interruption.",
    )
    folder.add_argument("source", metavar="SRC")
    folder.add_argument("out", metavar="OUT")
    folder.add_argument("--valid-percent", type=float, default=1, help="0 for no valid manifest (default 1)")
    folder.add_argument("--test-percent", type=float, default=0, help="default 0: no test manifest")
    folder.add_argument("--split-by", choices=["file", "speaker"], default="file")
    folder.add_argument(
        "--speaker-regex",
        default=r"^([^/]+)/",
        metavar="R",
        help="searched in the path relative to SRC; its one group is the speaker (default: the first folder)",
    )
    folder.add_argument(
        "--transcripts",
        metavar="TABLE",
        help="'recording<TAB>text' per line, the recording as relative path or file name, with or without its "
        "extension; or the word sidecar, for a .txt file beside each recording. Text is taken as it is",
    )
    folder.add_argument(
        "--resample",
        type=int,
        choices=[16000],
        help="write a 16 kHz mono FLAC of every recording under OUT/audio and refer to these",
    )
    folder.add_argument("--min-seconds", type=float, default=0.1, help="leave out shorter recordings (default 0.1)")
    folder.add_argument("--max-seconds", type=float, default=float("inf"), help="leave out longer recordings")
    folder.add_argument("--extensions", default="wav,flac,ogg,mp3", help="default %(default)s, in either case")
    folder.add_argument("--workers", type=int, help="threads (default: one per processor)")
    folder.set_defaults(run=_run_manifest_folder)


def _run_manifest_folder(args: argparse.Namespace) -> None:
    from .data.folder import make_manifests

    summary = make_manifests(
        args.source,
        args.out,
        valid_percent=args.valid_percent,
        test_percent=args.test_percent,
        split_by=args.split_by,
        speaker_regex=args.speaker_regex,
        transcripts=args.transcripts,
        resample=args.resample,
        min_seconds=args.min_seconds,
        max_seconds=args.max_seconds,
        extensions=args.extensions.split(","),
        workers=args.workers,
    )
    print(summary)


def _add_synth(verbs) -> None:
    synth = verbs.add_parser(
        "synth",
        help="make a demo corpus of synthetic speech",
        description="Write OUT/audio/VOICE/*.flac and OUT/transcripts.tsv: short sentences of a small vocabulary, 42 "
        "voices. The same seed gives the same audio. Then: fairseq-summarymixing manifest folder OUT/audio MANIFESTS "
        "--transcripts OUT/transcripts.tsv --split-by speaker --valid-percent 10 --test-percent 10",
    )
    synth.add_argument("out", metavar="OUT")
    synth.add_argument("--minutes", type=float, default=30, help="default 30")
    synth.add_argument("--seed", type=int, default=1, help="default 1")
    synth.add_argument("--languages", default="en-us,cy,eu", help="some of %(default)s, which is the default")
    synth.set_defaults(run=_run_synth)


def _run_synth(args: argparse.Namespace) -> None:
    from .data.demo.synth import make_corpus

    print(make_corpus(args.out, args.minutes, args.seed, args.languages.split(",")))


def _add_decode(verbs) -> None:
    decode = verbs.add_parser(
        "decode",
        help="word error rate of a fine-tuned checkpoint",
        description="CTC decoding of DIR/SPLIT.tsv with a fairseq wav2vec_ctc checkpoint, stock or ours: greedy, or a "
        "beam search with a language model. Writes hypotheses.wrd, references.wrd, hypotheses.ltr and "
        "result.json, with WER, CER and a bootstrap confidence interval over utterances.",
    )
    decode.add_argument("checkpoint", metavar="CHECKPOINT")
    decode.add_argument("--data", required=True, metavar="DIR", help="folder with SPLIT.tsv and SPLIT.ltr")
    decode.add_argument("--split", required=True, metavar="SPLIT", help="such as test")
    decode.add_argument("--out", metavar="DIR", help="default: decode/CHECKPOINT-SPLIT beside the checkpoint")
    decode.add_argument(
        "--batch-seconds",
        type=float,
        default=120.0,
        help="padded audio per batch (default %(default)g); 0: one utterance at a time, which stock models of "
        "extractor_mode default (group norm over padding) need for an answer that no batch influences",
    )
    decode.add_argument("--timestamps", action="store_true", help="also write hypotheses.ctm, the words' times")
    decode.add_argument("--lm", metavar="FILE", help="n-gram language model (ARPA or KenLM's binary); needs --lexicon")
    decode.add_argument("--lexicon", metavar="FILE", help="lines of 'WORD<TAB>W O R D |': words that can be found")
    decode.add_argument("--lm-weight", type=float, metavar="X", help="default 2, or what --tune chooses")
    decode.add_argument("--word-score", type=float, metavar="X", help="for each word; default -1, or --tune's choice")
    decode.add_argument("--beam", type=int, metavar="N", help="hypotheses kept (default 100)")
    decode.add_argument("--nbest", type=int, metavar="N", help="above 1: also write nbest.tsv")
    decode.add_argument("--tune", metavar="SPLIT", help="choose --lm-weight and --word-score on it, such as valid")
    _add_long_form(decode)
    decode.set_defaults(run=_run_decode)


def _add_long_form(verb) -> None:
    verb.add_argument(
        "--block-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="longer recordings go through SummaryMixing in blocks of this length, with the result of one pass "
        "(default %(default)g)",
    )
    verb.add_argument(
        "--window",
        type=float,
        metavar="S",
        help="self-attention sees windows of this length instead of the whole recording, of which it refuses more "
        "than 300 s; the result is then another than that of one pass",
    )
    verb.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")


def _run_decode(args: argparse.Namespace) -> None:
    from .downstream.beam_search import BeamSearch
    from .downstream.decode import decode, summary

    names = ("lm_weight", "word_score", "beam", "nbest", "tune")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if (args.lm is None) != (args.lexicon is None) or (args.lm is None and given):
        raise UserError(
            "--lm, --lexicon and with them --lm-weight, --word-score, --beam, --nbest, --tune belong together"
        )
    if args.tune and {"lm_weight", "word_score"} & given.keys():
        raise UserError("--tune chooses --lm-weight and --word-score: give one or the other")
    beam_search = None if args.lm is None else BeamSearch(args.lm, args.lexicon, **given)
    result = decode(
        args.checkpoint, args.data, args.split, args.out, args.batch_seconds, args.device, args.block_seconds,
        args.window, beam_search, args.timestamps,
    )  # fmt: skip
    print(summary(result))


def _add_features(verbs) -> None:
    features = verbs.add_parser(
        "features",
        help="hidden states of recordings of any length",
        description="Write OUT/NAME.layer-K.npy, one row per frame, for each recording and layer, and "
        "OUT/NAME.times.npy, the middle of each frame in seconds. CKPT: pre-trained or fine-tuned, ours or stock "
        "wav2vec2. Run again to go on after an interruption.",
    )
    features.add_argument("checkpoint", metavar="CKPT")
    features.add_argument("audio", nargs="+", metavar="AUDIO", help="file of any sample rate")
    features.add_argument("-o", "--out", required=True, metavar="OUT")
    features.add_argument(
        "--layers", metavar="K,K,...", help="0 is the first layer's input, K the output of layer K (default: the last)"
    )
    _add_long_form(features)
    features.set_defaults(run=_run_features)


def _run_features(args: argparse.Namespace) -> None:
    from .downstream.features import extract

    try:
        layers = None if args.layers is None else [int(one) for one in args.layers.split(",")]
    except ValueError as error:
        raise UserError(f"--layers must be numbers with commas between; got {args.layers}") from error
    print(extract(args.checkpoint, args.audio, args.out, layers, args.block_seconds, args.window, args.device))


def _add_export(verbs) -> None:
    export = verbs.add_parser("export", help="a checkpoint for other tools, with proof that it says the same")
    kinds = export.add_subparsers(dest="kind", metavar="KIND", required=True)
    hf = kinds.add_parser(
        "hf",
        help="a directory that transformers loads",
        description="Write DIR with configuration, safetensors, preprocessor, tokenizer (CTC), model card and the "
        "modelling code, which needs neither fairseq nor this package. CKPT: pre-trained or fine-tuned with CTC, ours "
        "with any mixer or stock wav2vec2. Nothing is written unless the outputs agree with fairseq's within 1e-5.",
    )
    hf.add_argument("checkpoint", metavar="CKPT")
    hf.add_argument("out", metavar="DIR")
    hf.add_argument(
        "--spec-augment",
        choices=["on", "off"],
        help="whether the exported model masks its input in training mode (default: as it was fine-tuned; pre-trained "
        "models 5 %% of frames, as Hugging Face's own)",
    )
    hf.set_defaults(run=_run_export_hf)
    for kind, what in (("onnx", "an ONNX model"), ("torch", "a torch.export program")):
        graph = kinds.add_parser(
            kind,
            help=f"{what}: waveforms in, features or CTC logits out",
            description=f"Write {what} of dynamic batch and length. Nothing is written unless the outputs for several "
            "batches and lengths agree with fairseq's (within 1e-5 by torch, 1e-4 by onnxruntime).",
        )
        graph.add_argument("checkpoint", metavar="CKPT")
        graph.add_argument("out", metavar="FILE")
        graph.set_defaults(run=_run_export_graph)


def _run_export_hf(args: argparse.Namespace) -> None:
    from .converters.export_hf import export_hf

    spec_augment = None if args.spec_augment is None else args.spec_augment == "on"
    print(export_hf(args.checkpoint, args.out, spec_augment))


def _run_export_graph(args: argparse.Namespace) -> None:
    from .converters import graph

    print((graph.export_onnx if args.kind == "onnx" else graph.export_torch)(args.checkpoint, args.out))


def _add_import(verbs) -> None:
    importer = verbs.add_parser("import", help="another tool's model as a fairseq checkpoint")
    kinds = importer.add_subparsers(dest="kind", metavar="KIND", required=True)
    hf = kinds.add_parser(
        "hf",
        help="from a directory of Hugging Face",
        description="Write the fairseq checkpoint CKPT of DIR: of 'export hf', further trained or not, or a public "
        "wav2vec 2.0. Public ones become stock wav2vec2 checkpoints; with a CTC head, fine-tuned ones.",
    )
    hf.add_argument("folder", metavar="DIR")
    hf.add_argument("checkpoint", metavar="CKPT")
    hf.set_defaults(run=_run_import_hf)


def _run_import_hf(args: argparse.Namespace) -> None:
    from .converters.import_hf import import_hf

    print(import_hf(args.folder, args.checkpoint))


def _add_compare(verbs) -> None:
    compare = verbs.add_parser(
        "compare",
        help="tables and plots of training runs",
        description="Read fairseq run folders (their *.log files with JSON lines: common.log_format=json), their "
        "checkpoints and decode results; write compare.html (one file, nothing to fetch), compare.md, compare.json "
        "and the plots.",
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="run folder")
    compare.add_argument("--out", default="comparison", metavar="DIR", help="default: %(default)s")
    compare.add_argument("--names", metavar="A,B,...", help="one name per run (default: the folders' names)")
    compare.set_defaults(run=_run_compare)


def _run_compare(args: argparse.Namespace) -> None:
    from .compare.report import compare

    print(compare(args.runs, args.out, args.names.split(",") if args.names else None))


def _add_bench(verbs) -> None:
    bench = verbs.add_parser("bench", help="time and memory of training steps, beside the alternatives")
    kinds = bench.add_subparsers(dest="kind", metavar="KIND", required=True)
    run = kinds.add_parser(
        "run",
        help="measure, and append JSON lines",
        description="Forward, backward and AdamW of random weights on random input, in training mode; the candidates "
        "take turns. Our own need torch alone; the others are skipped, with the reason, where they are not installed.",
    )
    run.add_argument("--work", choices=["mixer", "encoder", "step"], default="step", help="default: %(default)s")
    run.add_argument("--shape", choices=["base", "155m"], default="base", help="default: %(default)s")
    run.add_argument(
        "--seconds", default="10,30", metavar="S,S,...", help="length of an utterance, default %(default)s"
    )
    run.add_argument("--batch", type=int, default=1, metavar="B", help="utterances (default %(default)s)")
    run.add_argument("--candidates", metavar="A,B,...", help="default: all of this work")
    run.add_argument("--repeat", type=int, default=5, metavar="N", help="turns (default %(default)s)")
    run.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    run.add_argument("--dtype", choices=["fp32", "bf16", "fp16"], default="fp32")
    run.add_argument("--compile", action="store_true", help="torch.compile every candidate")
    run.add_argument("-o", "--out", default="bench.jsonl", metavar="FILE", help="default: %(default)s")
    run.set_defaults(run=_run_bench)
    report = kinds.add_parser("report", help="tables and plots of what was measured")
    report.add_argument("records", nargs="+", metavar="FILE", help="JSON lines of bench run")
    report.add_argument(
        "--baseline", metavar="A,B,...", help="candidates to give ratios to (default: fairseq, where it was measured)"
    )
    report.add_argument("--out", metavar="DIR", help="also write bench.md and plots there")
    report.set_defaults(run=_run_bench_report)


def _run_bench(args: argparse.Namespace) -> None:
    from .bench.measure import run

    try:
        seconds = [float(one) for one in args.seconds.split(",")]
    except ValueError as error:
        raise UserError(f"--seconds must be numbers with commas between; got {args.seconds}") from error
    names = args.candidates.split(",") if args.candidates else None
    print(
        run(
            args.out, work=args.work, shape=args.shape, seconds=seconds, names=names, batch=args.batch,
            repeat=args.repeat, device=args.device, dtype=args.dtype, compiled=args.compile,
        )
    )  # fmt: skip


def _run_bench_report(args: argparse.Namespace) -> None:
    from .bench.report import report

    print(report(args.records, args.baseline.split(",") if args.baseline else None, args.out))


def main(argv: Optional[List[str]] = None) -> int:
    """Run one verb. Returns the exit status of :func:`~.errors.exit_status`."""
    args = build_parser().parse_args(argv)
    return exit_status(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
