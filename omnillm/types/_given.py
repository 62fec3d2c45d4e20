"""Refusing what a caller gave: one form of words for a value of the wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType

from ..errors import ConfigurationError


def wrong_type(field: str, expected: str, value: object) -> ConfigurationError:
    """Give the error that names the field, says what it takes and what it was given; never the value, which may be a key."""
    return ConfigurationError(f"{field}: expected {expected}, got {type(value).__name__}", field=field)


Kinds = Mapping[str, tuple[tuple[type, ...], str]]  # of each field: its types, and how they are spoken of

TEXT = ((str,), "a string")
MAYBE_TEXT = ((str, NoneType), "a string or None")
MAYBE_INTEGER = ((int, NoneType), "an integer or None")
FLAG = ((bool,), "True or False")
MAYBE_FLAG = ((bool, NoneType), "True, False or None")


def check_types(value: object, kinds: Kinds) -> None:
    """Raise ``ConfigurationError`` where a field of the value is of none of its types; a bool is no integer."""
    for name, (types, expected) in kinds.items():
        given = getattr(value, name)
        if given.__class__ not in types and (given.__class__ is bool or not isinstance(given, types)):
            raise wrong_type(name, expected, given)
