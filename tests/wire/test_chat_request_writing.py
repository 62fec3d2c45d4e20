"""Requests of Chat Completions made by hand or edited: what is written."""

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
    JsonPart,
    LlmRequest,
    Message,
    MessageRole,
    ProviderProtocol,
    RawMessage,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    VendorPart,
    emit_request,
    emit_transport_request,
    parse_request,
)
from omnillm.types.enums import WireFormat
from omnillm.wire import codec, emit_request_with_losses

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


def call(call_id: str = "c1", name: str = "look", arguments: str = "{}", **more: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def text(words: str, **more: Any) -> Json:
    return {"type": "text", "text": words, **more}


def written(*given: Any, **more: Any) -> list[Any]:
    messages: list[Any] = emit_request(CHAT, LlmRequest("m", list(given), **more))["messages"]
    return messages


def test_a_request_made_by_hand_is_the_plain_payload() -> None:
    """Instructions become the first message, settings their current names, and nothing else is added."""
    made = LlmRequest(
        "m",
        "hi",
        instructions="be brief",
        generation=GenerationConfig(max_output_tokens=5, temperature=0, stop_sequences=("a", "b"), seed=1),
        metadata={"k": "v"},
        vendor_extensions={"logit_bias": {"1": 2}},
    )
    assert emit_request(CHAT, made) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "max_completion_tokens": 5,
        "temperature": 0,
        "stop": ["a", "b"],
        "seed": 1,
        "metadata": {"k": "v"},
        "logit_bias": {"1": 2},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Message.user("hi"), {"role": "user", "content": "hi"}),
        (Message(MessageRole.USER, ()), {"role": "user", "content": ""}),
        (Message(MessageRole.USER, RefusalPart("no")), {"role": "user", "content": "no"}),
        (Message(MessageRole.USER, JsonPart({"a": 1})), {"role": "user", "content": '{"a":1}'}),
        (
            Message(MessageRole.USER, ["a", ImageUrlPart("u")]),
            {"role": "user", "content": [text("a"), {"type": "image_url", "image_url": {"url": "u"}}]},
        ),
        (
            Message(MessageRole.USER, ImageBase64Part(PNG)),
            user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
        ),
        (
            Message(MessageRole.USER, ImageBase64Part("/9j/AA", detail="low")),
            user({"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/AA", "detail": "low"}}),
        ),
        (
            Message(MessageRole.USER, AudioPart("AA", "audio/x-wav")),
            user({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
        ),
        (
            Message(MessageRole.USER, AudioPart("AA")),
            user({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
        ),
        (
            Message(MessageRole.USER, AudioPart("SUQzAA==")),
            user({"type": "input_audio", "input_audio": {"data": "SUQzAA==", "format": "mp3"}}),
        ),
        (
            Message(MessageRole.USER, AudioPart("AA", vendor_extensions={OWN: {"input_audio": {"format": "flac"}}})),
            user({"type": "input_audio", "input_audio": {"data": "AA", "format": "flac"}}),
        ),
        (
            Message(MessageRole.USER, FilePart(data="AA")),
            user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "document.pdf"}}),
        ),
        (
            Message(MessageRole.USER, FilePart(data="AA", media_type="x/y")),
            user({"type": "file", "file": {"file_data": "data:x/y;base64,AA", "filename": "document"}}),
        ),
        (Message(MessageRole.USER, VendorPart(CHAT, {"type": "new"})), user({"type": "new"})),
        (
            Message(MessageRole.USER, TextPart("a", vendor_extensions={"cache_control": {"type": "ephemeral"}})),
            user(text("a", cache_control={"type": "ephemeral"})),
        ),
        (Message(MessageRole.ASSISTANT, ()), {"role": "assistant", "content": ""}),
        (Message(MessageRole.ASSISTANT, RefusalPart("no")), {"role": "assistant", "refusal": "no"}),
        (
            Message(MessageRole.ASSISTANT, [ReasoningPart("hm"), TextPart("a")]),
            {"role": "assistant", "reasoning_content": "hm", "content": "a"},
        ),
        (
            Message(MessageRole.ASSISTANT, ReasoningPart(summary=("h", "m"))),
            {"role": "assistant", "reasoning_content": "hm"},
        ),
        (
            Message(MessageRole.ASSISTANT, ToolCallPart("c1", "look", {"a": 1})),
            {"role": "assistant", "tool_calls": [call(arguments='{"a":1}')]},
        ),
        (
            Message(MessageRole.ASSISTANT, AudioPart("AA", vendor_extensions={OWN: {"id": "audio_1", "expires_at": 9}})),
            {"role": "assistant", "audio": {"id": "audio_1"}},
        ),
        (ToolResultPart("c1", "3"), {"role": "tool", "tool_call_id": "c1", "content": "3"}),
        (ToolResultPart("c1", {"a": 1}, "look"), {"role": "tool", "tool_call_id": "c1", "name": "look", "content": '{"a":1}'}),
        (ToolResultPart("c1", (TextPart("3"),)), {"role": "tool", "tool_call_id": "c1", "content": "3"}),
        (ToolResultPart("c1", ()), {"role": "tool", "tool_call_id": "c1", "content": ""}),
        (
            ToolResultPart("c1", (TextPart("3"), JsonPart([1]))),
            {"role": "tool", "tool_call_id": "c1", "content": [text("3"), text("[1]")]},
        ),
        (VendorPart(CHAT, {"role": "critic"}), {"role": "critic"}),
    ],
)
def test_a_value_made_by_hand_has_its_form(given: Any, expected: Json) -> None:
    """Every part and item that a caller may build is written in the API's form, without loss."""
    payload, losses = emit_request_with_losses(WIRE, LlmRequest("m", given))
    assert (payload["messages"], losses) == ([expected], ())


def test_loose_items_join_the_assistant_turn_around_them() -> None:
    """Reasoning, message and calls of one turn become one message; results one each; the next turn another."""
    assert written(
        Message.user("hi"),
        ReasoningPart("hm"),
        Message.assistant("wait"),
        ToolCallPart("c1", "look", {}),
        ToolCallPart("c2", "seek", {}),
        ToolResultPart("c1", "1"),
        ToolResultPart("c2", "2"),
        Message.assistant("done"),
    ) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "wait", "reasoning_content": "hm", "tool_calls": [call(), call("c2", "seek")]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "assistant", "content": "done"},
    ]


def test_messages_of_one_role_are_never_merged() -> None:
    """Two messages of the assistant in a row stay two, with the fields of each."""
    first = Message(MessageRole.ASSISTANT, "a", vendor_extensions={"name": "x"})
    assert written(first, Message.assistant("b")) == [
        {"role": "assistant", "content": "a", "name": "x"},
        {"role": "assistant", "content": "b"},
    ]
    assert written(first, ToolCallPart("c1", "look", {})) == [
        {"role": "assistant", "content": "a", "name": "x", "tool_calls": [call()]}
    ]


def test_results_inside_messages_become_messages_of_their_own() -> None:
    """Results in a user's message come before what the user says; a tool's message may hold several."""
    both = [ToolResultPart("c1", "1"), TextPart("and now?"), ToolResultPart("c2", "2")]
    first = {"role": "tool", "tool_call_id": "c1", "content": "1"}
    second = {"role": "tool", "tool_call_id": "c2", "content": "2"}
    said = {"role": "user", "content": "and now?", "name": "ada"}
    assert written(Message(MessageRole.USER, both, vendor_extensions={"name": "ada"})) == [first, second, said]
    assert written(Message(MessageRole.TOOL, [both[0], both[2]])) == [first, second]
    assert written(Message(MessageRole.TOOL, ())) == []


def test_calls_without_ids_are_numbered_and_matched_with_their_results() -> None:
    """What another wire left without ids gets the ids that its order gives; given ids stay."""
    messages = written(
        Message(MessageRole.ASSISTANT, [ToolCallPart("", "f", {}), ToolCallPart("own", "g", {}), ToolCallPart("", "h", {})]),
        ToolResultPart("", "1"),
        ToolResultPart("own", "2"),
        ToolResultPart("", "3"),
    )
    assert [found["id"] for found in messages[0]["tool_calls"]] == ["call_0", "own", "call_1"]
    assert [message["tool_call_id"] for message in messages[1:]] == ["call_0", "own", "call_1"]


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_an_endpoint_may_want_texts_as_arrays(role: str) -> None:
    """``text_content="array"`` writes every plain text as a list of one part."""
    made = LlmRequest("m", [Message.text(role, "hi"), ToolResultPart("c", "3")], instructions="i")
    payload, _ = emit_request_with_losses(WIRE, made, text_content="array")
    assert [message["content"] for message in payload["messages"]] == [[text("i")], [text("hi")], [text("3")]]


@pytest.mark.parametrize(
    ("said", "asked", "expected"),
    [(True, None, True), (None, None, None), (True, False, False), (None, True, True), (False, True, True)],
)
def test_the_call_decides_whether_it_streams(said: bool | None, asked: bool | None, expected: bool | None) -> None:
    """``stream`` of the emission overrides what the request says; options of a stream that is none are left out."""
    parsed = parse_request(CHAT, request(stream=said, stream_options={"include_usage": True}))
    payload = emit_request(CHAT, parsed, stream=asked)
    assert payload.get("stream") is expected
    assert ("stream_options" in payload) is (asked is not False)


# --- edits --------------------------------------------------------------------------------------------------------------------


def test_an_edited_text_is_sent_and_the_form_of_its_content_stays() -> None:
    """After an edit only the edit changes: an array stays an array."""
    parsed = parse_request(CHAT, request({**user(text("old")), "name": "ada"}))
    (message,) = parsed.input
    edited = dataclasses.replace(message, parts=(TextPart("new"),))
    assert emit_request(CHAT, dataclasses.replace(parsed, input=(edited,))) == request({**user(text("new")), "name": "ada"})


@pytest.mark.parametrize("value", ["Rome", True, 1.0, None])
def test_arguments_changed_in_place_are_sent(value: Any) -> None:
    """The kept message does not outlive a change of a value inside the arguments, however equal the new value looks."""
    payload = request({"role": "assistant", "tool_calls": [call(arguments='{"city":1}', index=0), {"id": "odd", "type": "new"}]})
    del payload["messages"][0]["tool_calls"][0]["id"]
    odd = {"role": "assistant", "content": [text("alone")], "tool_calls": [call(arguments='{"city":1}')]}
    for given in (payload, request(odd)):
        parsed = parse_request(CHAT, given)
        next(part for part in parsed.input[0].parts if isinstance(part, ToolCallPart)).arguments["city"] = value
        (out,) = emit_request(CHAT, parsed)["messages"]
        sent = json.loads(out["tool_calls"][0]["function"]["arguments"])["city"]
        assert (sent, type(sent)) == (value, type(value))


def test_a_kept_message_of_another_wire_is_not_used() -> None:
    """Only this wire's own message serves emission here."""
    for raw in (
        RawMessage(CLAUDE, {"role": "user", "content": "x"}),
        RawMessage(CHAT, "no object"),
        RawMessage(CHAT, {"role": "critic"}),
    ):
        message = Message(MessageRole.USER, "hi", raw_message=raw)
        assert written(message) == [{"role": "user", "content": "hi"}]


# --- the row ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {}}, {"include_usage": True}),
        ({"stream_options": {"include_obfuscation": False}}, {"include_obfuscation": False, "include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
        ({"stream_options": "odd"}, "odd"),
    ],
)
def test_usage_is_asked_for_without_overruling_the_caller(body: Json, expected: Any) -> None:
    """``include_usage`` is added where the caller said nothing of it; the body given is not changed."""
    before = copy.deepcopy(body)
    assert codec(WIRE).ask_for_usage(body)["stream_options"] == expected
    assert body == before


def test_the_transport_request_names_the_path() -> None:
    """The path below the base, the content types and the body are the format's."""
    report = emit_transport_request(WIRE, LlmRequest("m", "hi", stream=True))
    assert (report.value.path, report.value.accept) == ("/chat/completions", "text/event-stream")
    assert report.bridged


@pytest.mark.parametrize(
    ("cap", "payload", "name"),
    [
        (None, {}, "max_completion_tokens"),
        ("max_completion_tokens", {}, "max_completion_tokens"),
        ("max_tokens", {}, "max_tokens"),
        (None, {"max_tokens": 9}, "max_tokens"),
        ("max_completion_tokens", {"max_tokens": 9}, "max_tokens"),
        ("max_tokens", {"max_completion_tokens": 9}, "max_tokens"),
    ],
)
def test_the_cap_of_the_output_has_the_name_that_the_endpoint_knows(cap: str | None, payload: dict[str, int], name: str) -> None:
    """A host of old may know ``max_tokens`` alone; what came under that name goes out under it."""
    parsed = parse_request(CHAT, {"model": "m", "messages": [], **(payload or {"max_completion_tokens": 9})})
    written, losses = emit_request_with_losses(WIRE, parsed, output_cap=cap)
    assert written == {"model": "m", "messages": [], name: 9}
    assert losses == ()
