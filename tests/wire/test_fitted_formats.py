"""Schemas fitted to each API: what it takes goes out as it is, what it refuses is said in words, nothing else is changed."""

from __future__ import annotations

from typing import Any

import pytest
import typed_answers as t
from hypothesis import given

from omnillm.people.schema import schema_of
from omnillm.types.capabilities import StructuredOutputConfig
from omnillm.types.enums import WireFormat
from omnillm.wire import codec
from omnillm.wire._formats import for_anthropic, for_gemini, for_strict_openai

CHAT, CLAUDE, GEMINI = for_strict_openai, for_anthropic, for_gemini
POINT = {"$ref": "#/$defs/Point"}

CASES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (CHAT, {"type": "integer", "minimum": 1, "multipleOf": 2}, {"type": "integer", "minimum": 1, "multipleOf": 2}),
    (CHAT, {"type": "string", "pattern": "^a", "format": "date"}, {"type": "string", "pattern": "^a", "format": "date"}),
    (CHAT, {"type": "string", "minLength": 1}, {"type": "string", "description": "{minLength: 1}"}),
    (CHAT, {"type": "string", "format": "uri"}, {"type": "string", "description": '{format: "uri"}'}),
    (CHAT, {"type": "array", "items": {}, "minItems": 2}, {"type": "array", "items": {}, "minItems": 2}),
    (CLAUDE, {"type": "integer", "minimum": 1}, {"type": "integer", "description": "{minimum: 1}"}),
    (
        CLAUDE,
        {"type": "string", "pattern": "^a", "maxLength": 3, "description": "A name."},
        {"type": "string", "description": 'A name.\n\n{pattern: "^a", maxLength: 3}'},
    ),
    (CLAUDE, {"type": "string", "format": "uri"}, {"type": "string", "format": "uri"}),
    (CLAUDE, {"type": "string", "format": "odd"}, {"type": "string", "description": '{format: "odd"}'}),
    (CLAUDE, {"type": "array", "items": POINT, "minItems": 1}, {"type": "array", "items": POINT, "minItems": 1}),
    (
        CLAUDE,
        {"type": "array", "items": POINT, "minItems": 2},
        {"type": "array", "items": POINT, "description": "{minItems: 2}"},
    ),
    (CLAUDE, {"oneOf": [{"type": "string"}, {"const": 1}]}, {"anyOf": [{"type": "string"}, {"enum": [1]}]}),
    (
        CLAUDE,
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}, {"type": "string"}]},
        {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "description": 'Its items, in order: [{"type":"string"},{"type":"integer"},{"type":"string"}]',
        },
    ),
    (CLAUDE, {**POINT, "minimum": 1}, POINT),
    (
        CLAUDE,
        {"$defs": {"Point": {"properties": {"minimum": {"minimum": 1}}}}, "anyOf": [POINT], "allOf": [{"maximum": 2}]},
        {
            "$defs": {"Point": {"properties": {"minimum": {"description": "{minimum: 1}"}}, "additionalProperties": False}},
            "anyOf": [POINT],
            "allOf": [{"description": "{maximum: 2}"}],
        },
    ),
    (CLAUDE, {"properties": {}, "additionalProperties": True}, {"properties": {}, "additionalProperties": True}),
    (CLAUDE, {"type": "object"}, {"type": "object"}),
    (GEMINI, {"properties": {"a": {}}}, {"properties": {"a": {}}}),
    (CLAUDE, {"additionalProperties": {"maximum": 2}}, {"additionalProperties": {"description": "{maximum: 2}"}}),
    (GEMINI, {"prefixItems": [{"pattern": "a"}]}, {"prefixItems": [{"description": '{pattern: "a"}'}]}),
    (GEMINI, {"type": "integer", "minimum": 1, "const": 5}, {"type": "integer", "minimum": 1, "enum": [5]}),
    (GEMINI, {"type": "integer", "exclusiveMinimum": 1}, {"type": "integer", "description": "{exclusiveMinimum: 1}"}),
]  # fmt: skip


@pytest.mark.parametrize(("fit", "schema", "fitted"), CASES, ids=lambda value: getattr(value, "__name__", str(value))[:40])
def test_a_schema_is_said_in_the_dialect(fit: Any, schema: dict[str, Any], fitted: dict[str, Any]) -> None:
    """A keyword that an API takes stays; any other stands in the description, in its own words."""
    config = StructuredOutputConfig(schema, "n", strict=True)
    assert fit(config) == StructuredOutputConfig(fitted, "n", strict=True)
    assert fit(fit(config)) == fit(config)


def test_what_is_not_strict_goes_to_openai_as_it_is() -> None:
    """Without strict mode OpenAI's APIs take any schema."""
    config = StructuredOutputConfig({"type": "string", "minLength": 5, "const": "x"})
    assert for_strict_openai(config) is config


@given(t.cases)
def test_a_schema_of_ours_is_taken_by_all_but_for_its_rows(case: t.Case) -> None:
    """What is made of a type goes to every API as it is; only the length of a tuple is said in words to some."""
    schema = schema_of(case[0])
    config = StructuredOutputConfig(schema, strict=True)
    assert for_gemini(config) is config
    if "maxItems" not in str(schema):
        assert for_strict_openai(config) is for_anthropic(config) is config


@pytest.mark.parametrize(
    ("wire", "fit"),
    [
        (WireFormat.OPENAI_RESPONSES, for_strict_openai),
        (WireFormat.OPENAI_CHAT_COMPLETIONS, for_strict_openai),
        (WireFormat.ANTHROPIC_MESSAGES, for_anthropic),
        (WireFormat.GEMINI_GENERATE_CONTENT, for_gemini),
        (WireFormat.BEDROCK_CONVERSE, for_anthropic),
    ],
)
def test_each_codec_has_its_dialect(wire: WireFormat, fit: Any) -> None:
    """The dialect is the codec's to know."""
    assert codec(wire).fit_format is fit
