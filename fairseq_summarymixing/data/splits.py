"""Choose splits by a stable hash: the same on every machine, whatever other files exist."""

from __future__ import annotations

import hashlib
import unicodedata

from ..errors import UserError

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


def check_percents(valid_percent: float, test_percent: float) -> None:
    """Raise a UserError unless both are 0 or more and leave something to train on."""
    for name, percent in (("valid", valid_percent), ("test", test_percent)):
        if not 0 <= percent < 100:
            raise UserError(f"`{name}_percent` must be from 0 to below 100; got {percent:g}")
    if valid_percent + test_percent >= 100:
        raise UserError(
            "`valid_percent` and `test_percent` must leave something to train on; "
            f"got {valid_percent:g} + {test_percent:g} = {valid_percent + test_percent:g}, expected below 100"
        )
