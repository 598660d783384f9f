"""Keep values that depend only on weights, while the weights do not change."""

import contextlib
import threading
from typing import Any, Callable, Dict, Iterator, Optional

from torch import nn


class _OfThisThread(threading.local):
    kept: Optional[Dict[nn.Module, Any]] = None


_here = _OfThisThread()


@contextlib.contextmanager
def weights_stay() -> Iterator[None]:
    """Inside this context, compute what is derived from weights once for each module; no weight may change meanwhile.

    It holds for this thread. Outside, nothing is kept: trainers change weights in ways that leave no trace
    (``parameter.data``).
    """
    before = _here.kept
    if before is None:
        _here.kept = {}
    try:
        yield
    finally:
        _here.kept = before


def derived(module: nn.Module, compute: Callable[[], Any]) -> Any:
    """Return compute(), which uses only the module's weights; inside :func:`weights_stay`, its first result."""
    if _here.kept is None:
        return compute()
    if module not in _here.kept:
        _here.kept[module] = compute()
    return _here.kept[module]
