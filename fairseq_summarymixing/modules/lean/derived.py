"""Keep what is computed of weights alone, where they do not change."""

import contextlib
from typing import Any, Callable, Dict, Iterator, Optional

from torch import nn

_kept: Optional[Dict[nn.Module, Any]] = None


@contextlib.contextmanager
def weights_stay() -> Iterator[None]:
    """Compute what is derived of weights once for each module: inside, no weight may change.

    Nothing else keeps it: trainers change weights in ways that leave no trace (``parameter.data``).
    """
    global _kept
    before = _kept
    if before is None:
        _kept = {}
    try:
        yield
    finally:
        _kept = before


def derived(module: nn.Module, compute: Callable[[], Any]) -> Any:
    """Return compute(), which uses the module's weights alone; inside :func:`weights_stay` what it returned first."""
    if _kept is None:
        return compute()
    if module not in _kept:
        _kept[module] = compute()
    return _kept[module]
