"""Describe the type of a configuration's field for people, and check values by it."""

from enum import Enum
from typing import Any, Union

IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", dict: "an object, {...}"}


def in_words(kind: Any) -> str:
    """Describe a field's type for people."""
    if getattr(kind, "__origin__", None) is Union:
        kinds = [in_words(each) for each in kind.__args__ if each is not type(None)]
        return " or ".join(kinds) + " or null" * (type(None) in kind.__args__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(each.value) for each in kind)}"
    inner = getattr(kind, "__args__", None)
    return IN_WORDS.get(kind) or (f"a list, each {in_words(inner[0])}" if inner else "of another kind")


def is_of_kind(value: Any, kind: Any) -> bool:
    """Return whether a value, as JSON has it, is of a field's type. A whole number is a number, and a list a tuple."""
    origin, inner = getattr(kind, "__origin__", None), getattr(kind, "__args__", ())
    if origin is Union:
        return any(is_of_kind(value, each) for each in inner)
    if origin in (list, tuple):
        is_list = isinstance(value, (list, tuple)) and (origin is list or len(value) == len(inner))
        return is_list and all(is_of_kind(each, inner[0]) for each in value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return isinstance(value, str) and value in [str(each.value) for each in kind]
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
