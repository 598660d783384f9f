"""Put checks around fairseq's functions.

fairseq's own tasks and its trainer end with a stack trace at a damaged checkpoint or a missing label. Guarded, they are
called inside checks, which raise a :class:`~fairseq_summarymixing.errors.UserError`; errors that no check knows pass
through unchanged.
"""

import contextlib
import functools
from typing import Any, Callable

from ..errors import UserError
from .exits import exits_in_one_line


def guard(owner: Any, name: str, *checks: Callable) -> None:
    """Replace ``owner.name`` by a function that calls it inside ``checks``: context managers that take its arguments,
    the first outermost."""
    function = getattr(owner, name)

    @functools.wraps(function)
    @exits_in_one_line(UserError)
    def guarded(*args, **kwargs):
        with contextlib.ExitStack() as stack:
            for check in checks:
                stack.enter_context(check(*args, **kwargs))
            return function(*args, **kwargs)

    setattr(owner, name, guarded)
