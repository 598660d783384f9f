"""Check the depth that a configuration gives, before a model of it is built."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UserError

LAYER = re.compile(r"(?:^|\.)encoder\.layers\.(\d{1,9})\.")


def check_layers(path: str | Path, expected: Any, names: Iterable[str]) -> None:
    """Check that a model has as many layers in its configuration as in its file: a million would take hours to build.

    Args:
        path: of the file or directory, for the message.
        expected: layers by the configuration.
        names: of the file's parameters.

    Raises:
        UserError: the numbers differ.
    """
    found = 1 + max((int(layer[1]) for layer in map(LAYER.search, names) if layer), default=-1)
    if expected != found:
        raise UserError(
            f"{path}: the configuration has {expected!r} encoder layers, the parameters are of {found}: one of the two "
            "is damaged or another model's"
        )
