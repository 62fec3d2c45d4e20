"""Schemas: the API's own dialect (OpenAPI 3.0, types in upper case or numbered, ``nullable``) and JSON Schema.

Contract: ``read_schema`` gives JSON Schema and the dialect in which ``write_schema`` gives the same object back; a schema that
mixes dialects is left as it is.
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
_MANY = frozenset({"anyOf", "any_of", "allOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"properties", "$defs", "defs", "definitions"})


def read_schema(schema: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Give a schema as JSON Schema, and its dialect where that is another one."""
    found = _walk(schema, _to_json_schema)
    if found == schema:
        return schema, None
    for dialect in _SPELLED:
        if write_schema(found, dialect) == schema:
            return found, dialect
    return schema, None


def write_schema(schema: Any, dialect: str | None) -> Any:
    """Write a JSON Schema in a dialect."""
    if dialect is None:
        return schema
    types = _SPELLED[dialect]
    return _walk(schema, lambda one: _to_open_api(one, types))


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
    kind = schema.get("type")
    if not isinstance(kind, str | int) or isinstance(kind, bool):
        return schema
    name = _JSON_TYPES.get(kind, kind)
    if schema.get("nullable") is not True or name == "null":
        return schema if name == kind else {**schema, "type": name}
    return {key: [name, "null"] if key == "type" else value for key, value in schema.items() if key != "nullable"}


def _to_open_api(schema: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return {**schema, "type": types.get(kind, kind)}
    match kind:
        case [str() as name, "null"]:
            return {**schema, "type": types.get(name, name), "nullable": True}
    return schema
