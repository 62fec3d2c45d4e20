"""The strict form of a JSON Schema: what OpenAI's strict mode demands of one, and the other providers take too.

Source: OpenAI, "Structured model outputs", supported schemas: the root is an object, every property is required,
``additionalProperties`` is false, ``anyOf`` is the one way to say "or", a ``$ref`` stands alone, and there are no defaults.
"""

from __future__ import annotations

from typing import Any

from ._shapes import Schema

_FORBIDDEN = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "prefixItems"}
    | {"unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames", "default", "definitions", "$dynamicRef"}
)
_DROPPED = frozenset({"title", "default", "discriminator", "examples"})


def is_strict(schema: Any, *, at_root: bool = True) -> bool:
    """Tell whether a schema keeps the rules of strict mode."""
    if not isinstance(schema, dict) or _FORBIDDEN & schema.keys():
        return False
    if at_root and (schema.get("type") != "object" or "anyOf" in schema):
        return False
    if not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"} or ("$ref" in schema and schema.keys() - {"$ref", "$defs"}):
        return False
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else kind or []
    if "object" in kinds and not _is_closed(schema):
        return False
    if "array" in kinds and "items" not in schema:
        return False
    return all(is_strict(inner, at_root=False) for inner in _within(schema))


def _is_closed(schema: Schema) -> bool:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return (
        schema.get("additionalProperties") is False
        and isinstance(properties, dict)
        and isinstance(required, list)
        and set(properties) == set(required)
    )


def _within(schema: Schema) -> list[Any]:
    """Give the schemas within a schema."""
    found: list[Any] = []
    for name in ("properties", "$defs"):
        inner = schema.get(name)
        found += inner.values() if isinstance(inner, dict) else []
    found += schema["anyOf"] if isinstance(schema.get("anyOf"), list) else []
    return [*found, schema["items"]] if "items" in schema else found


def strict_form(schema: Schema) -> Schema:
    """Give a schema that a library made in the strict form, as far as it can be: what it means is not changed.

    A field that has a default is required of the model all the same; the library would have taken it without.
    """
    out: Schema = {}
    for name, value in schema.items():
        if name in ("properties", "$defs") and isinstance(value, dict):
            out[name] = {key: strict_form(inner) for key, inner in value.items()}
        elif name in ("anyOf", "oneOf") and isinstance(value, list):
            out["anyOf"] = [strict_form(inner) for inner in value]
        elif name in ("allOf", "prefixItems") and isinstance(value, list):
            out[name] = [strict_form(inner) for inner in value]
        elif name in ("items", "additionalProperties") and isinstance(value, dict):
            out[name] = strict_form(value)
        elif name == "const":
            out["enum"] = [value]
        elif name not in _DROPPED:
            out[name] = value
    if len(out.get("allOf", ())) == 1:
        out = {**out.pop("allOf")[0], **out}
    if "properties" in out:
        out.setdefault("additionalProperties", False)
        out["required"] = list(out["properties"])
    elif out.get("type") == "object":
        out.setdefault("additionalProperties", False)
    return _alone(out)


def _alone(schema: Schema) -> Schema:
    """Let a ``$ref`` stand alone, with what was beside it around it."""
    beside = schema.keys() - {"$ref", "$defs"}
    if "$ref" not in schema or not beside:
        return schema
    around = {name: value for name, value in schema.items() if name != "$ref"}
    return {"anyOf": [{"$ref": schema["$ref"]}], **around}
