"""Read files of ``torch.save`` without running anything that a file may have brought along, on any torch."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError, is_out_of_memory
from ..input_files import check_file

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
# What torch itself puts into a checkpoint, for torch < 2.4, whose weights-only reader knows no other classes.
TORCH_GLOBALS = re.compile(
    r"torch (\w+Storage|Size|device|float\d+|bfloat16|u?int\d+|bool|complex\d+)"
    r"|torch\.storage \w*Storage|torch\._utils (_rebuild_tensor|_rebuild_tensor_v2|_rebuild_parameter)"
    r"|torch\.nn\.parameter Parameter|collections OrderedDict|_codecs encode"
    r"|(builtins|__builtin__) (set|bytearray|complex|tuple)"
)
# By these, torch.load takes another reader than the one that it is asked for, or refuses to read at all.
VARIABLES = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")


def read_torch_file(path: str | Path, classes: tuple[type, ...] = ()) -> Any:
    """Read what ``torch.save`` wrote, tensors onto the CPU.

    Only tensors, plain values and ``classes`` are read; anything else in the file is refused before it runs.

    Raises:
        UserError: names the file and what it is: empty, cut short, damaged (the checksums of a zip archive reveal every
            flipped bit; bare pickles have none), no file of torch's, or a file that wants to run code.
    """
    path = Path(path)
    _check_format(path)
    try:
        with _without_variables():
            return _read(path, classes)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} {_refusal(str(error))}") from error
    except Exception as error:  # torch and pickle raise any kind for damaged files, in words for programmers
        if is_out_of_memory(error):
            raise UserError(f"there is not enough memory to read {path}, or it is damaged") from error
        raise UserError(f"{path} is damaged, cut short or no checkpoint; copy or save it again") from error


def read_head(path: Path) -> bytes:
    """Read the first 16 bytes, which distinguish formats; a UserError if the file cannot be read."""
    check_file(path)
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _check_format(path: Path) -> None:
    """Refuse files that torch need not or must not be given."""
    head = read_head(path)
    if not head:
        raise UserError(f"{path} is empty; save or copy it again")
    if head.startswith(ZIP_MAGIC):
        _check_zip(path)
    elif not head.startswith(PICKLE_MAGIC):
        raise UserError(
            f"{path} is no checkpoint: neither a zip archive nor a pickle; it begins with {repr(head[:8])[1:]}"
        )
    elif tarfile.is_tarfile(path):
        # A tar archive begins with any name that it likes. Before torch 2.6, the reader of these ran what they held
        # in spite of weights_only (CVE-2025-32434).
        raise UserError(f"{path} is a tar archive, which torch wrote before 0.1.10; save it again with a later torch")


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.split("/")[-1] for name in archive.namelist()]
            damaged = _damaged_record(archive)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is cut short ({os.path.getsize(path):,} bytes): copy or save it again") from error
    except Exception as error:  # zipfile, struct and zlib likewise
        raise UserError(f"{path} is damaged: it cannot be unpacked; copy or save it again") from error
    if "data.pkl" not in names:
        raise UserError(f"{path} is a zip archive but no checkpoint: it has no data.pkl")
    if "constants.pkl" in names:  # before torch 2.6, torch.load hands these on, in spite of weights_only
        raise UserError(f"{path} is a TorchScript archive, which holds code; expected parameters alone")
    if damaged:
        raise UserError(f"{path} is damaged: the checksum of its part {damaged} is wrong; copy or save it again")


def _damaged_record(archive: zipfile.ZipFile) -> str | None:
    """Return the first part whose checksum (CRC-32) is wrong; torch itself does not check it.

    ``torch.serialization.set_crc32_options(False)`` writes 0 for every part: then there is nothing to compare.
    """
    if not any(part.CRC for part in archive.infolist()):
        return None
    return archive.testzip()


@contextlib.contextmanager
def _without_variables() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _read(path: Path, classes: tuple[type, ...]) -> Any:
    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals(list(classes))
        return torch.load(path, map_location="cpu", weights_only=True)
    return torch.load(path, map_location="cpu", pickle_module=restricted_pickle(classes))


def restricted_pickle(classes: tuple[type, ...]) -> type:
    """Return a stand-in for the ``pickle`` module where torch.load asks for one (torch < 2.4).

    It finds ``classes`` and what torch's own tensors need, nothing else.
    """
    found = {(kind.__module__, kind.__qualname__) for kind in classes}

    class RestrictedUnpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in found or TORCH_GLOBALS.fullmatch(f"{module} {name}"):
                return super().find_class(module, name)
            raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {module}.{name}")

    class RestrictedPickle:
        Unpickler = RestrictedUnpickler

        @staticmethod
        def load(file: Any, **arguments: Any) -> Any:
            return RestrictedUnpickler(file, **arguments).load()

    return RestrictedPickle


def _refusal(message: str) -> str:
    """Shorten the reader's message of many lines to the reason why it refused a file."""
    found = re.search(r"GLOBAL\s+([\w.]+)", message) or re.search(r"Can only \w+ .*?([\w.]+\.\w+)", message)
    if found:
        return (
            f"wants to load {found[1]}, which is none of the classes a checkpoint needs; "
            "it was refused and nothing in it was run"
        )
    if re.search(r"WeightsUnpickler error:\s*Unsupported ", message):
        return "is no checkpoint: a pickle of another kind; nothing in it was run"
    return "is damaged or no checkpoint; copy or save it again"
