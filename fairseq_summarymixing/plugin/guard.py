"""Put checks around fairseq's functions.

fairseq's own tasks and its trainer answer a damaged checkpoint or a missing label with a stack trace. Guarded, they are
called inside a check, which raises a :class:`~fairseq_summarymixing.errors.UserError`; what no check knows passes
through as it is.
"""

import contextlib
import functools
from typing import Any, Callable

from ..errors import UserError, exits_in_one_line


def guard(owner: Any, name: str, *checks: Callable) -> None:
    """Let ``owner.name`` be called inside checks: context managers that take its arguments, the first outermost."""
    function = getattr(owner, name)

    @functools.wraps(function)
    @exits_in_one_line(UserError)
    def guarded(*args, **kwargs):
        with contextlib.ExitStack() as stack:
            for check in checks:
                stack.enter_context(check(*args, **kwargs))
            return function(*args, **kwargs)

    setattr(owner, name, guarded)
