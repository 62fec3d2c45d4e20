"""What ``into`` sends out and how the answer is read: wrapped where it must be, strict where it may be, never repaired."""

from __future__ import annotations

import json
import pickle
from typing import Any, Literal

import pytest
import typed_answers as t

from omnillm.errors import ConfigurationError, InvalidJsonError, InvalidShapeError, MissingFieldError, ProtocolError
from omnillm.people._strict import is_strict, strict_form
from omnillm.people.structured import target_of
from omnillm.types.capabilities import CapabilitySet, StructuredOutputConfig
from omnillm.types.enums import FinishReason, ProviderProtocol
from omnillm.types.message import Message
from omnillm.types.parts import RefusalPart, TextPart, ToolCallPart
from omnillm.types.request import LlmRequest
from omnillm.types.response import LlmResponse
from omnillm.types.usage import TokenUsage

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
ROME = '{"city": "Rome", "at": null, "nights": 2, "tags": []}'
CITY = {
    "type": "object",
    "title": "City!",
    "properties": {"name": {"type": "string", "minLength": 2}},
    "required": ["name"],
    "additionalProperties": False,
}


def answer(*parts: Any, finish: FinishReason | None = FinishReason.STOP) -> LlmResponse:
    """Give a response that says this."""
    said = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return LlmResponse((Message("assistant", said),), TokenUsage(1, 1), "m", CHAT, finish)


@pytest.mark.parametrize(
    ("into", "name", "strict", "wrapped", "text", "value"),
    [
        (t.Stop, "Stop", True, False, ROME, t.Stop("Rome", None, 2, [])),
        (t.Film, "Film", True, False, '{"title": "M", "year": null, "seen": null}', {"title": "M", "seen": None}),
        (list[t.Point], "list_Point", True, True, '{"value": [{"x": 1, "y": 2}]}', [t.Point(1, 2.0)]),
        (t.Square | t.Circle, "Square_Circle", True, True, '{"value": {"kind": "square", "side": 1}}', t.Square(1.0)),
        (t.Colour, "Colour", True, True, '{"value": "red"}', t.Colour.RED),
        (int, "int", True, True, '{"value": 7}', 7),
        (t.Node | None, "Node_None", True, True, '{"value": null}', None),
        (Literal["a", "b"], "Literal_a_b", True, True, '{"value": "b"}', "b"),
        (dict[str, int], "dict_str_int", False, False, '{"a": 1}', {"a": 1}),
        (tuple[int, str], "tuple_int_str", False, True, '{"value": [1, "a"]}', (1, "a")),
        (CITY, "City", True, False, '{"name": "Rome"}', {"name": "Rome"}),
        ({"properties": {"a": {}}}, "answer", False, False, '{"a": 1}', {"a": 1}),
        ({"type": "array", "items": CITY}, "answer", True, True, '{"value": []}', []),
        ({"type": "array", "items": {"$ref": "#"}}, "answer", True, True, '{"value": [[], [[]]]}', [[], [[]]]),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_target_goes_out_and_comes_back(into: Any, name: str, strict: bool, wrapped: bool, text: str, value: Any) -> None:
    """The config has a name that APIs take and an object at its root; the answer is the value, out of its wrapping."""
    target = target_of(into)
    assert (target.config.name, target.config.strict) == (name, strict)
    assert (list(target.config.schema.get("properties", {})) == ["value"]) is wrapped
    read = target.read(answer(text))
    assert read == value
    assert type(read) is type(value)


def test_references_lead_where_they_led() -> None:
    """A wrapped schema has its definitions at the root, and its own root where that went."""
    schema = {"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/n"}]}, "$defs": {"n": {"type": "integer"}}}
    assert target_of(schema).config.schema == {
        "type": "object",
        "properties": {
            "value": {"type": "array", "items": {"anyOf": [{"$ref": "#/properties/value"}, {"$ref": "#/$defs/n"}]}}
        },
        "required": ["value"],
        "additionalProperties": False,
        "$defs": {"n": {"type": "integer"}},
    }  # fmt: skip


UNREAD: list[tuple[str, LlmResponse, type[ProtocolError], str, str]] = [
    ("refusal", answer(RefusalPart("I cannot.")), InvalidShapeError, "the model refused: I cannot.", ""),
    ("cut", answer(ROME[:20], finish=FinishReason.LENGTH), InvalidJsonError, "cut at its output limit", ""),
    ("cut, though whole", answer(ROME, finish=FinishReason.LENGTH), InvalidJsonError, "raise max_output_tokens", ""),
    ("filtered", answer("", finish=FinishReason.CONTENT_FILTER), InvalidShapeError, "content filter", ""),
    ("empty", answer(" \n"), InvalidJsonError, "the answer is empty", ""),
    ("no JSON", answer("Rome, of course"), InvalidJsonError, "the answer is not JSON", ""),
    ("half", answer(ROME[:20]), InvalidJsonError, "the answer is not JSON", ""),
    ("fence", answer(f"```json\n{ROME}\n```"), InvalidJsonError, "it stands in a Markdown fence", ""),
    ("text around", answer(f"Here: {ROME}"), InvalidJsonError, "the answer is not JSON", ""),
    ("missing", answer('{"city": "Rome"}'), MissingFieldError, "the answer is no Stop at /at: Stop needs 'at'", "/at"),
    ("wrong", answer('{"city": 7, "at": null}'), InvalidShapeError, "at /city: expected a string, got 7", "/city"),
    ("other", answer("[]"), InvalidShapeError, "the answer is no Stop: expected an object", ""),
    ("unknown", answer('{"city": "Rome", "at": null, "x": 1}'), InvalidShapeError, "has no field 'x'", "/x"),
]  # fmt: skip


@pytest.mark.parametrize(("_", "response", "kind", "why", "pointer"), UNREAD, ids=[case[0] for case in UNREAD])
def test_an_answer_that_is_none_is_a_clear_error(
    _: str, response: LlmResponse, kind: type[ProtocolError], why: str, pointer: str
) -> None:
    """The error says which of these it was, has the pointer and the response, and pickles with them."""
    with pytest.raises(ProtocolError) as caught:
        target_of(t.Stop).read(response)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert type(error) is kind
        assert why in error.message
        assert error.pointer == pointer
        assert error.response == response


@pytest.mark.parametrize(("text", "pointer"), [('{"value": "7"}', "/value"), ("7", ""), ('{"value": 7, "x": 1}', "")])
def test_a_wrapped_value_has_its_place_in_the_answer(text: str, pointer: str) -> None:
    """The pointer is one into what the model said."""
    with pytest.raises(InvalidShapeError) as caught:
        target_of(int).read(answer(text))
    assert caught.value.pointer == pointer


def test_a_schema_is_checked_too() -> None:
    """An answer to a JSON Schema is held against it, keywords that no provider keeps to included."""
    with pytest.raises(InvalidShapeError, match=r"the answer is no City! at /name: expected a length of at least 2"):
        target_of(CITY).read(answer('{"name": "R"}'))


def test_calls_of_tools_are_no_answer_yet() -> None:
    """Where the model calls tools instead, there is no value and no error; with a text beside them the text is read."""
    call = ToolCallPart("c1", "weather", {})
    assert target_of(t.Stop).read(answer(call, finish=FinishReason.TOOL_CALL)) is None
    assert target_of(t.Stop).read(answer(ROME, call, finish=FinishReason.TOOL_CALL)) == t.Stop("Rome", None, 2)


def test_what_a_type_refuses_keeps_its_cause() -> None:
    """A ``__post_init__`` that raises is a mismatch, with its own error as the cause."""
    with pytest.raises(InvalidShapeError, match="the answer is no Positive: Positive refuses it: not positive") as caught:
        target_of(t.Positive).read(answer('{"value": 0}'))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("into", "why"),
    [
        (t.Unannotated, "into: Unannotated.raw: bytes has no form in JSON"),
        (t.Unknown, "into: Unknown: the annotation 'NotThere' cannot be resolved"),
        (b"x", "into: b'x': b'x' has no form in JSON"),
        ({"a": b"x"}, "into: expected a JSON Schema"),
        ({"$ref": "#/$defs/x"}, "into: the schema has nothing at"),
        (StructuredOutputConfig(CITY), "give a config as structured_output="),
    ],
    ids=str,
)
def test_what_is_no_target_is_refused(into: Any, why: str) -> None:
    """The error names ``into`` and what in it is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        target_of(into)
    assert why in str(caught.value)
    assert caught.value.field == "into"


def test_a_request_asks_for_one_thing() -> None:
    """A request that has a structured output of its own is not given another."""
    asked = target_of(int).asked_of(LlmRequest("m", "hi"))
    assert asked.capabilities.structured_output == target_of(int).config
    with pytest.raises(ConfigurationError, match="into: the request has a structured_output already"):
        target_of(int).asked_of(LlmRequest("m", "hi", capabilities=CapabilitySet(structured_output=StructuredOutputConfig(CITY))))


def test_a_target_is_made_once() -> None:
    """The same type has the same target, what it was fitted to included; a target is its own."""
    assert target_of(t.Stop) is target_of(t.Stop)
    assert target_of(target_of(int)) is target_of(int)


def test_a_format_is_fitted_once() -> None:
    """What a protocol is asked with is made once; where it is the same, the request is."""
    seen: list[StructuredOutputConfig] = []

    def fit(config: StructuredOutputConfig) -> StructuredOutputConfig:
        seen.append(config)
        return StructuredOutputConfig({}, "other")

    target = target_of(t.Film)
    request = target.asked_of(LlmRequest("m", "hi"))
    for _ in range(2):
        assert target.asked_in(request, fit).capabilities.structured_output == StructuredOutputConfig({}, "other")
    assert seen == [target.config]
    assert target.asked_in(request, lambda config: config) is request


NOT_STRICT: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
    {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"], "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "string"}},
    {"type": "object", "properties": {}, "additionalProperties": False, "anyOf": [CITY]},
    {"type": "object", "properties": {"a": {"oneOf": [CITY]}}, "required": ["a"], "additionalProperties": False},
    {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/b", "description": "beside"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"b": CITY},
    },
    {"type": "object", "properties": {"a": {"type": "string", "default": ""}}, "required": ["a"], "additionalProperties": False},
]  # fmt: skip


@pytest.mark.parametrize("schema", NOT_STRICT, ids=str)
def test_what_strict_mode_refuses_is_not_sent_strict(schema: dict[str, Any]) -> None:
    """A schema that breaks a rule of strict mode goes out without it, as it is."""
    assert not is_strict(schema)


def test_the_strict_form_keeps_the_meaning() -> None:
    """A library's schema becomes a strict one: no defaults, no titles, all required, a reference alone."""
    made = {
        "title": "Trip",
        "type": "object",
        "properties": {
            "title": {"title": "Title", "type": "string", "default": "x"},
            "kind": {"const": "trip", "type": "string"},
            "where": {"$ref": "#/$defs/City", "description": "where to"},
            "who": {"allOf": [{"$ref": "#/$defs/City"}]},
            "how": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/City"}], "discriminator": {"propertyName": "kind"}},
            "more": {"type": "object"},
        },
        "required": ["where"],
        "$defs": {"City": CITY},
    }
    city = {name: value for name, value in CITY.items() if name != "title"}
    properties = {
        "title": {"type": "string"},
        "kind": {"enum": ["trip"], "type": "string"},
        "where": {"anyOf": [{"$ref": "#/$defs/City"}], "description": "where to"},
        "who": {"$ref": "#/$defs/City"},
        "how": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/City"}]},
        "more": {"type": "object", "additionalProperties": False},
    }
    form = strict_form(made)
    assert form == {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "$defs": {"City": city},
    }
    assert is_strict(form)
    assert json.loads(json.dumps(form)) == form
