"""The verb ``export``: its options and the functions that they call."""

import argparse

from ..compat import quiet_fairseq


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    hf = kinds.add_parser(
        "hf",
        help="a directory that transformers loads",
        description="Write DIR with configuration, safetensors, preprocessor, tokenizer (CTC), model card and the "
        "modelling code, which needs neither fairseq nor this package. CKPT: pre-trained or fine-tuned with CTC, ours "
        "with any mixer or stock wav2vec2. Nothing is written unless the outputs agree with fairseq's within 1e-5, and "
        "texts wholly.",
    )
    hf.add_argument("checkpoint", metavar="CKPT")
    hf.add_argument("out", metavar="DIR")
    _add_data(hf)
    hf.add_argument(
        "--spec-augment",
        choices=["on", "off"],
        help="whether the exported model masks its input in training mode (default: as it was fine-tuned; pre-trained "
        "models 5 %% of frames, as Hugging Face's own)",
    )
    for kind, what in (("onnx", "an ONNX model"), ("torch", "a torch.export program")):
        graph = kinds.add_parser(
            kind,
            help=f"{what}: waveforms in, features or CTC logits out",
            description=f"Write {what} of dynamic batch and length. Nothing is written unless the outputs for several "
            "batches and lengths agree with fairseq's (within 1e-5 by torch, 1e-4 by onnxruntime).",
        )
        graph.add_argument("checkpoint", metavar="CKPT")
        graph.add_argument("out", metavar="FILE")
        _add_data(graph)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="folder with the dictionary of a fine-tuned checkpoint that holds none"
    )


def run(args: argparse.Namespace) -> None:
    with quiet_fairseq():  # which converters import
        from . import export_source  # noqa: F401
    print(_export_hf(args) if args.kind == "hf" else _export_graph(args))


def _export_hf(args: argparse.Namespace) -> str:
    from .export_hf import export_hf

    spec_augment = None if args.spec_augment is None else args.spec_augment == "on"
    return export_hf(args.checkpoint, args.out, spec_augment, args.data)


def _export_graph(args: argparse.Namespace) -> str:
    from . import graph

    return (graph.export_onnx if args.kind == "onnx" else graph.export_torch)(args.checkpoint, args.out, args.data)
