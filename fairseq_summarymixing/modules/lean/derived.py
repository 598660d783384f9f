"""Keep what is computed of weights alone, where they do not change."""

import contextlib
import threading
from typing import Any, Callable, Dict, Iterator, Optional

from torch import nn


class _OfThisThread(threading.local):
    kept: Optional[Dict[nn.Module, Any]] = None


_here = _OfThisThread()


@contextlib.contextmanager
def weights_stay() -> Iterator[None]:
    """Compute what is derived of weights once for each module: inside, in this thread, no weight may change.

    Nothing else keeps it: trainers change weights in ways that leave no trace (``parameter.data``).
    """
    before = _here.kept
    if before is None:
        _here.kept = {}
    try:
        yield
    finally:
        _here.kept = before


def derived(module: nn.Module, compute: Callable[[], Any]) -> Any:
    """Return compute(), which uses the module's weights alone; inside :func:`weights_stay` what it returned first."""
    if _here.kept is None:
        return compute()
    if module not in _here.kept:
        _here.kept[module] = compute()
    return _here.kept[module]
