"""Write the tokenizer of a CTC model for Hugging Face, and check that its texts are fairseq's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..downstream.greedy import ctc_greedy
from ..errors import UserError
from .export_source import ExportSource

# fairseq's blank is <s> and comes first, theirs is <pad>: the first two change names, no weight moves
SPECIAL = {"<s>": "<pad>", "<pad>": "<s>", "</s>": "</s>", "<unk>": "<unk>"}
SPECIAL_TOKENS = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
RESERVED = (1, 2)  # <pad> and </s> of fairseq: no transcript holds them, and the two worlds print them differently

# By fairseq's ``criterion.post_process``: what ends or begins a word, where all else is joined without a space; and
# what is left out, where symbols are joined by spaces
MARKS = {"letter": "|", "sentencepiece": "\u2581", "wordpiece": "_", "_EOW": "_EOW"}
DELIMITER = "|"  # the only one that Wav2Vec2CTCTokenizer of transformers 5 takes
SILENCES = {"none": None, None: None, "silence": "<SIL>"}

NUM_PATHS = 20


def names_for_hf(symbols: Iterable[str], rule: str | None) -> list[str]:
    """Return the names under which Hugging Face's tokenizer gives the text that fairseq gives.

    A symbol that is the mark between words becomes :data:`DELIMITER`, and inside a symbol, as in "\u2581the", the mark
    becomes the space that it stands for.

    Raises:
        ValueError: two symbols would have one name.
    """
    names = [SPECIAL.get(symbol) or _name(symbol, MARKS.get(rule)) for symbol in symbols]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"several symbols of its dictionary would be {twice[0]!r}")
    return names


def symbol_of(name: str, rule: str | None) -> str:
    """Reverse :func:`names_for_hf` for a symbol that is not special."""
    mark = MARKS.get(rule)
    return name if mark is None else mark if name == DELIMITER else name.replace(" ", mark)


def _name(symbol: str, mark: str | None) -> str:
    return symbol if mark is None else DELIMITER if symbol == mark else symbol.replace(mark, " ")


def write_tokenizer(source: ExportSource, folder: Path) -> None:
    """Write ``vocab.json``, ``tokenizer_config.json`` and ``special_tokens_map.json`` of a CTC model.

    Raises:
        UserError: no tokenizer of Hugging Face joins symbols as the model was trained to have them joined.
    """
    path, rule = source.checkpoint.path, source.checkpoint.post_process
    if rule not in MARKS and rule not in SILENCES:
        known = ", ".join(str(name) for name in (*MARKS, *SILENCES) if name)
        raise UserError(
            f"{path} cannot be exported: Hugging Face's tokenizers do not join symbols by "
            f"criterion.post_process={rule}, only by {known}"
        )
    try:
        names = names_for_hf(source.symbols, rule)
    except ValueError as error:
        raise UserError(f"{path} cannot be exported: {error} in Hugging Face's tokenizer") from error
    _write_json(folder / "vocab.json", {name: index for index, name in enumerate(names)})
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(names, rule))
    _write_json(folder / "special_tokens_map.json", SPECIAL_TOKENS)


def _tokenizer_config(names: list[str], rule: str | None) -> dict[str, Any]:
    shared = {"processor_class": "Wav2Vec2Processor", "clean_up_tokenization_spaces": False, **SPECIAL_TOKENS}
    if rule in MARKS:
        return {
            "tokenizer_class": "Wav2Vec2CTCTokenizer",
            "word_delimiter_token": DELIMITER if DELIMITER in names else " ",
            "do_lower_case": False,
            **shared,
        }
    # do_phonemize: of text to train on; it needs a package of its own
    return {
        "tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer",
        "word_delimiter_token": SILENCES[rule],
        "phone_delimiter_token": " ",
        "do_phonemize": False,
        **shared,
    }


def check_texts(source: ExportSource, folder: Path, logits: Iterable[Tensor]) -> str:
    """Compare the texts of the folder's tokenizer with those of fairseq's greedy decoding, spaces that follow each
    other counted once.

    Args:
        logits: (T, V), of recordings. Paths through all classes but :data:`RESERVED` are tried besides.

    Returns:
        A line on what was compared.

    Raises:
        UserError: a text differs.
    """
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    count = 0
    for scores in (*map(_possible, logits), *_paths(len(source.symbols))):
        expected = fairseq_text(source, scores)
        found = " ".join(tokenizer.decode(scores.argmax(-1).tolist()).split())
        if found != expected:
            raise UserError(
                f"the exported tokenizer gives the text {found[:60]!r} where fairseq's greedy decoding gives "
                f"{expected[:60]!r}: nothing was written"
            )
        count += 1
    classes = len(source.symbols) - len(RESERVED)
    return f"texts of greedy decoding: {count} of {count} the same, through the {classes} classes that texts hold"


def fairseq_text(source: ExportSource, logits: Tensor) -> str:
    """Return the words that fairseq gives for logits (T, V), joined by single spaces."""
    from fairseq.data.data_utils import post_process

    dictionary = source.dictionary
    text = dictionary.string(ctc_greedy(logits).tokens)
    return " ".join(post_process(text, source.checkpoint.post_process).split())


def _possible(logits: Tensor) -> Tensor:
    """Return logits under which no class is chosen that no transcript holds."""
    logits = logits.clone()
    logits[:, list(RESERVED)] = float("-inf")
    return logits


def _paths(classes: int) -> Iterator[Tensor]:
    """Yield one-hot scores (T, V): each class once; each held, then twice with a blank between; random paths."""
    generator = torch.Generator().manual_seed(1)
    usable = torch.tensor([token for token in range(classes) if token not in RESERVED])
    yield F.one_hot(usable, classes).float()
    blank = torch.zeros_like(usable)
    yield F.one_hot(torch.stack([usable, usable, blank, usable, blank], 1).flatten(), classes).float()
    for _ in range(NUM_PATHS):
        drawn = usable[torch.randint(len(usable), (50,), generator=generator)]
        yield F.one_hot(drawn.repeat_interleave(2), classes).float()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
