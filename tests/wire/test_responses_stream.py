"""Streams of Responses, read: events, the whole answer, and servers that leave things out."""

from __future__ import annotations

import json
from typing import Any

import pytest

import omnillm as o

P = o.ProviderProtocol.OPENAI_RESPONSES
CREATED = {"id": "resp_1", "object": "response", "created_at": 7, "status": "in_progress", "model": "gpt-test", "output": []}
USED = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}

Json = dict[str, Any]


def frame(kind: str | None, **fields: Any) -> o.SseFrame:
    return o.SseFrame(kind, json.dumps({"type": kind, **fields} if kind else fields))


DONE = o.SseFrame(None, "[DONE]")
OPENED = frame("response.created", response=CREATED, sequence_number=0)


def completed(*output: Json, kind: str = "completed", **more: Any) -> o.SseFrame:
    response = {**CREATED, "status": kind, "output": list(output), "usage": USED, **more}
    return frame(f"response.{kind}", response=response, sequence_number=99)


def added(item: Json, index: int = 0) -> o.SseFrame:
    return frame("response.output_item.added", item=item, output_index=index)


def ended(item: Json, index: int = 0) -> o.SseFrame:
    return frame("response.output_item.done", item=item, output_index=index)


def piece(name: str, delta: Any, index: int = 0, **more: Any) -> o.SseFrame:
    return frame(f"response.{name}.delta", delta=delta, output_index=index, item_id="i", obfuscation="xx", **more)


def message(*content: Json, **more: Any) -> Json:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", **more}
    return {**head, "content": list(content)}


def said(text: str, **more: Any) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], **more}


def call(arguments: str = '{"a":1}', **more: Any) -> Json:
    return {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "look", "arguments": arguments, **more}


def thought(summary: list[str] | None = None, content: list[str] | None = None, **more: Any) -> Json:
    out: Json = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": t} for t in summary or []]}
    if content is not None:
        out["content"] = [{"type": "reasoning_text", "text": t} for t in content]
    return {**out, **more}


def events(*frames: o.SseFrame) -> list[Any]:
    parser = o.StreamParser(P)
    found = [event for given in frames for event in parser.feed(given)]
    return found + list(parser.finish())


def told(found: list[Any]) -> list[Any]:
    """Give the events between the opening and the end, without their items' details."""
    return [
        event for event in found if not isinstance(event, o.ResponseStarted | o.OutputItemAdded | o.UsageUpdated | o.Completed)
    ]


def answer(found: list[Any]) -> o.LlmResponse:
    assert sum(isinstance(event, o.Completed) for event in found) == 1
    last = found[-1]
    assert isinstance(last, o.Completed)
    response: o.LlmResponse = last.response
    assert "".join(event.delta for event in found if isinstance(event, o.TextDelta)) == response.text
    return response


NOTE = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
SUMMARY_PART = o.ContentPartAdded(o.ReasoningPart(summary=("",)))
WHOLE: list[tuple[str, list[o.SseFrame], list[Any], Any]] = [
    (
        "text",
        [
            added(message(status="in_progress")),
            frame("response.content_part.added", part=said(""), output_index=0, content_index=0),
            piece("output_text", "Hel"),
            piece("output_text", "lo"),
            piece("output_text", ""),
            frame("response.output_text.done", text="Hello", output_index=0, content_index=0),
            frame("response.content_part.done", part=said("Hello"), output_index=0, content_index=0),
            ended(message(said("Hello"))),
            completed(message(said("Hello"))),
        ],
        [o.TextDelta("Hel"), o.TextDelta("lo")],
        ("Hello", "", []),
    ),
    (
        "two_texts",
        [
            added(message()),
            piece("output_text", "a", content_index=0),
            frame("response.content_part.added", part=said(""), output_index=0, content_index=1),
            piece("output_text", "b", content_index=1),
            completed(message(said("a"), said("b"))),
        ],
        [o.TextDelta("a"), o.ContentPartAdded(o.TextPart("")), o.TextDelta("b")],
        ("ab", "", []),
    ),
    (
        "refusal",
        [
            added(message()),
            piece("refusal", "No"),
            frame("response.refusal.done", refusal="No.", output_index=0, content_index=0),
            completed(message({"type": "refusal", "refusal": "No."})),
        ],
        [o.RefusalDelta("No"), o.RefusalDelta(".")],
        ("", "", []),
    ),
    (
        "citation",
        [
            added(message()),
            piece("output_text", "x"),
            frame("response.output_text.annotation.added", annotation=NOTE, output_index=0, content_index=0),
            frame("response.output_text.annotation.added", annotation=None, output_index=0, content_index=0),
            completed(message(said("x", annotations=[NOTE]))),
        ],
        [o.TextDelta("x"), o.AnnotationAdded(o.Annotation("url_citation", "u", "t", 0, 1, raw=NOTE))],
        ("x", "", []),
    ),
    (
        "calls",
        [
            added(call("")),
            piece("function_call_arguments", '{"a"'),
            piece("function_call_arguments", ":1}"),
            frame("response.function_call_arguments.done", arguments='{"a":1}', output_index=0),
            ended(call()),
            added(call("", call_id="c2"), 1),
            ended(call("{}", call_id="c2"), 1),
            completed(call(), call("{}", call_id="c2", id="fc_2")),
        ],
        [
            o.ToolCallDelta("c1", "look", ""),
            o.ToolCallDelta("c1", "look", '{"a"'),
            o.ToolCallDelta("c1", "look", ":1}"),
            o.ToolCallDelta("c2", "look", "", 1),
            o.ToolCallDelta("c2", "look", "{}", 1),
        ],
        ("", "", [("c1", {"a": 1}), ("c2", {})]),
    ),
    (
        "custom_call",
        [
            added({"type": "custom_tool_call", "id": "i", "call_id": "c1", "name": "sh", "input": ""}),
            piece("custom_tool_call_input", "ls"),
            frame("response.custom_tool_call_input.done", input="ls -l", output_index=0),
            completed({"type": "custom_tool_call", "id": "i", "call_id": "c1", "name": "sh", "input": "ls -l"}),
        ],
        [o.ToolCallDelta("c1", "sh", ""), o.ToolCallDelta("c1", "sh", "ls"), o.ToolCallDelta("c1", "sh", " -l")],
        ("", "", [("c1", "ls -l")]),
    ),
    (
        "reasoning",
        [
            added(thought()),
            frame(
                "response.reasoning_summary_part.added",
                part={"type": "summary_text", "text": ""},
                output_index=0,
                summary_index=0,
            ),
            piece("reasoning_summary_text", "a", summary_index=0),
            piece("reasoning_summary_text", "b", summary_index=1),
            frame("response.reasoning_summary_text.done", text="b", output_index=0, summary_index=1),
            frame("response.reasoning_summary_part.done", output_index=0, summary_index=1),
            piece("reasoning_text", "c"),
            ended(thought(["a", "b"], ["c"], encrypted_content="gA")),
            completed(thought(["a", "b"], encrypted_content="gA")),
        ],
        [
            SUMMARY_PART,
            o.ReasoningDelta("a"),
            SUMMARY_PART,
            o.ReasoningDelta("b"),
            o.ContentPartAdded(o.ReasoningPart()),
            o.ReasoningDelta("c"),
            o.ReasoningDelta("", encrypted_content="gA"),
        ],
        ("", "ab", []),
    ),
    (
        "hosted_tool",
        [
            added({**SEARCH, "status": "in_progress"}),
            frame("response.web_search_call.searching", item_id="ws_1", output_index=0),
            ended(SEARCH),
            completed(SEARCH),
        ],
        [
            o.VendorEvent(P, {"type": "response.web_search_call.searching", "item_id": "ws_1", "output_index": 0}),
            o.VendorEvent(P, {"type": "response.output_item.done", "item": SEARCH, "output_index": 0}),
        ],
        ("", "", []),
    ),
    (
        "result",
        [
            added({"type": "function_call_output", "call_id": "c1", "output": ""}),
            ended({"type": "function_call_output", "call_id": "c1", "output": "x"}),
            completed({"type": "function_call_output", "call_id": "c1", "output": "x"}),
        ],
        [o.ToolResultAdded(o.ToolResultPart("c1", "x"))],
        ("", "", []),
    ),
    (
        "unknown",
        [frame("response.new_thing", a=1), frame(None, b=2), completed()],
        [o.VendorEvent(P, {"type": "response.new_thing", "a": 1}), o.VendorEvent(P, {"b": 2})],
        ("", "", []),
    ),
    (
        "nothing_but_the_end",
        [completed(message(said("Hello")), call())],
        [o.TextDelta("Hello"), o.ToolCallDelta("c1", "look", "", 1), o.ToolCallDelta("c1", "look", '{"a":1}', 1)],
        ("Hello", "", [("c1", {"a": 1})]),
    ),
    (
        "no_deltas",
        [added(message()), ended(message(said("Hello"))), completed(message(said("Hello")))],
        [o.TextDelta("Hello")],
        ("Hello", "", []),
    ),
    (
        "no_output_at_the_end",
        [added(message()), piece("output_text", "Hello"), ended(message(said("Hello"))), completed()],
        [o.TextDelta("Hello")],
        ("Hello", "", []),
    ),
    (
        "nothing_is_announced",
        [piece("output_text", "a"), piece("output_text", "b"), completed(message(said("ab")))],
        [o.TextDelta("a"), o.TextDelta("b")],
        ("ab", "", []),
    ),
    (
        "a_call_that_waits_for_its_name",
        [piece("function_call_arguments", '{"a":'), piece("function_call_arguments", "1}"), ended(call()), completed(call())],
        [o.ToolCallDelta("c1", "look", '{"a":1}')],
        ("", "", [("c1", {"a": 1})]),
    ),
    (
        "without_indices",
        [
            frame("response.output_item.added", item=message()),
            frame("response.output_text.delta", delta="x"),
            frame("response.output_text.delta", delta="y", item_id="msg_1"),
            frame("response.output_item.done", item=message(said("xy"))),
            completed(message(said("xy"))),
        ],
        [o.TextDelta("x"), o.TextDelta("y")],
        ("xy", "", []),
    ),
]


@pytest.mark.parametrize(("frames", "expected", "whole"), [pytest.param(*row, id=name) for name, *row in WHOLE])
def test_what_a_stream_tells(frames: list[o.SseFrame], expected: list[Any], whole: Any) -> None:
    """Deltas are told as they come, what no delta said at the end, and the last event holds the answer."""
    found = events(OPENED, frame("response.in_progress", response=CREATED), *frames, DONE)
    assert told(found) == expected
    response = answer(found)
    assert (response.text, response.reasoning_text, [(c.call_id, c.arguments) for c in response.tool_calls]) == whole
    assert (response.response_id, response.model, response.usage.total()) == ("resp_1", "gpt-test", 5)
    assert found[0] == o.ResponseStarted("resp_1", "gpt-test", P, vendor_extensions={P.wire_format.value: {"created_at": 7}})
    assert o.UsageUpdated(response.usage) in found


def test_items_are_announced_at_their_place() -> None:
    """An item is announced once, empty, with its id."""
    found = events(OPENED, added(thought()), added(message(status="in_progress"), 1), added(call(), 2), completed())
    items = [(event.index, event.item) for event in found if isinstance(event, o.OutputItemAdded)]
    assert [index for index, _ in items] == [0, 1, 2]
    assert [type(item) for _, item in items] == [o.ReasoningPart, o.Message, o.ToolCallPart]
    assert items[1][1].vendor_extensions[P.wire_format.value]["id"] == "msg_1"
    assert items[2][1].arguments == {}


def test_a_bare_done_ends_a_stream_of_items() -> None:
    """Compatible servers may end without a terminal event: the answer is put together from what came."""
    frames = [
        OPENED,
        added(thought()),
        piece("reasoning_summary_text", "Hm.", summary_index=0),
        added(message(), 1),
        piece("output_text", "a", 1, content_index=0),
        frame("response.output_text.annotation.added", annotation=NOTE, output_index=1, content_index=0),
        piece("refusal", "No.", 1, content_index=1),
        added(call(""), 2),
        piece("function_call_arguments", "{}", 2),
        DONE,
    ]
    response = answer(events(*frames))
    assert (response.text, response.reasoning_text, response.refusal) == ("a", "Hm.", "No.")
    assert response.output[1].parts[0].annotations[0].url == "u"  # type: ignore[union-attr]  # a message, by its place
    assert response.tool_calls[0].arguments == {}
    assert (response.finish_reason, response.usage.estimated) == (o.FinishReason.TOOL_CALL, True)


def test_a_stream_that_starts_late_is_opened_by_its_first_event() -> None:
    """Without ``response.created`` the start says what is known."""
    found = events(added(message()), piece("output_text", "x"), completed(message(said("x"))))
    assert found[0] == o.ResponseStarted(None, "", P)
    assert answer(found).response_id == "resp_1"
    found = events(completed(message(said("x"))))
    assert found[0].response_id == "resp_1"


@pytest.mark.parametrize(
    ("kind", "details", "reason"),
    [
        ("incomplete", {"reason": "max_output_tokens"}, o.FinishReason.LENGTH),
        ("cancelled", None, o.FinishReason.CANCELLED),
    ],
)
def test_how_a_stream_may_end(kind: str, details: Any, reason: o.FinishReason) -> None:
    """Every terminal event but a failure gives the answer so far."""
    frames = (
        OPENED,
        added(message()),
        piece("output_text", "x"),
        completed(message(said("x")), kind=kind, incomplete_details=details),
    )
    response = answer(events(*frames))
    assert (response.finish_reason, response.raw_finish_reason) == (reason, kind)


def test_a_terminal_event_may_lack_what_the_first_one_said() -> None:
    """Id, model and status are then those that are known."""
    found = events(OPENED, frame("response.completed", response={"output": [message(said("x"))]}))
    response = answer(found)
    assert (response.response_id, response.model, response.raw_finish_reason) == ("resp_1", "gpt-test", "completed")


def test_an_end_without_a_response_may_say_what_was_used() -> None:
    """And its name may stand in the event's line alone."""
    response = answer(events(piece("output_text", "x"), o.SseFrame("response.completed", json.dumps({"usage": USED}))))
    assert (response.usage.prompt_tokens, response.finish_reason) == (3, o.FinishReason.STOP)


def test_an_end_without_a_response_may_say_what_was_answered_or_why_not() -> None:
    """What such an event has of an output, or of an error, is not lost."""
    assert answer(events(frame("response.completed", output=[message(said("x"))], usage=USED))).text == "x"
    (failed,) = events(frame("response.failed", error={"code": "server_error", "message": "boom"}))
    assert (type(failed), failed.message) == (o.StreamFailed, "boom")


BARE_ENDS = [DONE, frame("response.completed", response={"output": []}), frame("response.completed")]


@pytest.mark.parametrize("end", BARE_ENDS, ids=["done", "empty", "no response"])
@pytest.mark.parametrize(
    ("given", "text", "refusal"),
    [
        ([piece("output_text", "Hel"), piece("output_text", "lo")], "Hello", None),
        ([frame("response.output_text.delta", delta="Hello")], "Hello", None),
        ([piece("refusal", "No.")], "", "No."),
    ],
)
def test_deltas_alone_make_the_models_message(end: o.SseFrame, given: list[o.SseFrame], text: str, refusal: str | None) -> None:
    """What no item was announced for is in the answer even so, as what the model said."""
    response = answer(events(*given, end))
    assert (response.text, response.refusal) == (text, refusal)
    assert [item.role for item in response.messages] == [o.MessageRole.ASSISTANT]


FAILURES: list[tuple[str, o.SseFrame, type, str]] = [
    ("flat", frame("error", code="rate_limit_exceeded", message="Slow.", param=None), o.RateLimitedError, "Slow."),
    ("nested", frame("error", error={"type": "invalid_request_error", "code": "x", "message": "No."}), o.BadRequestError, "No."),
    ("typeless", frame(None, error={"message": "No."}), o.ServerError, "No."),
    (
        "failed",
        frame("response.failed", response={**CREATED, "status": "failed", "error": {"code": "server_error", "message": "Oops"}}),
        o.ServerError,
        "Oops",
    ),
]


@pytest.mark.parametrize(("last", "kind", "text"), [pytest.param(*row, id=name) for name, *row in FAILURES])
def test_a_failure_ends_the_stream(last: o.SseFrame, kind: type, text: str) -> None:
    """One event says what failed, and nothing comes after it."""
    found = events(OPENED, last, completed(message(said("x"))))
    assert [type(event) for event in found] == [o.ResponseStarted, o.StreamFailed]
    assert type(found[1].error) is kind
    assert found[1].message == text


def test_a_stream_without_its_end_is_incomplete() -> None:
    """What arrived is given with the error."""
    parser = o.StreamParser(P)
    assert parser.partial() is None
    assert parser.feed(DONE) == parser.feed(o.SseFrame(None, "")) == []
    for given in (OPENED, added(message()), piece("output_text", "Hel")):
        parser.feed(given)
    partial = parser.partial()
    assert partial is not None
    assert (partial.text, partial.finish_reason) == ("Hel", None)
    with pytest.raises(o.IncompleteStreamError) as caught:
        parser.finish()
    assert caught.value.partial_response == partial


@pytest.mark.parametrize(
    "given",
    [
        o.SseFrame(None, "{"),
        o.SseFrame(None, "[]"),
        frame("response.created"),
        frame("response.completed", response=7),
        frame("response.completed", response={"id": 7, "output": []}),
        piece("output_text", 7),
        frame("response.failed"),
        frame("response.output_item.done", output_index=0, item={"type": "function_call_output", "call_id": 7}),
    ],
)
def test_a_frame_of_another_shape_is_refused(given: o.SseFrame) -> None:
    """A bad frame raises, it is never passed over."""
    with pytest.raises(o.ProtocolError):
        o.StreamParser(P).feed(given)


SINGLE: list[tuple[o.SseFrame, Any]] = [
    (piece("output_text", "x", 2), o.TextDelta("x", 2)),
    (piece("refusal", "x"), o.RefusalDelta("x")),
    (piece("function_call_arguments", "{", 1), o.ToolCallDelta("", "", "{", 1)),
    (piece("custom_tool_call_input", "{", 1), o.ToolCallDelta("", "", "{", 1)),
    (added(call("")), o.ToolCallDelta("c1", "look", "")),
    (frame("response.content_part.done", output_index=0), None),
    (frame("response.output_text.done", text="x", output_index=0), None),
    (ended(message(said("x"))), None),
    (ended(SEARCH), o.VendorEvent(P, {"type": "response.output_item.done", "item": SEARCH, "output_index": 0})),
    (o.SseFrame(None, " "), None),
    (DONE, None),
    (o.SseFrame(None, '{"type":[]}'), o.VendorEvent(P, {"type": []})),
    (frame("response.new", a=1), o.VendorEvent(P, {"type": "response.new", "a": 1})),
]


@pytest.mark.parametrize(("given", "expected"), SINGLE)
def test_a_frame_by_itself(given: o.SseFrame, expected: Any) -> None:
    """A frame alone is read as far as it goes."""
    assert o.parse_stream_event(P, given) == expected


def test_the_first_and_the_last_frame_by_themselves() -> None:
    """The opening and the end say what they say in a stream."""
    assert isinstance(o.parse_stream_event(P, OPENED), o.ResponseStarted)
    assert isinstance(o.parse_stream_event(P, added(message())), o.OutputItemAdded)
    last = o.parse_stream_event(P, completed(message(said("x"))))
    assert isinstance(last, o.Completed)
    assert last.response.text == "x"
