"""Refusing what a caller gave: one form of words for a value of the wrong type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar, get_args

from ..errors import ConfigurationError


def wrong_type(field: str, expected: str, value: object) -> ConfigurationError:
    """Give the error that names the field, says what it takes and what it was given; never the value, which may be a key."""
    return ConfigurationError(f"{field}: expected {expected}, got {type(value).__name__}", field=field)


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Kinds = Mapping[str, tuple[tuple[type, ...], str]]  # of each field: its types, and how they are spoken of

TEXT = ((str,), "a string")
MAYBE_TEXT = ((str, NoneType), "a string or None")
MAYBE_INTEGER = ((int, NoneType), "an integer or None")
FLAG = ((bool,), "True or False")
MAYBE_FLAG = ((bool, NoneType), "True, False or None")
MAYBE_NUMBER = ((int, float, NoneType), "a number or None")
MAPPING = ((dict, Mapping), "a mapping")  # isinstance asks dict first, and Mapping is slow to answer


def check_types(value: object, kinds: Kinds) -> None:
    """Raise ``ConfigurationError`` where a field of the value is of none of its types; a bool is no integer."""
    for name, (types, expected) in kinds.items():
        given = getattr(value, name)
        if given.__class__ not in types and (given.__class__ is bool or not isinstance(given, types)):
            raise wrong_type(name, expected, given)


def checker(kinds: Kinds) -> Callable[[object], None]:
    """Give what checks the types of a class's fields; values whose fields are of types that passed before pass at once."""
    fields: Callable[[object], tuple[object, ...]] = attrgetter(*kinds)
    exact = frozenset(kind for types, _ in kinds.values() for kind in types)
    passed: set[tuple[type, ...]] = set()  # as many as there are ways to fill the fields with the types that are named

    def check(value: object) -> None:
        types = tuple(map(type, fields(value)))
        if types not in passed:
            check_types(value, kinds)
            if exact.issuperset(types):  # not what a caller derived from them
                passed.add(types)

    return check


def check_choice(value: object, choices: Any, name: str) -> None:
    """Raise ``ConfigurationError`` unless the value is one of the literal's."""
    if value not in get_args(choices):
        raise ConfigurationError(f"{name}: expected one of {', '.join(get_args(choices))}, got {value!r:.80}", field=name)


def member(value: Any, kind: type[E], name: str) -> E:
    """Give the member of an enum that a value is, or names; raises ``ConfigurationError`` where it is none."""
    try:
        return kind(value)
    except ValueError:
        raise ConfigurationError(f"{name}: expected one of {', '.join(kind)}, got {value!r:.80}", field=name) from None


def put(value: object, name: str, new: object) -> None:
    """Hold another value in a field of a frozen one that is being made."""
    object.__setattr__(value, name, new)


def _nothing(_: Any) -> None:
    return None


def each_of(
    value: Any,
    name: str,
    kind: type[T] | tuple[type[T], ...],
    read: Callable[[Any], T | None] = _nothing,
    expected: str = "",
    *,
    lone: bool = False,
) -> tuple[T, ...]:
    """Give the items as a tuple of their kind; ``read`` makes one of its short forms, or ``None`` where it is none."""
    if lone and (isinstance(value, (str, kind)) or read(value) is not None):
        value = (value,)
    if value is None or isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise wrong_type(name, expected, value)
    items = []
    for i, item in enumerate(value):
        made = item if isinstance(item, kind) else read(item)
        if made is None:
            raise wrong_type(f"{name}[{i}]", expected, item)
        items.append(made)
    return tuple(items)
