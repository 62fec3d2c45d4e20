"""Schemas: the API's own dialect (OpenAPI 3.0, types in upper case or numbered, ``nullable``) and JSON Schema.

Contract: ``read_schema`` gives JSON Schema and the dialect in which ``write_schema`` gives the same object back; a schema that
mixes dialects is left as it is. A dialect is named by how it writes types, ``union`` where an ``anyOf`` may be ``nullable``, and
``snake`` where names are in snake_case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")  # numbered from 1
_JSON_TYPES: dict[Any, str] = {name.upper(): name for name in _TYPES} | dict(enumerate(_TYPES, 1))
_SPELLED: dict[str, dict[str, Any]] = {
    "upper": {name: name.upper() for name in _TYPES},
    "number": {name: i for i, name in enumerate(_TYPES, 1)},
    "lower": {name: name for name in _TYPES},
}
_ONE = frozenset({"items", "additionalProperties", "additional_properties", "not"})
_MANY = frozenset({"anyOf", "any_of", "allOf", "oneOf", "prefixItems", "prefix_items"})
_NAMED = frozenset({"properties", "$defs", "defs", "definitions"})
_SNAKE = {
    "additionalProperties": "additional_properties",
    "anyOf": "any_of",
    "maxItems": "max_items",
    "maxLength": "max_length",
    "maxProperties": "max_properties",
    "minItems": "min_items",
    "minLength": "min_length",
    "minProperties": "min_properties",
    "prefixItems": "prefix_items",
    "propertyOrdering": "property_ordering",
}
_CAMEL = {snake: name for name, snake in _SNAKE.items()}
_NULL = {"type": "null"}
_DIALECTS = [f"{types}{union}{snake}" for snake in ("", " snake") for union in ("", " union") for types in _SPELLED]


def read_schema(schema: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Give a schema as JSON Schema, and its dialect where that is another one."""
    found = _walk(schema, _to_json_schema)
    if found == schema:
        return schema, None
    for dialect in _DIALECTS:
        if write_schema(found, dialect) == schema:
            return found, dialect
    return schema, None


def write_schema(schema: Any, dialect: str | None) -> Any:
    """Write a JSON Schema in a dialect."""
    if dialect is None:
        return schema
    types, *options = dialect.split()
    return _walk(schema, lambda one: _to_open_api(one, _SPELLED[types], options))


def _walk(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Rewrite a schema and those within; data in it (defaults, enumerations) is left alone."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for name, value in change(schema).items():
        if name in _ONE:
            out[name] = _walk(value, change)
        elif name in _MANY and isinstance(value, list):
            out[name] = [_walk(item, change) for item in value]
        elif name in _NAMED and isinstance(value, dict):
            out[name] = {key: _walk(item, change) for key, item in value.items()}
        else:
            out[name] = value
    return out


def _to_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema.keys().isdisjoint(_CAMEL):
        schema = {_CAMEL.get(name, name): value for name, value in schema.items()}
    kind, union = schema.get("type"), schema.get("anyOf")
    if kind is None and isinstance(union, list) and schema.get("nullable") is True:
        return {key: [*union, _NULL] if key == "anyOf" else value for key, value in schema.items() if key != "nullable"}
    if not isinstance(kind, str | int) or isinstance(kind, bool):
        return schema
    name = _JSON_TYPES.get(kind, kind)
    if schema.get("nullable") is not True or name == "null":
        return schema if name == kind else {**schema, "type": name}
    return {key: [name, "null"] if key == "type" else value for key, value in schema.items() if key != "nullable"}


def _to_open_api(schema: dict[str, Any], types: dict[str, Any], options: list[str]) -> dict[str, Any]:
    kind, union = schema.get("type"), schema.get("anyOf")
    if "union" in options and kind is None and isinstance(union, list) and union[-1:] == [_NULL]:
        schema = {**schema, "anyOf": union[:-1], "nullable": True}
    if "snake" in options:
        schema = {_SNAKE.get(name, name): value for name, value in schema.items()}
    if isinstance(kind, str):
        return {**schema, "type": types.get(kind, kind)}
    match kind:
        case [str() as name, "null"]:
            return {**schema, "type": types.get(name, name), "nullable": True}
    return schema
