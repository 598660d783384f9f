"""How the scripts in manifests/ end."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..errors import UserError


def exit_status(work: Callable[[], None]) -> int:
    """Run ``work``. Returns 0, 1 after a user's mistake (one line on stderr), 130 after Ctrl-C."""
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing half written was left, run the same command again", file=sys.stderr)
        return 130
    return 0
