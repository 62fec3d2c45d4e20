"""The least value that fits a JSON Schema: the same schema gives the same value.

Rules: ``const``, ``default``, the first of ``enum`` and ``examples`` come first; an object has its required properties only, an
array its ``minItems``; a string is ``"text"``, a number the one nearest to zero that the bounds allow; of alternatives, the first
that is not null and does not lead back to what is being made. A schema that demands itself without an end ends in ``null``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

MAX_DEPTH = 24

_Real = int | float

_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class _Place(NamedTuple):
    """Where an instance is made: in which document, how deep, and within which definitions."""

    root: Any
    depth: int = 0
    within: frozenset[str] = frozenset()

    def deeper(self) -> _Place:
        return self._replace(depth=self.depth + 1)


def least_instance(schema: Any) -> Any:
    """Give the least value that fits the schema; what is no schema fits ``null``."""
    return _instance(schema, _Place(schema))


def _instance(schema: Any, at: _Place) -> Any:
    if not isinstance(schema, Mapping) or at.depth > MAX_DEPTH:
        return None
    if "$ref" in schema:
        reference = schema["$ref"]
        return _instance(_resolved(reference, at.root), at.deeper()._replace(within=at.within | {str(reference)}))
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    for name in ("enum", "examples"):
        if isinstance(schema.get(name), list) and schema[name]:
            return schema[name][0]
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            return _instance(_first(schema[name], at), at.deeper())
    if isinstance(schema.get("allOf"), list):
        return _instance(_merged(schema, at.root), at.deeper())
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, at)
    if kind == "array":
        return _array(schema, at)
    make = _SCALARS.get(kind)
    return None if make is None else make(schema)


def _first(options: list[Any], at: _Place) -> Any:
    ends = [option for option in options if not (isinstance(option, Mapping) and option.get("$ref") in at.within)]
    return next(
        (option for option in ends if not (isinstance(option, Mapping) and option.get("type") == "null")), (ends or options)[0]
    )


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()  # Gemini writes the types in capitals
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema else "null"


def _resolved(reference: Any, root: Any) -> Any:
    """Give what a reference inside the document points to, or ``None``."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for name in reference[1:].split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def _merged(schema: Mapping[str, Any], root: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema["allOf"]:
        found = _resolved(part["$ref"], root) if isinstance(part, Mapping) and "$ref" in part else part
        for name, value in found.items() if isinstance(found, Mapping) else ():
            known = merged.get(name)
            if isinstance(known, Mapping) and isinstance(value, Mapping):
                merged[name] = {**known, **value}
            elif isinstance(known, list) and isinstance(value, list):
                merged[name] = [*known, *value]
            else:
                merged[name] = value
    return merged


def _object(schema: Mapping[str, Any], at: _Place) -> dict[str, Any]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return {name: _instance(properties.get(name), at.deeper()) for name in names}


def _array(schema: Mapping[str, Any], at: _Place) -> list[Any]:
    first = schema.get("prefixItems")
    items = list(first) if isinstance(first, list) else []
    least = schema.get("minItems")
    items += [schema.get("items")] * (min(_whole(least), 100) - len(items))
    return [_instance(item, at.deeper()) for item in items]


def _string(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "text")
    text = text.ljust(min(_whole(schema.get("minLength")), 10_000), "x")
    longest = schema.get("maxLength")
    return text[: _whole(longest)] if longest is not None else text


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _integer(schema: Mapping[str, Any]) -> int:
    step = schema.get("multipleOf")
    step = step if isinstance(step, int) and step > 0 else 1
    low = _bound(schema, "minimum", "exclusiveMinimum", lambda value: math.floor(value) + 1)
    high = _bound(schema, "maximum", "exclusiveMaximum", lambda value: math.ceil(value) - 1)
    if low is not None and low > 0:
        return math.ceil(low / step) * step
    return math.floor(high / step) * step if high is not None and high < 0 else 0


def _number(schema: Mapping[str, Any]) -> int | float:
    low = _bound(schema, "minimum", "exclusiveMinimum", lambda value: value + 1)
    high = _bound(schema, "maximum", "exclusiveMaximum", lambda value: value - 1)
    if low is not None and high is not None and low > high:
        return (low + high) / 2  # both exclusive and less than 2 apart
    if low is not None and low > 0:
        return low
    return high if high is not None and high < 0 else 0


def _bound(schema: Mapping[str, Any], name: str, exclusive: str, beyond: Callable[[_Real], _Real]) -> _Real | None:
    for key in (name, exclusive):
        value = schema.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if key == name else beyond(value)
    return None


_SCALARS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _: False,
}
