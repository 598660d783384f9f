"""Read JSON files as any program writes them, and check what they hold."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Union

from .errors import UserError, one_line
from .text_files import read_text

Check = Callable[[Any], bool]
"""Returns whether a value is of the right kind."""


def read_json(path: Union[str, Path]) -> Dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        UserError: as :func:`.text_files.read_text`, or it holds no JSON, or no object.
    """
    try:
        content = json.loads(read_text(path))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {one_line(error)}; copy or save it again") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds a {type(content).__name__}, not an object of JSON, {{...}}; copy or save it again"
        )
    return content


def check_fields(path: Union[str, Path], content: Mapping[str, Any], fields: Mapping[str, Check], remedy: str) -> None:
    """Raise a UserError that names the first of the fields that is missing or not of the right kind.

    Args:
        remedy: what to do then.
    """
    for name, is_right in fields.items():
        if name not in content or not is_right(content[name]):
            raise UserError(f"{path}: {name} is {'not of the right kind' if name in content else 'missing'}; {remedy}")


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return which of the expected values are others, such as "minutes is 2.0 there, 1.0 here"."""
    other = [name for name in expected if name not in found or found[name] != expected[name]]
    listed = [f"{name} is {json.dumps(found.get(name))} there, {json.dumps(expected[name])} here" for name in other]
    return "; ".join(listed) or "there are more of them"


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """Return whether it is a number below 1e30 in size: beyond, and with NaN, it is nothing that was measured."""
    return isinstance(value, (int, float)) and abs(value) < 1e30


def is_list_of(is_right: Check) -> Check:
    """Return a check of lists, for one of their elements."""
    return lambda value: isinstance(value, list) and all(map(is_right, value))


are_texts = is_list_of(is_text)
