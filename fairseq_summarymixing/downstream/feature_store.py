"""One file of the features of all recordings, gathered of a file for each once all are computed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import UserError, printable
from ..files import atomic_write
from ..json_files import are_texts, check_fields, is_number, is_text, read_json
from .feature_files import FeatureFiles
from .feature_formats import FORMATS
from .inputs import ReportFailure
from .progress import warn

RECORD = {
    "arrays": are_texts,
    "recordings": lambda value: isinstance(value, dict),
    "left_out": lambda value: isinstance(value, dict) and all(map(is_text, value.values())),
    "bytes": is_number,
}
"""What OUT.npz.json holds."""


class FeatureStore:
    """The file OUT.npz or OUT.safetensors, which holds NAME/layer-K and NAME/times of each recording.

    Until all are computed they are files below OUT.npz.unfinished, from which an interrupted run goes on, so that
    both need room on the disk for a while. OUT.npz.json records what the arrays were made of.
    """

    def __init__(self, path: Path, format: str):
        self.path, self.format = path, FORMATS[format]
        self.parts = path.with_name(f"{path.name}.unfinished")
        self.origin = path.with_name(f"{path.name}.json")

    def is_there(self, made_of: Mapping[str, Any], wanted: Sequence[str], report: ReportFailure) -> bool:
        """Return whether the file holds these arrays of these recordings; what could not be used then is reported.

        Args:
            made_of: what the arrays of each recording are made of, by its name.

        Raises:
            UserError: it holds something else, or nobody knows what.
        """
        if not self.path.exists():
            return False
        try:
            found = read_json(self.origin)
            check_fields(self.origin, found, RECORD, "")
        except UserError:
            raise self._refusal(f"{self.origin.name} does not record of what it was made") from None
        if found.get("recordings") != made_of or found.get("arrays") != list(wanted):
            raise self._refusal("it was made of other recordings, layers or settings, or of another checkpoint")
        if self.path.stat().st_size != found.get("bytes"):
            warn(f"{self.path} is damaged, and written again")
            return False
        for path, reason in found["left_out"].items():
            report(path, reason)
        shutil.rmtree(self.parts, ignore_errors=True)
        return True

    def _refusal(self, reason: str) -> UserError:
        return UserError(
            f"{self.path} is there, and {reason}; it stays as it is: name another file, or remove it and "
            f"{self.origin.name}"
        )

    def gather(self, files: Sequence[FeatureFiles], wanted: Sequence[str], left_out: Mapping[str, str]) -> None:
        """Write the arrays of all recordings that have some, whole or not at all, and remove the files they are in.

        Args:
            left_out: why recordings have none, by their paths.
        """
        parts = {printable(each.name): self.format.path(each.base, "") for each in files if each.are_begun()}
        parts = {name: path for name, path in parts.items() if path.exists()}
        if parts:
            record = {"arrays": list(wanted), "recordings": {each.name: each.made_of for each in files}}
            with atomic_write(self.path, "wb") as file, atomic_write(self.origin) as origin:
                self.format.join(tqdm(parts.items(), "gathering", disable=None), wanted, file)
                json.dump({**record, "left_out": left_out, "bytes": file.seek(0, 2)}, origin, indent=2)
        shutil.rmtree(self.parts, ignore_errors=True)


def store_of(out: str | Path, format: str) -> FeatureStore | None:
    """Return the file of all recordings that ``out`` names by the format's ending; None for a folder.

    Raises:
        UserError: the ending is another format's, or that of NumPy files, which hold one array each.
    """
    ending = "" if Path(out).is_dir() else Path(out).suffix[1:]
    if ending not in FORMATS:
        return None
    if ending != format:
        raise UserError(f"`out` {out} has the ending of another format than `format` {format}")
    if not FORMATS[format].is_one_file:
        raise UserError(f"`out` {out}: one .npy file holds one array; name a folder, or `format` npz or safetensors")
    return FeatureStore(Path(out), format)
