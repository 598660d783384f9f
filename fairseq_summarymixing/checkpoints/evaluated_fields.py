"""Check the fields that fairseq hands to ``eval`` when it builds a model: they may hold no calls."""

from __future__ import annotations

import ast
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError

# Of wav2vec 2.0, and of the other models that a checkpoint may name for the encoder inside a fine-tuned one
EVALUATED = frozenset(
    "conv_feature_layers conv_aggregator_layers feature_encoder_spec xformers_att_config encoder_layers "
    "decoder_layers encoder_attention decoder_attention self_attention project_input gated_attention downsample "
    "pretrained character_filters adaptive_softmax_cutoff adaptive_input_cutoff left_pad_source left_pad_target "
    "pipeline_balance pipeline_devices pipeline_encoder_balance pipeline_encoder_devices pipeline_decoder_balance "
    "pipeline_decoder_devices adam_betas adamax_betas adafactor_eps lamb_betas wer_args".split()
)
# What calls nothing: lists of numbers, joined and repeated, such as "[(512, 10, 5)] + [(512, 3, 2)] * 4"; and names and
# paths, since a model that does not evaluate a field may use it for these
LITERALS = (ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Dict)
HARMLESS = LITERALS + (ast.Name, ast.Attribute, ast.Load, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop)


def check_evaluated_fields(path: str | Path, configuration: Any) -> None:
    """Refuse a configuration that would run code while fairseq builds its model.

    Args:
        path: the file that it was read from, for the message.
        configuration: dicts, lists and namespaces of fields, at any depth.

    Raises:
        UserError: names the field and the file.
    """
    for name, value in _texts(configuration):
        if name in EVALUATED and not _is_harmless(value):
            raise UserError(
                f"{path} has code in the field {name}, {value[:60]!r}, where fairseq expects numbers; "
                "it was refused and nothing in it was run"
            )


def is_literal(text: str) -> bool:
    """Return whether a text is what fairseq expects to evaluate: numbers, lists of these, and sums of lists."""
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return all(isinstance(node, HARMLESS) and not isinstance(node, (ast.Name, ast.Attribute)) for node in nodes)


def _is_harmless(text: str | bytes) -> bool:
    if isinstance(text, bytes):  # which eval takes, and fairseq never saves
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return True  # for eval as well
    except (ValueError, MemoryError, RecursionError):
        return False
    return all(isinstance(node, HARMLESS) for node in ast.walk(tree))


def _texts(configuration: Any) -> Iterator[tuple[Any, str | bytes]]:
    """Yield texts at any depth with the names of their fields."""
    left = [(None, configuration)]
    while left:
        name, value = left.pop()
        if isinstance(value, (str, bytes)):
            yield name, value
        elif isinstance(value, Namespace):
            left.extend(vars(value).items())
        elif isinstance(value, Mapping):
            left.extend(value.items())
        elif isinstance(value, (list, tuple)):
            left.extend((name, inner) for inner in value)
