"""The files that hold a recording's features: NumPy files, or one .npz or .safetensors of all of them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Protocol, Tuple

import numpy as np

from ..errors import UserError
from ..files import atomic_write

LONGEST_HEADER = 100_000_000  # bytes, of safetensors
PIECE = 2**24  # bytes that are copied at a time


class Shape(NamedTuple):
    """Size and type of an array, such as ``<f4``."""

    size: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        return math.prod(self.size) * np.dtype(self.dtype).itemsize


Shapes = Mapping[str, Shape]
"""Of arrays by name: ``layer-K`` (T, D) and ``times`` (T,)."""
Write = Callable[[str, np.ndarray], None]
"""Called with a name and the next rows of that array."""


class FeatureFormat(Protocol):
    """A way to store a recording's arrays. The path ``base`` is that of the recording's files without an ending."""

    is_one_file: bool

    def path(self, base: Path, name: str) -> Path:
        """Return the file that holds an array."""

    def whole(self, base: Path, shapes: Shapes) -> set[str]:
        """Return the names of the arrays that are there, of these shapes, and all of their bytes."""

    def writing(self, base: Path, shapes: Shapes) -> contextlib.AbstractContextManager[Write]:
        """Write these arrays, whole or not at all, while the block lasts."""


Parts = Iterable[Tuple[str, Path]]
"""Names of recordings, each with the file of several arrays that holds its."""


class NumpyFiles:
    """A NumPy file for each array, BASE.NAME.npy."""

    is_one_file = False

    def path(self, base: Path, name: str) -> Path:
        return base.with_name(f"{base.name}.{name}.npy")

    def whole(self, base: Path, shapes: Shapes) -> set[str]:
        found = set()
        for name, shape in shapes.items():
            with contextlib.suppress(OSError), open(self.path(base, name), "rb") as file:
                if _is_whole_array(file, os.fstat(file.fileno()).st_size, shape):
                    found.add(name)
        return found

    @contextlib.contextmanager
    def writing(self, base: Path, shapes: Shapes) -> Iterator[Write]:
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context(atomic_write(self.path(base, name), "wb")) for name in shapes}
            for name, file in files.items():
                _write_header(file, shapes[name])
            yield lambda name, rows: files[name].write(_bytes(rows, shapes[name]))


class NpzFile:
    """One BASE.npz, as ``numpy.savez`` writes it."""

    is_one_file = True

    def path(self, base: Path, name: str) -> Path:
        return base.with_name(f"{base.name}.npz")

    def whole(self, base: Path, shapes: Shapes) -> set[str]:
        found = set()
        with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(self.path(base, "")) as archive:
            for entry in archive.infolist():
                name = entry.filename[: -len(".npy")]
                if name in shapes:
                    with archive.open(entry) as file:
                        if _is_whole_array(file, entry.file_size, shapes[name]):
                            found.add(name)
        return found

    @contextlib.contextmanager
    def writing(self, base: Path, shapes: Shapes) -> Iterator[Write]:
        # An archive takes one array after the other; layers may come in turns
        with atomic_write(self.path(base, ""), "wb") as target, contextlib.ExitStack() as stack:
            parts = {name: stack.enter_context(tempfile.TemporaryFile(dir=base.parent)) for name in shapes}
            for name, file in parts.items():
                _write_header(file, shapes[name])
            yield lambda name, rows: parts[name].write(_bytes(rows, shapes[name]))
            with zipfile.ZipFile(target, "w") as archive:
                for name, file in parts.items():
                    file.seek(0)
                    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                        shutil.copyfileobj(file, entry)

    def join(self, parts: Parts, names: Sequence[str], target: IO[bytes]) -> None:
        """Write the arrays of these names of all parts into one file, as RECORDING/NAME."""
        with zipfile.ZipFile(target, "w") as archive:
            for recording, path in parts:
                with zipfile.ZipFile(path) as part:
                    for name in names:
                        info = zipfile.ZipInfo(f"{recording}/{name}.npy")
                        with part.open(f"{name}.npy") as source, archive.open(info, "w", force_zip64=True) as entry:
                            shutil.copyfileobj(source, entry)


class SafetensorsFile:
    """One BASE.safetensors."""

    is_one_file = True
    dtypes = {"<f4": "F32", "<f8": "F64"}

    def path(self, base: Path, name: str) -> Path:
        return base.with_name(f"{base.name}.safetensors")

    def whole(self, base: Path, shapes: Shapes) -> set[str]:
        with contextlib.suppress(OSError, ValueError, struct.error), open(self.path(base, ""), "rb") as file:
            begin, header = self._read_header(file)
            size = os.fstat(file.fileno()).st_size
            arrays = header.items() if isinstance(header, dict) else ()
            if size == begin + max(entry["data_offsets"][1] for _, entry in arrays):
                return {name for name, entry in arrays if name in shapes and entry == self._entry(shapes[name], entry)}
        return set()

    @contextlib.contextmanager
    def writing(self, base: Path, shapes: Shapes) -> Iterator[Write]:
        header, places, end = {}, {}, 0
        for name in sorted(shapes, key=lambda name: -np.dtype(shapes[name].dtype).itemsize):  # which aligns them all
            places[name], begin, end = end, end, end + shapes[name].bytes
            header[name] = self._entry(shapes[name], {"data_offsets": [begin, end]})
        with atomic_write(self.path(base, ""), "wb") as file:
            begin_of_data = self._write_header(file, header)

            def write(name: str, rows: np.ndarray) -> None:
                content = _bytes(rows, shapes[name])
                file.seek(begin_of_data + places[name])
                file.write(content)
                places[name] += len(content)

            yield write

    def join(self, parts: Parts, names: Sequence[str], target: IO[bytes]) -> None:
        """Write the arrays of these names of all parts into one file, as RECORDING/NAME.

        Raises:
            UserError: there are more than a file can name.
        """
        found = []
        for recording, path in parts:
            with open(path, "rb") as file:
                start, entries = self._read_header(file)
            found += [(f"{recording}/{name}", path, start, entries[name]) for name in names]
        found.sort(key=lambda each: each[-1]["dtype"], reverse=True)  # F64 before F32, which aligns them all
        header, end = {}, 0
        for name, _, _, entry in found:
            begin, end = end, end + entry["data_offsets"][1] - entry["data_offsets"][0]
            header[name] = {**entry, "data_offsets": [begin, end]}
        self._write_header(target, header)
        for _, path, start, entry in found:
            begin, end = entry["data_offsets"]
            with open(path, "rb") as file:
                file.seek(start + begin)
                for place in range(begin, end, PIECE):
                    target.write(file.read(min(PIECE, end - place)))

    @staticmethod
    def _read_header(file: IO[bytes]) -> tuple[int, dict]:
        """Return where the data begin, and the header."""
        (length,) = struct.unpack("<Q", file.read(8))
        return 8 + length, json.loads(file.read(min(length, LONGEST_HEADER)))

    @staticmethod
    def _write_header(file: IO[bytes], header: Mapping) -> int:
        """Write the header; returns where the data begin."""
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        if len(text) > LONGEST_HEADER:
            raise UserError(f"{len(header)} arrays are more than a .safetensors file can name: use `format` npz")
        return file.write(struct.pack("<Q", len(text)) + text)

    def _entry(self, shape: Shape, entry: Mapping) -> dict:
        offsets = entry.get("data_offsets")
        return {"dtype": self.dtypes[shape.dtype], "shape": list(shape.size), "data_offsets": offsets}


FORMATS: dict[str, FeatureFormat] = {"npy": NumpyFiles(), "npz": NpzFile(), "safetensors": SafetensorsFile()}


def _bytes(rows: np.ndarray, shape: Shape) -> bytes:
    return rows.astype(shape.dtype, copy=False).tobytes()


def _write_header(file: IO[bytes], shape: Shape) -> None:
    header = {"descr": shape.dtype, "fortran_order": False, "shape": shape.size}
    np.lib.format.write_array_header_1_0(file, header)


def _is_whole_array(file: IO[bytes], size: int, shape: Shape) -> bool:
    """Return whether a NumPy file of ``size`` bytes holds an array of this shape, and all of its bytes."""
    try:
        np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0(file)
        return header == (shape.size, False, np.dtype(shape.dtype)) and file.tell() + shape.bytes == size
    except (OSError, ValueError):
        return False
