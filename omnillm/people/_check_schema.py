"""A JSON value held against a JSON Schema that a caller gave.

Contract: what is checked is ``type``, ``enum``, ``const``, ``properties``, ``required``, ``additionalProperties``, ``items``,
``prefixItems``, ``anyOf``, ``oneOf``, ``allOf``, ``$ref`` within the schema, the bounds of numbers, and the lengths of strings
(with ``pattern``), arrays and objects. Every other keyword is for the model alone: it is not checked. As in JSON Schema ``7.0``
is an integer; ``true`` is none.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ConfigurationError, InvalidShapeError, MissingFieldError, ProtocolError
from ..types._model import escape
from ._shapes import SPOKEN, unexpected

_Bound = int | float

MAX_REFERENCES = 50  # to one another, without a step into the value
FREE_STEPS, STEPS_A_VALUE = 20_000, 100  # alternatives within alternatives cost a power of the depth, which the answer decides


class _TooMuch(Exception):  # noqa: N818  # none that leaves the module
    """Raised where the work is more than a value of its size is worth."""


class Checker:
    """Hold values against one schema; raises ``ConfigurationError`` where that refers to what is not in it."""

    def __init__(self, schema: Any) -> None:
        self._root = schema
        self._left = 0  # steps
        for reference in _references(schema):
            self._resolve(reference)

    def check(self, value: Any) -> None:
        """Raise ``MissingFieldError`` or ``InvalidShapeError``, with its pointer, where the value does not fit."""
        mine = copy.copy(self)  # threads share a checker, and each counts for itself
        mine._left = FREE_STEPS + STEPS_A_VALUE * _size(value)
        try:
            mine._check(self._root, value, "", 0)
        except (_TooMuch, RecursionError):
            raise InvalidShapeError("nested too deep within the alternatives of the schema") from None

    def _check(self, schema: Any, value: Any, at: str, hops: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooMuch
        if schema is False:
            raise InvalidShapeError("nothing is allowed here", pointer=at)
        if not isinstance(schema, dict):
            return
        reference = schema.get("$ref")
        if isinstance(reference, str) and hops < MAX_REFERENCES:
            self._check(self._resolve(reference), value, at, hops + 1)
        _check_type(schema, value, at)
        _check_choice(schema, value, at)
        for name, check in _OF_A_KIND.get(type(value), {}).items():
            if name in schema:
                check(schema[name], value, at)
        if isinstance(value, dict):
            self._object(schema, value, at)
        elif isinstance(value, list):
            self._array(schema, value, at)
        self._combined(schema, value, at, hops)

    def _object(self, schema: dict[str, Any], value: dict[str, Any], at: str) -> None:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        others = schema.get("additionalProperties", True)
        others = True if "patternProperties" in schema else others
        for name, inner in value.items():
            place = f"{at}/{escape(name)}"
            if name not in properties and others is False:
                raise InvalidShapeError(f"there is no field {name!r:.80} in the schema", pointer=place)
            self._check(properties.get(name, others), inner, place, 0)

    def _array(self, schema: dict[str, Any], value: list[Any], at: str) -> None:
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        for i, inner in enumerate(value):
            self._check(first[i] if i < len(first) else schema.get("items"), inner, f"{at}/{i}", 0)

    def _combined(self, schema: dict[str, Any], value: Any, at: str, hops: int) -> None:
        for part in _listed(schema, "allOf"):
            self._check(part, value, at, hops + 1)
        for name in ("anyOf", "oneOf"):
            options = _listed(schema, name)
            refusals = [self._refusal(option, value, at, hops) for option in options]
            if options and None not in refusals:
                raise self._nearest(refusals, at)
            if name == "oneOf" and refusals.count(None) > 1:
                raise InvalidShapeError("fits more than one of oneOf", pointer=at)

    def _refusal(self, schema: Any, value: Any, at: str, hops: int) -> ProtocolError | None:
        if hops >= MAX_REFERENCES:
            return None
        try:
            self._check(schema, value, at, hops + 1)
        except ProtocolError as error:
            return error
        return None

    @staticmethod
    def _nearest(refusals: list[ProtocolError | None], at: str) -> ProtocolError:
        """Give the refusal that went furthest into the value: it is most likely what was meant."""
        found = [refusal for refusal in refusals if refusal is not None]
        deepest = max(found, key=lambda refusal: refusal.pointer.count("/"))
        if len(found) == 1 or deepest.pointer != at:
            return deepest
        return InvalidShapeError(f"fits none of the alternatives: {'; '.join(error.message for error in found[:4])}", pointer=at)

    def _resolve(self, reference: str) -> Any:
        found, steps = self._root, reference.split("/")
        known = steps[0] == "#"
        for step in steps[1:]:
            name: Any = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                name = int(name)
            elif not isinstance(found, dict) or name not in found:
                known = False
                break
            found = found[name]
        if not known:
            raise ConfigurationError(f"into: the schema has nothing at $ref {reference!r:.80}", field="into")
        return found


def _size(value: Any) -> int:
    """Count the values that a JSON value is made of."""
    count, ahead = 0, [value]
    while ahead:
        one = ahead.pop()
        count += 1
        if isinstance(one, dict):
            ahead.extend(one.values())
        elif isinstance(one, list):
            ahead.extend(one)
    return count


def _references(schema: Any) -> Iterator[str]:
    """Give every reference of a schema, data within it left out."""
    if isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for name, inner in schema.items():
            if name not in ("enum", "const", "default", "examples"):
                yield from _references(inner)


def _listed(schema: dict[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


# --- single keywords ----------------------------------------------------------------------------------------------------------


def _is(value: Any, kind: Any) -> bool:
    if kind == "integer":
        return type(value) is int or (type(value) is float and value.is_integer())
    return type(value) in _TYPES.get(kind, ())


_TYPES: dict[Any, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def _check_type(schema: dict[str, Any], value: Any, at: str) -> None:
    kind = schema.get("type")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str) and one in SPOKEN]
    if kinds and not any(_is(value, one) for one in kinds):
        error = unexpected(" or ".join(SPOKEN[one] for one in kinds), value)
        error.pointer = at
        raise error


def _check_choice(schema: dict[str, Any], value: Any, at: str) -> None:
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(choices, list) and not any(_equal(value, choice) for choice in choices):
        error = unexpected(repr(choices[0]) if len(choices) == 1 else f"one of {choices!r:.200}", value)
        error.pointer = at
        raise error


def _equal(one: Any, other: Any) -> bool:
    """Compare JSON values: 1 is 1.0, and true is no 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _require(names: Any, value: dict[str, Any], at: str) -> None:
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name not in value:
            raise MissingFieldError(f"the schema requires {name!r}", pointer=f"{at}/{escape(name)}")


def _limit(fits: Callable[[_Bound, _Bound], bool], words: str, *, size: bool = False) -> Callable[[Any, Any, str], None]:
    def check(bound: Any, value: Any, at: str) -> None:
        measured = len(value) if size else value
        if type(bound) in (int, float) and not fits(measured, bound):
            raise InvalidShapeError(f"expected {words} {bound}, got {measured}", pointer=at)

    return check


def _at_least(words: str, *, size: bool = False) -> Callable[[Any, Any, str], None]:
    return _limit(lambda value, bound: value >= bound, words, size=size)


def _at_most(words: str, *, size: bool = False) -> Callable[[Any, Any, str], None]:
    return _limit(lambda value, bound: value <= bound, words, size=size)


def _check_pattern(pattern: Any, value: str, at: str) -> None:
    try:
        fits = not isinstance(pattern, str) or re.search(pattern, value) is not None
    except re.error:
        return  # of another dialect than Python's
    if not fits:
        raise InvalidShapeError(f"expected a string that matches {pattern!r:.80}, got {value!r:.80}", pointer=at)


_NUMBER = {
    "minimum": _at_least("at least"),
    "maximum": _at_most("at most"),
    "exclusiveMinimum": _limit(lambda value, bound: value > bound, "more than"),
    "exclusiveMaximum": _limit(lambda value, bound: value < bound, "less than"),
}
_OF_A_KIND: dict[type, dict[str, Callable[[Any, Any, str], None]]] = {
    int: _NUMBER,
    float: _NUMBER,
    str: {
        "minLength": _at_least("a length of at least", size=True),
        "maxLength": _at_most("a length of at most", size=True),
        "pattern": _check_pattern,
    },
    list: {
        "minItems": _at_least("a number of items of at least", size=True),
        "maxItems": _at_most("a number of items of at most", size=True),
    },
    dict: {
        "required": _require,
        "minProperties": _at_least("a number of fields of at least", size=True),
        "maxProperties": _at_most("a number of fields of at most", size=True),
    },
}
