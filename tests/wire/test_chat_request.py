"""Requests of Chat Completions: what is read, what is written, and that what was read is written again."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from omnillm import (
    AudioPart,
    FilePart,
    GenerationConfig,
    ImageBase64Part,
    ImageUrlPart,
    InvalidShapeError,
    JsonPart,
    LlmRequest,
    Message,
    MessageRole,
    MissingFieldError,
    ProviderProtocol,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
    emit_request,
    parse_request,
)
from omnillm.types.enums import WireFormat
from omnillm.wire import emit_request_with_losses

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
WIRE = WireFormat.OPENAI_CHAT_COMPLETIONS
OWN = WIRE.value
CLAUDE = ProviderProtocol.CLAUDE_MESSAGES

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUg=="


def request(*messages: Json, **more: Any) -> Json:
    return {"model": "gpt-test", "messages": list(messages), **more}


def user(*parts: Any) -> Json:
    return {"role": "user", "content": list(parts)}


def assistant(content: Any = None, **more: Any) -> Json:
    return {"role": "assistant", "content": content, **more}


def call(call_id: str = "c1", name: str = "look", arguments: Any = "{}", **more: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def text(words: str, **more: Any) -> Json:
    return {"type": "text", "text": words, **more}


def items(*messages: Json) -> tuple[Any, ...]:
    return parse_request(CHAT, request(*messages)).input


def written(*given: Any, **more: Any) -> list[Any]:
    messages: list[Any] = emit_request(CHAT, LlmRequest("m", list(given), **more))["messages"]
    return messages


FIELDS: list[Json] = [
    {"max_tokens": 5},
    {"max_completion_tokens": 5},
    {"max_tokens": None, "max_completion_tokens": 5},
    {"max_tokens": 5, "max_completion_tokens": None},
    {"max_tokens": 5, "max_completion_tokens": 6},
    {"temperature": 0, "top_p": 0.5, "presence_penalty": -1, "frequency_penalty": 1.5, "seed": 7},
    {"temperature": None, "top_p": None, "seed": None, "stop": None, "stream": None, "metadata": None},
    {"top_k": 0.5},
    {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1},
    {"stop": "END"},
    {"stop": ""},
    {"stop": ["END"]},
    {"stop": ["END", "STOP"]},
    {"stop": []},
    {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    {"stream": False},
    {"metadata": {"team": "a"}, "store": True, "user": "u", "safety_identifier": "s", "service_tier": "flex"},
    {"metadata": {}},
    {"logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 3, "n": 2},
    {"modalities": ["text", "audio"], "audio": {"format": "wav", "voice": "alloy"}},
    {"modalities": []},
    {"modalities": ["text", "smell"]},
    {"moderation": {"model": "omni", "policy": "p"}},
    {"prediction": {"type": "content", "content": "x"}},
    {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}, "prompt_cache_retention": "24h"},
    {"reasoning_effort": "high", "verbosity": "low"},
    {"reasoning_effort": None},
    {"reasoning": {"effort": "low", "exclude": True}},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": False, "description": "d"}}},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}, "strict": None}, "extra": 1}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "no schema"}}},
    {"response_format": {"type": "grammar", "grammar": "x"}},
    {"response_format": None},
    {"web_search_options": {}},
    {
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"city": "Bonn"}},
        }
    },
    {"tools": []},
    {"tools": None, "tool_choice": None},
    {"tool_choice": "auto"},
    {"tool_choice": "none", "parallel_tool_calls": False},
    {"tool_choice": "required", "parallel_tool_calls": True},
    {"tool_choice": "any"},
    {"tool_choice": "whatever"},
    {"tool_choice": {"type": "function", "function": {"name": "look"}}},
    {"tool_choice": {"type": "function", "function": {"name": "look", "deep": 1}, "wide": 2}},
    {"tool_choice": {"type": "custom", "custom": {"name": "shell"}}},
    {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
    {"functions": [{"name": "look", "description": "d", "parameters": {"type": "object"}}], "function_call": {"name": "look"}},
    {"functions": [{"name": "look"}], "function_call": "auto"},
    {"functions": [], "function_call": "none"},
    {"function_call": {"name": "look", "more": 1}},
    {"tool_choice": "auto", "function_call": "auto"},
    {"tools": [{"type": "function", "function": {"name": "look"}}]},
    {"tools": [{"type": "function", "function": {"name": "look", "parameters": {}, "strict": False, "description": ""}}]},
    {"tools": [{"type": "function", "function": {"name": "look", "parameters": None, "strict": None, "description": None}}]},
    {
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True, "x": 1}, "y": 2}
        ]
    },
    {"tools": [{"function": {"name": "look"}}]},
    {"tools": [{"type": None, "function": {"name": "look"}}]},
    {"tools": [{"type": "function", "name": "flat", "parameters": {}}]},
    {
        "tools": [
            {"type": "custom", "custom": {"name": "shell", "format": {"type": "text"}}},
            {"type": "function", "function": {"name": "f"}},
        ]
    },
    {
        "tools": [
            {"type": "function", "function": {"name": "f"}},
            {"type": "openrouter:web_search"},
            {"type": "function", "function": {"name": "g"}},
        ]
    },
    {
        "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}],
        "functions": [{"name": "old"}],
    },
    {"tools": [{"type": 7}, {}]},
    {"provider": {"order": ["a"]}, "transforms": [], "enable_thinking": False, "extra/slash~tilde": 1},
]

MESSAGES: list[list[Json]] = [
    [],
    [{"role": "system", "content": "be brief"}, {"role": "developer", "content": [text("one"), text("two")]}],
    [{"role": "user", "content": "hello", "name": "ada"}],
    [{"role": "user", "content": ""}],
    [{"role": "user", "content": []}],
    [{"role": "user", "content": None}],
    [{"role": "user"}],
    [user(text("alone"))],
    [user(text("alone", cache_control={"type": "ephemeral"}))],
    [user(text("a"), text("b"))],
    [user({"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "high"}})],
    [
        user(
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{PNG}", "extra": 1},
                "prompt_cache_breakpoint": {"mode": "explicit"},
            }
        )
    ],
    [user({"type": "image_url", "image_url": {"url": "data:;base64,AAAA"}})],
    [user({"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}})],
    [user({"type": "image_url", "image_url": "https://x.test/a.png"})],
    [user({"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"})],
    [user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}})],
    [user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav", "rate": 8000}})],
    [user({"type": "input_audio", "input_audio": {"data": "AAAA"}})],
    [user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mpeg"}})],
    [user({"type": "file", "file": {"file_id": "file-1"}})],
    [user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}})],
    [user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}})],
    [user({"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf", "format": "pdf"}})],
    [user({"type": "file", "file": {"file_data": "https://x.test/a.pdf", "filename": "a.pdf"}})],
    [user({"type": "file", "file": {}})],
    [user({"type": "file", "file": {"filename": "n"}})],
    [user({"type": "file", "file": {"file_id": None, "file_data": None}})],
    [user({"type": "file", "file_id": "file-1"})],
    [user({"type": "input_audio", "input_audio": "AAAA"})],
    [user({"type": "input_audio", "input_audio": "data:audio/wav;base64,AAAA"})],
    [user({"type": "input_audio", "input_audio": "https://x.test/a.mp3"})],
    [user({"type": "video_url", "video_url": {"url": "https://x.test"}}, {"type": "document_url", "document_url": "u"})],
    [user({"text": "no type"}, {"type": ["odd"]})],
    [assistant("hi", name="bot")],
    [assistant(None, tool_calls=[call()])],
    [assistant("", tool_calls=[call(arguments='{"a": 1}'), call("c2", "seek", "not json")])],
    [assistant([], tool_calls=[call(index=0)])],
    [{"role": "assistant", "tool_calls": [call(arguments="")]}],
    [{"role": "assistant"}],
    [assistant("a", tool_calls=[])],
    [assistant("a", tool_calls=None, function_call=None, refusal=None, audio=None, annotations=[])],
    [assistant(tool_calls=[call("", extra_content={"google": {"thought_signature": "s"}})])],
    [assistant(tool_calls=[{"function": {"name": "look", "arguments": {"a": 1}}}])],
    [assistant(tool_calls=[{"id": None, "type": None, "function": {"name": "look", "arguments": None}}])],
    [assistant(tool_calls=[{"id": "c", "type": "function", "function": {}}])],
    [assistant(tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "shell", "input": "5", "x": 1}}])],
    [assistant(tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "shell", "input": {"a": 1}}}])],
    [
        assistant(
            tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "custom": {"name": ""}}]
        )
    ],
    [assistant(tool_calls=[{"id": "c", "type": "mcp", "mcp": {"name": "x"}}])],
    [assistant(function_call={"name": "look", "arguments": "{}"}), {"role": "function", "name": "look", "content": "3"}],
    [assistant(function_call={"name": "look", "arguments": {"a": 1}, "x": 1}), {"role": "function", "content": None}],
    [assistant(None, refusal="no")],
    [assistant([{"type": "refusal", "refusal": "no"}])],
    [assistant([text("a"), {"type": "refusal", "refusal": "no"}])],
    [assistant(None, refusal="")],
    [assistant("a", audio={"id": "audio_1"})],
    [assistant("a", reasoning_content="hm")],
    [assistant("a", reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm", "signature": "s"}])],
    [assistant("a", reasoning="hm", reasoning_content="hm")],
    [assistant("a", reasoning=None, reasoning_content="", reasoning_details=[])],
    [assistant("a", reasoning={"not": "text"})],
    [assistant(None, reasoning_details=[{"type": "reasoning.encrypted", "data": "d"}])],
    [assistant([{"type": "thinking", "thinking": [text("hm")]}, text("a")])],
    [assistant([{"type": "thinking", "thinking": "hm", "closed": True}, text("a")])],
    [assistant([{"type": "thinking", "thinking": [text("h"), {"type": "reference", "ids": [1]}]}])],
    [assistant([{"type": "thinking"}])],
    [assistant({"title": "an object"})],
    [
        assistant(
            "see",
            annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 3}}],
        )
    ],
    [assistant("see", annotations=[{"type": "odd"}])],
    [assistant([text("a"), text("b")], annotations=[{"type": "file", "file": {"hash": "h"}}])],
    [{"role": "tool", "tool_call_id": "c1", "content": "3"}],
    [{"role": "tool", "tool_call_id": "c1", "content": "3", "name": "look", "cache_control": {"type": "ephemeral"}}],
    [{"role": "tool", "tool_call_id": "c1", "content": [text("3")]}],
    [{"role": "tool", "tool_call_id": "c1", "content": [text("3"), text("4")]}],
    [{"role": "tool", "tool_call_id": "c1", "content": [{"type": "image_url", "image_url": {"url": "https://x.test"}}]}],
    [{"role": "tool", "tool_call_id": "c1", "content": {"an": "object"}}],
    [{"role": "tool", "tool_call_id": "", "content": ""}],
    [{"role": "tool", "content": None}],
    [{"role": "critic", "content": "a role that nobody knows"}],
]


@pytest.mark.parametrize("fields", FIELDS, ids=json.dumps)
def test_every_field_of_a_request_is_written_as_it_was_read(fields: Json) -> None:
    """Fields, explicit nulls and explicit defaults come back as they were, also after a rest in JSON, and cost no loss."""
    payload = request({"role": "user", "content": "hi"}, **fields)
    before = copy.deepcopy(payload)
    parsed = parse_request(CHAT, payload)
    assert emit_request_with_losses(WIRE, parsed) == (before, ())
    assert emit_request(CHAT, LlmRequest.from_json(parsed.to_json())) == before
    assert payload == before


@pytest.mark.parametrize("messages", MESSAGES, ids=json.dumps)
def test_every_message_is_written_as_it_was_read(messages: list[Json]) -> None:
    """Messages come back as they were, also after a rest in JSON, and cost no loss."""
    payload = request(*messages)
    before = copy.deepcopy(payload)
    parsed = parse_request(CHAT, payload)
    assert emit_request_with_losses(WIRE, parsed) == (before, ())
    assert emit_request(CHAT, LlmRequest.from_json(parsed.to_json())) == before
    assert payload == before


@pytest.mark.parametrize(
    "message",
    [
        user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}),
        user({"type": "file", "file": {"file_data": "AAAA"}}),
        assistant([{"type": "refusal", "refusal": "no"}]),
        assistant([{"type": "refusal", "refusal": "no"}, text("a"), {"type": "refusal", "refusal": "still no"}]),
        assistant("a", refusal="no"),
        assistant("a", tool_calls=[call(arguments={"city": "Rome"})]),
        assistant("a", tool_calls=[call(arguments=None)]),
        assistant("a", tool_calls=[{"id": "c", "type": "function", "function": {"name": "look"}}]),
        {"role": "user", "content": []},
        {"role": "user", "content": None},
        {"role": "system", "content": []},
        {"role": "tool", "tool_call_id": "c", "content": {"celsius": 21}},
        {"role": "tool", "tool_call_id": "c", "content": [text("a"), {"type": "image_url", "image_url": {"url": "u"}}]},
    ],
    ids=json.dumps,
)
def test_a_message_is_rebuilt_from_its_parts_alone(message: Json) -> None:
    """Without the wire's own message beside them, the values still say all of it."""
    (item,) = items(message)
    assert written(dataclasses.replace(item, raw_message=None)) == [message]


READ: list[tuple[Json, Any]] = [
    ({"role": "system", "content": "s"}, Message(MessageRole.SYSTEM, "s")),
    ({"role": "developer", "content": "d"}, Message(MessageRole.DEVELOPER, "d")),
    ({"role": "user", "content": "u"}, Message.user("u")),
    ({"role": "assistant", "content": "a"}, Message.assistant("a")),
    (user(text("a"), text("b")), Message(MessageRole.USER, ["a", "b"])),
    (
        user({"type": "image_url", "image_url": {"url": "https://x.test", "detail": "low"}}),
        Message(MessageRole.USER, ImageUrlPart("https://x.test", "low")),
    ),
    (
        user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
        Message(MessageRole.USER, ImageBase64Part(PNG, "image/png")),
    ),
    (
        user({"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}),
        Message(MessageRole.USER, AudioPart("AA", "audio/mpeg")),
    ),
    (
        user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}}),
        Message(MessageRole.USER, FilePart(media_type="application/pdf", data="AA", filename="a.pdf")),
    ),
    (user({"type": "file", "file": {"file_id": "f"}}), Message(MessageRole.USER, FilePart("f"))),
    (
        user({"type": "input_audio", "input_audio": "https://x.test/a.mp3"}),
        Message(MessageRole.USER, VendorPart(CHAT, {"type": "input_audio", "input_audio": "https://x.test/a.mp3"})),
    ),
    (user({"type": "new"}), Message(MessageRole.USER, VendorPart(CHAT, {"type": "new"}))),
    (
        {"role": "assistant", "content": "a", "refusal": "no", "tool_calls": [call(arguments='{"a":1}')]},
        Message(MessageRole.ASSISTANT, [TextPart("a"), RefusalPart("no"), ToolCallPart("c1", "look", {"a": 1})]),
    ),
    (
        {"role": "assistant", "tool_calls": [call(arguments="oops")]},
        Message(MessageRole.ASSISTANT, ToolCallPart("c1", "look", "oops", "oops")),
    ),
    ({"role": "assistant", "content": {"a": 1}}, Message(MessageRole.ASSISTANT, JsonPart({"a": 1}))),
    (
        {"role": "tool", "tool_call_id": "c1", "name": "look", "content": "3"},
        Message(MessageRole.TOOL, ToolResultPart("c1", "3", "look")),
    ),
    (
        {"role": "tool", "tool_call_id": "c1", "content": [text("3"), text("4")]},
        Message(MessageRole.TOOL, ToolResultPart("c1", (TextPart("3"), TextPart("4")))),
    ),
    ({"role": "critic", "content": "x"}, VendorPart(CHAT, {"role": "critic", "content": "x"})),
]


@pytest.mark.parametrize(("message", "expected"), READ)
def test_a_message_reads_as_canonical_parts(message: Json, expected: Any) -> None:
    """Each form of a message has its canonical value."""
    assert items(message) == (expected,)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "file", "file_id": "f"}, FilePart("f")),
        ({"type": "input_audio", "input_audio": "AAAA"}, AudioPart("AAAA")),
        ({"type": "input_audio", "input_audio": "data:audio/mpeg;base64,AAAA"}, AudioPart("AAAA", "audio/mpeg")),
        ({"type": "image_url", "image_url": "https://x.test/a.png"}, ImageUrlPart("https://x.test/a.png")),
    ],
)
def test_the_short_forms_of_mistral_are_read_and_rebuilt(part: Json, expected: Any) -> None:
    """Mistral takes the data, the id or the URL itself where OpenAI takes an object with it."""
    (item,) = items(user(part))
    assert dataclasses.replace(item.parts[0], vendor_extensions={}) == expected
    assert written(dataclasses.replace(item, raw_message=None)) == [user(part)]


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        (assistant("a", reasoning_content="hm"), "hm"),
        (assistant("a", reasoning="hm"), "hm"),
        (assistant("a", reasoning="two", reasoning_content="one"), "one"),
        (assistant([{"type": "thinking", "thinking": [text("h"), text("m")]}, text("a")]), "hm"),
    ],
)
def test_reasoning_is_read_from_every_field_that_servers_use(message: Json, reasoning: str) -> None:
    """DeepSeek, OpenRouter and Mistral say reasoning differently; the part is the same, and first."""
    (item,) = items(message)
    assert isinstance(item.parts[0], ReasoningPart)
    assert (item.parts[0].text, item.parts[0].protocol, item.plain_text()) == (reasoning, CHAT, "a")


def test_the_old_function_call_and_its_result_name_each_other() -> None:
    """The deprecated call has no id: the same one is derived for call and result."""
    asked, answered = items(
        assistant(function_call={"name": "look", "arguments": "{}"}), {"role": "function", "name": "look", "content": "3"}
    )
    assert asked.parts[0].call_id == answered.parts[0].call_id == "call_look"
    assert answered.role is MessageRole.TOOL


def test_generation_settings_are_read_whatever_their_name() -> None:
    """Both names of the output limit, a lone stop text and the servers' top_k are the canonical settings."""
    parsed = parse_request(CHAT, request(max_tokens=9, stop="END", top_k=3, temperature=0.5, top_p=1, seed=4))
    expected = GenerationConfig(max_output_tokens=9, temperature=0.5, top_p=1, top_k=3, stop_sequences=("END",), seed=4)
    assert dataclasses.replace(parsed.generation, vendor_extensions={}) == expected
    edited = dataclasses.replace(parsed, generation=dataclasses.replace(parsed.generation, max_output_tokens=10, top_k=4))
    assert emit_request(CHAT, edited) == request(max_tokens=10, stop="END", top_k=4, temperature=0.5, top_p=1, seed=4)


# --- bad input ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "error", "pointer"),
    [
        ({}, MissingFieldError, "/model"),
        ({"model": "m"}, MissingFieldError, "/messages"),
        ({"model": 5, "messages": []}, InvalidShapeError, "/model"),
        ({"model": "m", "messages": {}}, InvalidShapeError, "/messages"),
        (request("text"), InvalidShapeError, "/messages/0"),
        (request({}), MissingFieldError, "/messages/0/role"),
        (request({"role": 1}), InvalidShapeError, "/messages/0/role"),
        (request({"role": "user", "content": 5}), InvalidShapeError, "/messages/0/content"),
        (request(user("text")), InvalidShapeError, "/messages/0/content/0"),
        (request(user({"type": "text"})), MissingFieldError, "/messages/0/content/0/text"),
        (request(user({"type": "image_url"})), InvalidShapeError, "/messages/0/content/0/image_url"),
        (request(user({"type": "image_url", "image_url": {}})), MissingFieldError, "/messages/0/content/0/image_url/url"),
        (request(assistant([{"type": "thinking", "thinking": 5}])), InvalidShapeError, "/messages/0/content/0/thinking"),
        (request(assistant("a", tool_calls={"a": 1})), InvalidShapeError, "/messages/0/tool_calls"),
        (request(assistant("a", tool_calls=["a"])), InvalidShapeError, "/messages/0/tool_calls/0"),
        (request({"role": "tool", "content": ["x"]}), InvalidShapeError, "/messages/0/content/0"),
        (request(temperature="hot"), InvalidShapeError, "/temperature"),
        (request(max_tokens=1.5), InvalidShapeError, "/max_tokens"),
        (request(stream="yes"), InvalidShapeError, "/stream"),
        (request(stop=[1]), InvalidShapeError, "/stop/0"),
        (request(stop=0), InvalidShapeError, "/stop"),
        (request(tools={}), InvalidShapeError, "/tools"),
        (request(tools=["x"]), InvalidShapeError, "/tools/0"),
        (request(tools=[{"function": {"name": "f", "strict": "x"}}]), InvalidShapeError, "/tools/0/function/strict"),
        (request(functions=[{}]), MissingFieldError, "/functions/0/name"),
    ],
)
def test_a_field_of_another_type_is_named_by_its_pointer(payload: Json, error: type[Exception], pointer: str) -> None:
    """What the format does not allow raises with the place, not with Python's own errors."""
    with pytest.raises(error) as caught:
        parse_request(CHAT, payload)
    assert caught.value.pointer == pointer
