"""Choose splits by a stable hash, the same on every machine, whatever other files exist, or by published lists."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from ..errors import UserError
from .recordings import Recording

SPLITS = ("train", "valid", "test")


def stable_fraction(key: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the text ``key``."""
    # One spelling of accented names: macOS hands out decomposed file names, Linux keeps what was written.
    text = unicodedata.normalize("NFC", key).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") / 2**48


def choose_split(key: str, valid_percent: float, test_percent: float) -> str:
    """Return train, valid or test for one file or speaker. valid_percent moves nothing into or out of test."""
    percent = 100 * stable_fraction(key)
    if percent < test_percent:
        return "test"
    if percent < test_percent + valid_percent:
        return "valid"
    return "train"


def split_percents(
    valid_percent: float | None, test_percent: float | None, split_lists: Collection[str] = ()
) -> dict[str, float | None]:
    """Return the splits to make, with their percents; None for splits of ``split_lists``.

    Args:
        valid_percent, test_percent: None for 1 and 0; what is left to 100 is for training.

    Raises:
        UserError: percents that no corpus can have, or percents and lists.
    """
    if split_lists:
        if valid_percent is not None or test_percent is not None:
            raise UserError("`split_lists` chooses the splits: leave out `valid_percent` and `test_percent`")
        return dict.fromkeys(split_lists)
    valid, test = 1 if valid_percent is None else valid_percent, test_percent or 0
    for name, percent in (("valid", valid), ("test", test)):
        if not 0 <= percent <= 100:
            raise UserError(f"`{name}_percent` must be from 0 to 100; got {percent:g}")
    if valid + test > 100:
        raise UserError(
            "`valid_percent` and `test_percent` must be 100 or less together; "
            f"got {valid:g} + {test:g} = {valid + test:g}"
        )
    percents = {"train": round(100 - valid - test, 9), "valid": valid, "test": test}
    return {split: percent for split, percent in percents.items() if percent > 0}


def assign_by_hash(
    recordings: Mapping[str, Recording], percents: Mapping[str, float], split_by: str
) -> dict[str, list[Recording]]:
    """Return the recordings of each split, by a hash of their path or speaker, sorted by the path in the manifest."""
    splits: dict[str, list[Recording]] = {split: [] for split in percents}
    for recording in sorted(recordings.values(), key=_row_path):
        key = recording.speaker if split_by == "speaker" else recording.path
        splits[choose_split(key, percents.get("valid", 0), percents.get("test", 0))].append(recording)
    return splits


def assign_by_lists(
    recordings: Mapping[str, Recording], members: Mapping[str, Sequence[str]]
) -> dict[str, list[Recording]]:
    """Return the recordings of each list, as often as it names them, sorted by the path in the manifest."""
    return {
        split: sorted((recordings[path] for path in paths if path in recordings), key=_row_path)
        for split, paths in members.items()
    }


def _row_path(recording: Recording) -> str:
    return recording.row.path
