"""Streams of Responses, written: the grammar of events, and that they say what the events said."""

from __future__ import annotations

import json
from typing import Any

import pytest

import omnillm as o

P = o.ProviderProtocol.OPENAI_RESPONSES
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = o.ProviderProtocol.CLAUDE_MESSAGES

Json = dict[str, Any]


def response(*parts: Any, protocol: o.ProviderProtocol = CHAT, **more: Any) -> o.LlmResponse:
    message = o.Message("assistant", parts)
    return o.LlmResponse((message,), o.TokenUsage(3, 2), "m", protocol, o.FinishReason.STOP, response_id="r1", **more)


def write(*events: Any) -> list[Json]:
    emitter = o.StreamEmitter(P)
    frames = [frame for event in events for frame in emitter.feed(event)] + list(emitter.finish())
    data = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in data]
    assert [event["sequence_number"] for event in data] == list(range(len(data)))
    return data


def kinds(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def reading(events: list[Json]) -> o.LlmResponse:
    parser = o.StreamParser(P)
    found = [event for data in events for event in parser.feed(o.SseFrame(data["type"], json.dumps(data)))]
    assert isinstance(found[-1], o.Completed)
    whole: o.LlmResponse = found[-1].response
    assert "".join(event.delta for event in found if isinstance(event, o.TextDelta)) == whole.text
    return whole


STARTED = o.ResponseStarted("r1", "m", CHAT)
NOTE = o.Annotation("web", "https://x.test", "X")

TEXT = ["content_part.added", "output_text.delta", "output_text.done", "content_part.done"]
GRAMMAR: list[tuple[str, list[Any], list[str], Any]] = [
    (
        "text",
        [
            STARTED,
            o.OutputItemAdded(o.Message("assistant", [])),
            o.TextDelta("Hel"),
            o.TextDelta("lo"),
            response(o.TextPart("Hello")),
        ],
        ["output_item.added", *TEXT[:2], "output_text.delta", *TEXT[2:], "output_item.done"],
        ("Hello", "", []),
    ),
    (
        "reasoning_then_text",
        [STARTED, o.ReasoningDelta("Hm."), o.TextDelta("x"), response(o.ReasoningPart("Hm."), o.TextPart("x"))],
        [
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            *TEXT,
            "output_item.done",
        ],
        ("x", "Hm.", []),
    ),
    (
        "refusal",
        [STARTED, o.RefusalDelta("No."), response(o.RefusalPart("No."))],
        ["output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done"],
        ("", "", []),
    ),
    (
        "calls_that_take_turns",
        [
            STARTED,
            o.ToolCallDelta("a", "f", ""),
            o.ToolCallDelta("b", "g", '{"x"'),
            o.ToolCallDelta("a", "f", "{}"),
            o.ToolCallDelta("b", "g", ":1}"),
            response(o.ToolCallPart("a", "f", {}), o.ToolCallPart("b", "g", {"x": 1})),
        ],
        [
            "output_item.added",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "function_call_arguments.done",
            "output_item.done",
        ],
        ("", "", [("a", "f", {}), ("b", "g", {"x": 1})]),
    ),
    (
        "citation",
        [
            STARTED,
            o.TextDelta("x"),
            o.AnnotationAdded(NOTE),
            o.AnnotationAdded(o.Annotation("x")),
            response(o.TextPart("x", (NOTE,))),
        ],
        ["output_item.added", *TEXT[:2], "output_text.annotation.added", *TEXT[2:], "output_item.done"],
        ("x", "", []),
    ),
    (
        "two_texts",
        [
            STARTED,
            o.TextDelta("a"),
            o.ContentPartAdded(o.TextPart("")),
            o.TextDelta("b"),
            response(o.TextPart("a"), o.TextPart("b")),
        ],
        ["output_item.added", *TEXT, *TEXT, "output_item.done"],
        ("ab", "", []),
    ),
    (
        "nothing_told",
        [response(o.ReasoningPart("", ("s",)), o.TextPart("x"), o.ToolCallPart("a", "f", {"x": 1}))],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            *TEXT,
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
        ],
        ("x", "s", [("a", "f", {"x": 1})]),
    ),
    (
        "half_told",
        [STARTED, o.TextDelta("Hel"), response(o.TextPart("Hello"), o.ToolCallPart("a", "f", {}))],
        [
            "output_item.added",
            *TEXT[:2],
            "output_text.delta",
            *TEXT[2:],
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
        ],
        ("Hello", "", [("a", "f", {})]),
    ),
    (
        "a_text_behind_a_call",
        [
            STARTED,
            o.TextDelta("a"),
            o.ToolCallDelta("c", "f", "{}"),
            o.TextDelta("b"),
            response(o.TextPart("a"), o.ToolCallPart("c", "f", {}), o.TextPart("b")),
        ],
        [
            "output_item.added",
            *TEXT,
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "output_item.added",
            *TEXT[:2],
            "function_call_arguments.done",
            "output_item.done",
            *TEXT[2:],
            "output_item.done",
        ],
        ("ab", "", [("c", "f", {})]),
    ),
    ("a_picture", [STARTED, response(o.ImageBase64Part("AAAA"))], ["output_item.added", "output_item.done"], ("", "", [])),
    (
        "what_has_no_form",
        [
            STARTED,
            o.VendorEvent(CLAUDE, {"type": "x"}),
            o.ToolResultAdded(o.ToolResultPart("c", "x")),
            o.ReasoningDelta("", signature="s"),
            o.TextDelta(""),
            o.RefusalDelta(""),
            o.AnnotationAdded(NOTE),
            o.ContentPartAdded(o.AudioPart("AAAA")),
            response(),
        ],
        ["output_item.added", "output_item.done"],
        ("", "", []),
    ),
]


@pytest.mark.parametrize(("events", "expected", "whole"), [pytest.param(*row, id=name) for name, *row in GRAMMAR])
def test_the_grammar_of_a_stream(events: list[Any], expected: list[str], whole: Any) -> None:
    """Every item is opened, filled and closed, and the last event holds the same answer."""
    data = write(*events[:-1], o.Completed(events[-1]))
    assert kinds(data) == ["created", "in_progress", *expected, "completed"]
    found = reading(data)
    calls = [(call.call_id, call.name, call.arguments) for call in found.tool_calls]
    assert (found.text, found.reasoning_text, calls) == whole
    assert found.refusal == events[-1].refusal
    final = data[-1]["response"]["output"]
    done = {event["output_index"]: event["item"] for event in data if event["type"] == "response.output_item.done"}
    assert [done[index] for index in sorted(done)] == final
    begun = {event["output_index"]: event["item"]["id"] for event in data if event["type"] == "response.output_item.added"}
    assert begun == {index: item["id"] for index, item in enumerate(final)}


def test_ids_are_derived() -> None:
    """The response's id, the item's kind and its place make an id; the same events make the same ids."""
    events = (STARTED, o.ReasoningDelta("Hm."), o.TextDelta("x"), o.Completed(response(o.ReasoningPart("Hm."), o.TextPart("x"))))
    data = write(*events)
    assert data == write(*events)
    assert [item["id"] for item in data[-1]["response"]["output"]] == ["rs_r1_0", "msg_r1_1"]
    assert {event["response"]["id"] for event in data if "response" in event} == {"resp_r1"}


def test_reported_usage_stands_in_for_an_estimate() -> None:
    """Usage may come in an event alone."""
    whole = o.LlmResponse((), o.TokenUsage(estimated=True), "m", CHAT)
    data = write(STARTED, o.UsageUpdated(o.TokenUsage(7, 1)), o.Completed(whole))
    assert data[-1]["response"]["usage"]["input_tokens"] == 7


def test_an_answer_that_was_cut_ends_as_incomplete() -> None:
    """The terminal event follows the status."""
    whole = o.LlmResponse((), o.TokenUsage(1, 2), "m", CHAT, o.FinishReason.LENGTH)
    assert kinds(write(o.Completed(whole)))[-1] == "incomplete"


def test_nothing_comes_after_the_end() -> None:
    """A failure is one frame; what follows an end is not written."""
    late = o.TextDelta("late")
    assert kinds(write(o.Completed(response()), late))[-1] == "completed"
    data = write(STARTED, o.StreamFailed("Oops"), late)
    assert data[-1] == {"type": "error", "code": "invalid_request_error", "message": "Oops", "param": None, "sequence_number": 2}
    slow = o.parse_error(P, 429, {"error": {"message": "Slow.", "code": "rate_limit_exceeded"}})
    assert write(o.StreamFailed("Slow.", slow))[-1]["code"] == "rate_limit_exceeded"


OWN_STREAM: list[Json] = [
    {
        "type": "response.created",
        "response": {"id": "resp_1", "object": "response", "status": "in_progress", "model": "m", "store": True},
    },
    {"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning", "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "a"},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "b"},
    {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "gA",
        },
    },
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {"id": "ws_1", "type": "web_search_call", "status": "in_progress"},
    },
    {"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1"},
    {
        "type": "response.output_item.done",
        "output_index": 1,
        "item": {"id": "ws_1", "type": "web_search_call", "status": "completed"},
    },
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": {"id": "ct_1", "type": "custom_tool_call", "call_id": "c", "name": "sh"},
    },
    {"type": "response.custom_tool_call_input.delta", "output_index": 2, "delta": "ls"},
    {
        "type": "response.output_item.added",
        "output_index": 3,
        "item": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "phase": "commentary",
            "content": [],
        },
    },
    {"type": "response.output_text.delta", "output_index": 3, "content_index": 0, "delta": "x"},
]
OWN_OUTPUT = [
    OWN_STREAM[4]["item"],
    OWN_STREAM[7]["item"],
    {"id": "ct_1", "type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"},
    {**OWN_STREAM[10]["item"], "status": "completed", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
]


def test_an_own_stream_keeps_its_items() -> None:
    """Ids, places, hosted tools and encrypted state of this protocol's own stream survive being written again."""
    final = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": OWN_OUTPUT, "usage": None}
    parser, emitter = o.StreamParser(P), o.StreamEmitter(P)
    stream = [*OWN_STREAM, {"type": "response.completed", "response": final}]
    events = [event for data in stream for event in parser.feed(o.SseFrame(data["type"], json.dumps(data)))]
    data = [json.loads(frame.data) for event in events for frame in emitter.feed(event)]
    assert data[0]["response"]["store"] is True
    assert data[-1]["response"]["output"] == OWN_OUTPUT
    begun = [(event["output_index"], event["item"]["id"]) for event in data if event["type"] == "response.output_item.added"]
    assert begun == [(0, "rs_1"), (1, "ws_1"), (2, "ct_1"), (3, "msg_1")]
    done = {event["output_index"]: event["item"] for event in data if event["type"] == "response.output_item.done"}
    assert [done[index] for index in sorted(done)] == OWN_OUTPUT
    summaries = [event["summary_index"] for event in data if event["type"] == "response.reasoning_summary_text.delta"]
    assert summaries == [0, 1]
    assert {"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1"}.items() <= data[
        kinds(data).index("web_search_call.searching")
    ].items()
    assert reading(data).output == parser.partial().output  # type: ignore[union-attr]  # it has started


def message(item_id: str, text: str, *annotations: Json) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": list(annotations)}] if text else []
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}


def test_items_of_an_own_stream_may_take_turns() -> None:
    """A text that goes on after another item began is not begun again, and a citation goes where it belongs."""
    cited = {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 1}
    final = {
        "id": "resp_1",
        "status": "completed",
        "model": "m",
        "output": [message("msg_1", "ab", cited), message("msg_2", "x")],
    }
    stream: list[Json] = [
        {"type": "response.created", "response": {"id": "resp_1", "model": "m", "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": message("msg_1", "")},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"},
        {"type": "response.output_item.added", "output_index": 1, "item": message("msg_2", "")},
        {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "x"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "b"},
        {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": cited},
        {"type": "response.completed", "response": final},
    ]
    transcoder = o.StreamTranscoder(P, P)
    frames = [frame for data in stream for frame in transcoder.feed(o.SseFrame(data["type"], json.dumps(data)))]
    data = [json.loads(frame.data) for frame in frames]
    assert kinds(data).count("output_item.added") == 2
    deltas = [(event["item_id"], event["content_index"], event["delta"]) for event in data if "delta" in event]
    assert deltas == [("msg_1", 0, "a"), ("msg_2", 0, "x"), ("msg_1", 0, "b")]
    assert [event["item_id"] for event in data if "annotation" in event] == ["msg_1"]
    done = {event["output_index"]: event["item"] for event in data if event["type"] == "response.output_item.done"}
    assert [done[0], done[1]] == data[-1]["response"]["output"] == final["output"]


def test_an_answer_that_failed_ends_as_failed() -> None:
    """A status of failure has a terminal event of its own."""
    whole = o.LlmResponse((), o.TokenUsage(1, 2), "m", CHAT, o.FinishReason.ERROR, "error")
    data = write(o.Completed(whole))
    assert kinds(data)[-1] == data[-1]["response"]["status"] == "failed"


def test_a_stream_of_chat_crosses() -> None:
    """A chunk's delta is a delta here at once."""
    transcoder = o.StreamTranscoder(CHAT, P)
    chunk = {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}
    frames = transcoder.feed(o.SseFrame(None, json.dumps(chunk)))
    assert json.loads(frames[-1].data)["delta"] == "Hel"
    transcoder.feed(o.SseFrame(None, json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})))
    frames = transcoder.feed(o.SseFrame(None, "[DONE]")) + transcoder.finish()
    assert frames[-1].event == "response.completed"


SINGLE: list[tuple[Any, str | None, Json]] = [
    (STARTED, "response.created", {}),
    (o.TextDelta("x", 2), "response.output_text.delta", {"delta": "x", "output_index": 2}),
    (o.RefusalDelta("x"), "response.refusal.delta", {"delta": "x"}),
    (o.ReasoningDelta("x"), "response.reasoning_text.delta", {"delta": "x"}),
    (o.ToolCallDelta("c", "f", ""), "response.output_item.added", {}),
    (o.ToolCallDelta("c", "f", "{", 1), "response.function_call_arguments.delta", {"delta": "{", "output_index": 1}),
    (o.OutputItemAdded(o.Message("assistant", []), 1), "response.output_item.added", {"output_index": 1}),
    (o.AnnotationAdded(NOTE), "response.output_text.annotation.added", {"annotation_index": 0}),
    (o.VendorEvent(P, {"type": "response.new", "a": 1}), "response.new", {"a": 1}),
    (o.VendorEvent(P, 7), None, {}),
    (o.UsageUpdated(o.TokenUsage(1, 2)), None, {}),
    (o.TextDelta(""), None, {}),
    (o.Completed(response(o.TextPart("x"))), "response.completed", {}),
    (o.StreamFailed("Oops"), "error", {"message": "Oops"}),
]


@pytest.mark.parametrize(("event", "kind", "fields"), SINGLE)
def test_an_event_by_itself(event: Any, kind: str | None, fields: Json) -> None:
    """An event alone has one frame, or none."""
    frame = o.emit_stream_event(P, event)
    assert (None if frame is None else frame.event) == kind
    assert frame is None or fields.items() <= json.loads(frame.data).items()


def test_an_answer_of_this_wire_made_by_hand_has_one_id_for_each_item():
    """Items without ids are given one, the same where they are added, where they are done and in the response."""
    call = o.ToolCallPart("call_1", "f", {"a": 1})
    answer = o.LlmResponse(
        (o.Message.assistant("Hello you"), call),
        o.TokenUsage(3, 2),
        "m",
        o.ProviderProtocol.OPENAI_RESPONSES,
        o.FinishReason.TOOL_CALL,
    )
    events = [
        o.ResponseStarted("resp_1", "m", o.ProviderProtocol.OPENAI_RESPONSES),
        o.TextDelta("Hello"),
        o.TextDelta(" you"),
        o.ToolCallDelta("call_1", "f", '{"a":1}', 1),
        o.Completed(answer),
    ]
    encoder = o.StreamEmitter(o.ProviderProtocol.OPENAI_RESPONSES)
    told = [json.loads(frame.data) for event in events for frame in encoder.feed(event)]
    added = [each["item"]["id"] for each in told if each["type"] == "response.output_item.added"]
    done = [each["item"]["id"] for each in told if each["type"] == "response.output_item.done"]
    assert added == done == [item["id"] for item in told[-1]["response"]["output"]]
    assert [each["type"] for each in told].count("response.output_text.delta") == 2
    assert len(set(added)) == 2
