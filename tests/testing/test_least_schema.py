"""The least value that fits a JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm.testing._schema import least_instance

NODE = {
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "required": ["next"]}},
    "$ref": "#/$defs/Node",
}

CASES: list[tuple[str, Any, Any]] = [
    ("string", {"type": "string"}, "text"),
    ("string too short", {"type": "string", "minLength": 6}, "textxx"),
    ("string too long", {"type": "string", "maxLength": 2}, "te"),
    ("empty string", {"type": "string", "maxLength": 0}, ""),
    ("format", {"type": "string", "format": "date"}, "2024-01-01"),
    ("unknown format", {"type": "string", "format": "odd"}, "text"),
    ("integer", {"type": "integer"}, 0),
    ("integer from", {"type": "integer", "minimum": 3}, 3),
    ("integer above", {"type": "integer", "exclusiveMinimum": 3}, 4),
    ("integer below", {"type": "integer", "exclusiveMaximum": -2}, -3),
    ("integer step", {"type": "integer", "minimum": 4, "multipleOf": 5}, 5),
    ("integer from a fraction", {"type": "integer", "minimum": 1.5}, 2),
    ("number", {"type": "number"}, 0),
    ("number from", {"type": "number", "minimum": 0.5}, 0.5),
    ("number to", {"type": "number", "maximum": -0.5}, -0.5),
    ("number between", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ("boolean", {"type": "boolean"}, False),
    ("null", {"type": "null"}, None),
    ("const", {"const": {"a": 1}}, {"a": 1}),
    ("default", {"type": "integer", "default": 7}, 7),
    ("enum", {"enum": ["red", "blue"]}, "red"),
    ("example", {"type": "string", "examples": ["Rome"]}, "Rome"),
    ("required only", {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "text"}),
    ("no type but properties", {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 0}),
    ("array", {"type": "array", "items": {"type": "integer"}}, []),
    ("array of two", {"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
    ("tuple", {"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}]}, ["text", False]),
    ("no type but items", {"items": {"type": "integer"}, "minItems": 1}, [0]),
    ("optional", {"anyOf": [{"type": "null"}, {"type": "integer"}]}, 0),
    ("one of", {"oneOf": [{"type": "boolean"}, {"type": "integer"}]}, False),
    ("ends", {**NODE, "$defs": {"Node": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}, None),
    (
        "recursive",
        {
            "type": "object",
            "properties": {"kids": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "integer"}]}},
            "required": ["kids"],
            "$defs": {
                "Tree": {
                    "type": "object",
                    "properties": {"kids": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "integer"}]}},
                    "required": ["kids"],
                }
            },
        },
        {"kids": {"kids": 0}},
    ),
    ("type list", {"type": ["null", "string"]}, "text"),
    ("capitals", {"type": "STRING"}, "text"),
    (
        "all of",
        {
            "$defs": {"B": {"properties": {"b": {"type": "integer"}}, "required": ["b"]}},
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                {"$ref": "#/$defs/B"},
                True,
            ],
        },
        {"a": "text", "b": 0},
    ),
    ("reference", {"$defs": {"A/B": {"type": "integer"}}, "$ref": "#/$defs/A~1B"}, 0),
    ("reference to nowhere", {"$ref": "#/$defs/Gone"}, None),
    ("foreign reference", {"$ref": "https://example.com/schema"}, None),
    ("anything", {}, None),
    ("no schema", True, None),
]


@pytest.mark.parametrize(("schema", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_least_value(schema: Any, expected: Any) -> None:
    """The least value of a schema is the one in the table, of the same JSON type."""
    assert json.dumps(least_instance(schema)) == json.dumps(expected)


def test_endless_schema_ends() -> None:
    """A schema that demands itself gives a finite value."""
    assert '"next": null' in json.dumps(least_instance(NODE))


KEYWORDS = ["type", "items", "properties", "required", "anyOf", "allOf", "enum", "minItems", "minLength", "maxLength", "minimum",
            "maximum", "multipleOf", "$ref", "default", "format", "prefixItems"]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 50)
    | st.sampled_from(["object", "array", "integer", "number", "string", "#", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_taken(schema: Any) -> None:
    """Whatever stands where a schema should, the outcome is a JSON value, and the same one again."""
    assert json.dumps(least_instance(schema)) == json.dumps(least_instance(schema))
