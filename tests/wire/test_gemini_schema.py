"""Schemas in the dialects that generateContent takes, as the JSON Schema that every other wire takes."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_content import CHAT, P, again, body

import omnillm as o

SCHEMAS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "OBJECT", "nullable": True}, {"type": ["object", "null"]}),
    ({"type": 6, "properties": {"a": {"type": 1}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
    (
        {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "nullable": True},
        {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
    ),
    ({"anyOf": [{"type": "STRING"}, {"type": "NULL"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    (
        {"type": "ARRAY", "items": {"any_of": [{"type": "STRING"}]}, "min_items": 1, "property_ordering": ["a"]},
        {"type": "array", "items": {"anyOf": [{"type": "string"}]}, "minItems": 1, "propertyOrdering": ["a"]},
    ),
    (
        {"type": "OBJECT", "properties": {"any_of": {"any_of": [{"type": "NUMBER"}], "nullable": True}}},
        {"type": "object", "properties": {"any_of": {"anyOf": [{"type": "number"}, {"type": "null"}]}}},
    ),
]


@pytest.mark.parametrize(("given", "schema"), SCHEMAS, ids=str)
def test_a_schema_crosses_as_json_schema(given: dict[str, Any], schema: dict[str, Any]) -> None:
    """And comes back in the dialect in which it was said; a property's name is no name of the dialect's."""
    payload = body(tools=[{"functionDeclarations": [{"name": "f", "parameters": given}]}], model="m")
    assert again(payload) == payload
    report = o.transcode_api_request(P.wire_format, CHAT.wire_format, payload)
    assert report.value["tools"][0]["function"]["parameters"] == schema
    assert report.losses == ()


@pytest.mark.parametrize(("given", "schema"), SCHEMAS, ids=str)
def test_an_answers_schema_crosses_as_json_schema(given: dict[str, Any], schema: dict[str, Any]) -> None:
    """The schema of structured output is read the same way."""
    payload = body(generationConfig={"responseMimeType": "application/json", "responseSchema": given}, model="m")
    assert again(payload) == payload
    crossed = o.transcode_request(P, CHAT, payload)
    assert crossed["response_format"]["json_schema"]["schema"] == schema
