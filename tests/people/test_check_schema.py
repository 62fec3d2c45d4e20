"""Values held against a JSON Schema that a caller gave."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from strategies import json_values

from omnillm.errors import ConfigurationError, InvalidShapeError, MissingFieldError, ProtocolError
from omnillm.people._check_schema import Checker

TREE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["value"],
    "additionalProperties": False,
}
LOOP = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}

FITS: list[tuple[Any, Any]] = [
    ({}, {"a": [1]}),
    (True, None),
    ({"type": "string"}, "x"),
    ({"type": ["string", "null"]}, None),
    ({"type": "integer"}, 7),
    ({"type": "integer"}, 7.0),
    ({"type": "number"}, 7),
    ({"type": "whatever"}, 7),
    ({"enum": [1, "a", None]}, None),
    ({"enum": [1.0]}, 1),
    ({"const": {"a": [1, True]}}, {"a": [1, True]}),
    ({"properties": {"a": {"type": "string"}}}, {"a": "x", "b": 1}),
    ({"properties": {"a": {"type": "string"}}}, 5),
    ({"additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"xa": 1}),
    ({"items": {"type": "integer"}}, [1, 2]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1, 2]),
    ({"prefixItems": [{"type": "string"}], "items": False}, ["a"]),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1),
    ({"oneOf": [{"type": "string"}, {"minimum": 5}]}, 7),
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2),
    ({"minimum": 1, "maximum": 1.5, "exclusiveMinimum": 0, "exclusiveMaximum": 2}, 1.5),
    ({"minimum": 5}, "below"),
    ({"minLength": 1, "maxLength": 3, "pattern": "^a"}, "abc"),
    ({"pattern": r"(?<name"}, "of another dialect"),
    ({"minItems": 1, "maxItems": 2}, [1]),
    ({"minProperties": 1, "maxProperties": 1}, {"a": 1}),
    (TREE, {"value": 1, "kids": [{"value": 2, "kids": [{"value": 3}]}]}),
    ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "string"}}}, "x"),
    (LOOP, {"any": "thing"}),
    ({"default": {"$ref": "#/nowhere"}, "not": {"type": "string"}}, "not checked"),
]


@pytest.mark.parametrize(("schema", "value"), FITS, ids=str)
def test_what_fits_passes(schema: Any, value: Any) -> None:
    """A value that fits is said nothing of."""
    Checker(schema).check(value)


REFUSED: list[tuple[Any, Any, str, str]] = [
    ({"type": "string"}, 7, "", "expected a string, got 7"),
    ({"type": ["string", "null"]}, [], "", "expected a string or null, got an array"),
    ({"type": "integer"}, True, "", "expected an integer, got true"),
    ({"type": "integer"}, 7.5, "", "expected an integer"),
    ({"type": "number"}, False, "", "expected a number"),
    ({"type": "boolean"}, 0, "", "expected true or false"),
    ({"enum": ["a", "b"]}, "c", "", "expected one of ['a', 'b'], got 'c'"),
    ({"enum": [1]}, True, "", "expected 1, got true"),
    ({"const": {"a": 1}}, {"a": True}, "", "expected {'a': 1}"),
    ({"const": [1]}, [1, 2], "", "got an array"),
    ({"properties": {"a": {"type": "string"}}}, {"a": 1}, "/a", "expected a string"),
    ({"properties": {"a/b": {"items": {"type": "string"}}}}, {"a/b": ["x", 1]}, "/a~1b/1", "expected a string"),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "/b", "there is no field 'b'"),
    ({"additionalProperties": {"type": "integer"}}, {"a": "1"}, "/a", "expected an integer"),
    ({"items": {"type": "integer"}}, [1, "2"], "/1", "expected an integer"),
    ({"prefixItems": [{"type": "string"}], "items": False}, ["a", 1], "/1", "nothing is allowed here"),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, None, "", "fits none of the alternatives: expected a string"),
    ({"anyOf": [{"type": "null"}, {"properties": {"a": {"type": "string"}}, "type": "object"}]}, {"a": 1}, "/a", "a string"),
    ({"anyOf": [{"type": "string"}]}, 1, "", "expected a string, got 1"),
    ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 7, "", "more than one"),
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 4, "", "expected at most 3, got 4"),
    ({"minimum": 1}, 0, "", "expected at least 1, got 0"),
    ({"exclusiveMinimum": 1}, 1, "", "expected more than 1"),
    ({"exclusiveMaximum": 1}, 1.0, "", "expected less than 1"),
    ({"minLength": 2}, "a", "", "a length of at least 2, got 1"),
    ({"maxLength": 2}, "abc", "", "a length of at most 2"),
    ({"pattern": "^a"}, "b", "", "matches '^a'"),
    ({"minItems": 1}, [], "", "items of at least 1"),
    ({"maxItems": 1}, [1, 2], "", "items of at most 1"),
    ({"minProperties": 1}, {}, "", "fields of at least 1"),
    ({"maxProperties": 0}, {"a": 1}, "", "fields of at most 0"),
    (TREE, {"value": 1, "kids": [{"value": "2"}]}, "/kids/0/value", "expected an integer"),
]


@pytest.mark.parametrize(("schema", "value", "pointer", "why"), REFUSED, ids=str)
def test_what_does_not_fit_is_refused_at_its_place(schema: Any, value: Any, pointer: str, why: str) -> None:
    """The error has the pointer of the value, and says what the schema has there."""
    with pytest.raises(InvalidShapeError) as caught:
        Checker(schema).check(value)
    assert caught.value.pointer == pointer
    assert why in caught.value.message


@pytest.mark.parametrize(("value", "pointer"), [({}, "/value"), ({"value": 1, "kids": [{"kids": []}]}, "/kids/0/value")], ids=str)
def test_what_is_required_and_missing_is_named(value: Any, pointer: str) -> None:
    """A missing field is a ``MissingFieldError`` at its place."""
    with pytest.raises(MissingFieldError) as caught:
        Checker(TREE).check(value)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("reference", ["#/$defs/b", "https://host/schema", "other", "#/items/5", "#/type/x"])
def test_a_reference_that_leads_nowhere_is_refused_when_it_is_given(reference: str) -> None:
    """A schema that refers to what is not in it is refused before anything is sent."""
    schema = {"type": "array", "items": [{"$ref": reference}]}
    with pytest.raises(ConfigurationError, match="into: the schema has nothing at"):
        Checker(schema)


@given(json_values, json_values)
def test_no_schema_makes_it_fail_otherwise(schema: Any, value: Any) -> None:
    """Whatever is given as a schema, a value passes or is refused with a ``ProtocolError``."""
    names = ["type", "enum", "properties", "required", "items", "prefixItems", "anyOf", "pattern", "minItems", "minimum"]
    for name in names:
        with suppress(ProtocolError):
            Checker({name: schema}).check(value)
