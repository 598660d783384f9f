"""Say in a line which parameters do not fit a model, from what torch lists in many."""

import re

from ..errors import UserError, first_of, one_line

SIZES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[(.*?)\]\) .*? torch\.Size\(\[(.*?)\]\)"
)
NAMES = re.compile(r"(Missing|Unexpected) key\(s\) in state_dict: (.*?)\. *$", re.MULTILINE)
KINDS = {"Missing": "is missing", "Unexpected": "is not of this model"}


class Misfit(UserError):
    """An error: parameters are of another model than the one that loads them. Callers that know the file name it."""


def misfit(error: BaseException) -> str:
    """Summarise in one line an error of loading parameters: of torch's list the first few, and how many there are.

    Of any other error it is the first line, of a :class:`Misfit` the whole message.
    """
    text = str(error)
    if isinstance(error, Misfit):
        return text
    found = [f"{name.strip()[1:-1]} {KINDS[kind]}" for kind, names in NAMES.findall(text) for name in names.split(",")]
    found += [f"{name} is ({there}), here ({here})" for name, there, here in SIZES.findall(text)]
    return first_of(found, "; ") if found else one_line(error)
