"""Whether fairseq builds a model for a new training run, or for a checkpoint that it reads."""

import contextlib
from typing import Iterator

_reading = False


@contextlib.contextmanager
def reading_checkpoint(reading: bool = True) -> Iterator[None]:
    """Inside, models are built as a checkpoint's configuration says, whatever a recipe may not say any more."""
    global _reading
    before, _reading = _reading, reading
    try:
        yield
    finally:
        _reading = before


def reads_checkpoint() -> bool:
    return _reading
