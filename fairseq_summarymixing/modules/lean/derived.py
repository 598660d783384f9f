"""Cache values that depend only on weights, while the weights do not change."""

import contextlib
import threading
from typing import Any, Callable, Dict, Iterator, Optional

from torch import nn


class _Cache(threading.local):
    """The values of each module; None outside :func:`weights_unchanged`. Each thread has its own."""

    values: Optional[Dict[nn.Module, Any]] = None


_cache = _Cache()


@contextlib.contextmanager
def weights_unchanged() -> Iterator[None]:
    """Inside this context, and in this thread, compute what is derived from weights once for each module; no weight may
    change meanwhile.

    Outside, nothing is cached: trainers change weights in ways that leave no trace (``parameter.data``).
    """
    before = _cache.values
    if before is None:
        _cache.values = {}
    try:
        yield
    finally:
        _cache.values = before


def derived(module: nn.Module, compute: Callable[[], Any]) -> Any:
    """Return compute(), which uses only the module's weights; inside :func:`weights_unchanged`, its first result."""
    if _cache.values is None:
        return compute()
    if module not in _cache.values:
        _cache.values[module] = compute()
    return _cache.values[module]
