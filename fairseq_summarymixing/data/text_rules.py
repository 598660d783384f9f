"""Write transcripts by the rules of a benchmark: one case, a set of characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from ..errors import UserError
from .transcripts import clean

CASES = {"upper": str.upper, "lower": str.lower}
APOSTROPHES = "\u2019\u02bc"  # of typesetters and of keyboards; where "'" is kept, they count as "'"


def text_rules(case: str | None = None, keep_characters: str | None = None) -> Callable[[str], str]:
    """Make a function that writes a transcript as a benchmark does.

    Args:
        case: "upper" or "lower"; None leaves letters as they are.
        keep_characters: after the change of case, every other character becomes a space. As inside the brackets of a
            regular expression: "A-Z'", "a-zñü". None keeps all.

    Raises:
        UserError: another case, or characters that are no set.
    """
    if case is not None and case not in CASES:
        raise UserError(f"`case` must be upper or lower; got {case!r}")
    dropped, change = _others(keep_characters), CASES.get(case, str)
    is_curly = keep_characters is not None and not dropped.match("'")

    def rules(text: str) -> str:
        text = unicodedata.normalize("NFC", change(text))
        if is_curly:
            text = re.sub(f"[{APOSTROPHES}]", lambda found: "'" if dropped.match(found[0]) else found[0], text)
        return clean(dropped.sub(" ", text) if keep_characters is not None else text)

    return rules


def _others(characters: str | None) -> re.Pattern:
    """Return a pattern of the characters that are not kept."""
    try:
        return re.compile(f"[^{unicodedata.normalize('NFC', characters or '')} ]")
    except re.error as error:
        raise UserError(
            f'`keep_characters` {characters!r} is no set of characters ({error}); expected such as "A-Z\'"'
        ) from error
