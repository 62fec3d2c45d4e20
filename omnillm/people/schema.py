"""The JSON Schema of a type hint, in the form that every provider's strict mode takes where the type allows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ._hints import shape_of
from ._shapes import DEFS, Defs, Member, Schema, object_schema

_NO_WORDS: Mapping[str, str] = {}


def schema_of(hint: Any) -> Schema:
    """Give the JSON Schema of a type; raises ``ConfigurationError``, naming the field, for what has no form in JSON.

    Every property is required and no other is allowed: a default is what a value read without the field has, ``T | None``
    what the model may leave open. Classes within are defined once, under ``$defs``.
    """
    defs = Defs()
    schema = shape_of(hint).schema(defs)
    if schema.keys() == {"$ref"}:  # the root stands where it is, and among the definitions where it holds itself
        name = schema["$ref"].removeprefix(DEFS)
        schema = defs.schemas[name]
        if not _refers(defs.schemas, name):
            del defs.schemas[name]
    return {**schema, "$defs": defs.schemas} if defs.schemas else schema


def fields_schema(
    hints: Mapping[str, Any], *, descriptions: Mapping[str, str] = _NO_WORDS, defaults: Collection[str] = ()
) -> Schema:
    """Give the JSON Schema of an object with these fields, a function's parameters, say; ``defaults`` may be absent."""
    defs = Defs()
    members = {name: Member(shape_of(hint, at=name), text=descriptions.get(name)) for name, hint in hints.items()}
    schema = object_schema(members, [name for name in members if name not in defaults], defs)
    return {**schema, "$defs": defs.schemas} if defs.schemas else schema


def _refers(value: Any, name: str) -> bool:
    """Tell whether there is a reference to the definition."""
    if isinstance(value, dict):
        return value.get("$ref") == DEFS + name or any(_refers(inner, name) for inner in value.values())
    return isinstance(value, list) and any(_refers(inner, name) for inner in value)
