"""Events written as a Messages stream: its grammar, and what is written of streams that were made elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic_messages import (
    CHAT,
    SIGNED,
    P,
    delta,
    emitted,
    frame,
    message,
    parsed,
    start,
    streamed,
    text,
    used,
)

import omnillm as o

CITED: dict[str, Any] = {
    "type": "page_location",
    "cited_text": "a",
    "document_index": 0,
    "start_page_number": 1,
    "end_page_number": 2,
}
ANNOTATION = o.Annotation("page_location", cited_text="a", raw=CITED)
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "rain"}}
STARTED = o.ResponseStarted("chatcmpl-1", "gpt", CHAT)
USAGE = o.TokenUsage(3, 5)


def done(*parts: Any, protocol: o.ProviderProtocol = CHAT, **fields: Any) -> o.Completed:
    reason = fields.pop("finish_reason", o.FinishReason.STOP)
    item = o.Message("assistant", parts)
    return o.Completed(o.LlmResponse((item,), USAGE, "gpt", protocol, reason, **fields))


def contents(events: list[Any]) -> list[dict[str, Any]]:
    """Give the blocks that a client accumulates of the frames."""
    frames = [o.SseFrame(None, json.dumps(payload)) for payload in emitted(events)]
    content: list[dict[str, Any]] = o.emit_response(P, parsed(frames)[-1].response)["content"]
    return content


@pytest.mark.parametrize(
    "answer",
    [
        message(text("Hello, world")),
        message(SIGNED, text("One"), text("Two", citations=[CITED]), SEARCH, text("Three"), used("t1", a=1), used("t2")),
        message({"type": "redacted_thinking", "data": "Em"}, SIGNED, {**SIGNED, "thinking": "And"}, text("Hi")),
        message(
            text("x"),
            stop_reason="stop_sequence",
            stop_sequence="END",
            container={"id": "c"},
            context_management={"applied_edits": []},
        ),
        message(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "No."}),
        message(text("x"), {**used("t1", a=1), "caller": {"type": "direct"}}, {**used("t2"), "toolset_name": None}),
        message({**text("x"), "later": 1}, stop_details=None, container=None),
    ],
)
def test_a_stream_of_the_same_protocol_says_the_same(answer: dict[str, Any]) -> None:
    """Read, written and read again, it is the same answer, block by block."""
    once = parsed(streamed(answer))
    again = parsed([o.SseFrame(None, json.dumps(payload)) for payload in emitted(once)])
    assert o.emit_response(P, again[-1].response) == answer


def test_what_a_block_says_beside_its_content_stands_in_its_opening() -> None:
    """Who called a tool, that a text may be cited: a client has it from the first event on."""
    called = {**used("t1"), "caller": {"type": "code_execution_20260120", "tool_id": "s1"}}
    cited = {**text(""), "citations": []}
    begun, *_, stopped, ended = streamed(message())
    events = parsed([begun, start(0, cited), delta(0, "text_delta", text="x"), start(1, called), stopped, ended])
    starts = [payload["content_block"] for payload in emitted(events) if payload["type"] == "content_block_start"]
    assert starts == [cited, called]


def test_the_grammar() -> None:
    """One message, blocks numbered and closed in turn, usage at both ends."""
    events = [
        STARTED,
        o.OutputItemAdded(o.Message("assistant", ())),
        o.UsageUpdated(o.TokenUsage(3, 1)),
        o.ReasoningDelta("Hm."),
        o.TextDelta("Hi"),
        o.TextDelta(""),
        o.ToolCallDelta("c1", "f", ""),
        o.ToolCallDelta("c1", "f", '{"a":1}'),
        done(
            o.ReasoningPart("Hm."), o.TextPart("Hi"), o.ToolCallPart("c1", "f", {"a": 1}), finish_reason=o.FinishReason.TOOL_CALL
        ),
    ]
    opening = {
        **message(),
        "id": "msg_chatcmpl-1",
        "model": "gpt",
        "stop_reason": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    assert emitted(events) == [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": text("")},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": used("c1")},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "content_block_stop", "index": 2},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"input_tokens": 3, "output_tokens": 5},
        },
        {"type": "message_stop"},
    ]


STREAMS: list[tuple[str, list[Any], list[dict[str, Any]]]] = [
    ("nothing", [done()], []),
    (
        "a_response_alone",
        [
            done(
                o.ReasoningPart("Hm."),
                o.TextPart("Hi"),
                o.TextPart("you", (ANNOTATION,)),
                o.ToolCallPart("c1", "f", {"a": 1}),
            )
        ],
        [{**SIGNED, "signature": ""}, text("Hi"), text("you", citations=[CITED]), used("c1", a=1)],
    ),
    (
        "reasoning_of_two_parts",
        [done(o.ReasoningPart("a"), o.ReasoningPart(summary=("b", "c")))],
        [{**SIGNED, "thinking": "a", "signature": ""}, {**SIGNED, "thinking": "b\n\nc", "signature": ""}],
    ),
    (
        "arguments_at_the_end",
        [STARTED, o.ToolCallDelta("c1", "f", ""), done(o.ToolCallPart("c1", "f", {"a": 1}))],
        [used("c1", a=1)],
    ),
    ("no_arguments", [STARTED, o.ToolCallDelta("c1", "f", ""), done(o.ToolCallPart("c1", "f", {}))], [used("c1")]),
    (
        "calls_side_by_side",
        [
            STARTED,
            o.ToolCallDelta("c:1", "f", ""),
            o.ToolCallDelta("c2", "f", ""),
            o.ToolCallDelta("c:1", "f", '{"a":'),
            o.ToolCallDelta("c2", "f", "{}"),
            o.ToolCallDelta("c:1", "f", "1}"),
            done(),
        ],
        [used("c_1", a=1), used("c2")],
    ),
    (
        "another_providers_state",
        [
            STARTED,
            o.ReasoningDelta("Hm.", signature="x"),
            o.ReasoningDelta("", signature="x"),
            o.ReasoningDelta("", encrypted_content="x"),
            done(),
        ],
        [{**SIGNED, "signature": ""}],
    ),
    (
        "own_state",
        [o.ReasoningDelta("Hm.", signature="Eq"), o.ReasoningDelta("", encrypted_content="Em"), done()],
        [SIGNED, {"type": "redacted_thinking", "data": "Em"}],
    ),
    (
        "another_providers_citation",
        [
            STARTED,
            o.TextDelta("Hi"),
            o.AnnotationAdded(o.Annotation("url_citation", url="https://x.example/")),
            done(o.TextPart("Hi")),
        ],
        [text("Hi")],
    ),
    (
        "a_citation_first",
        [
            o.AnnotationAdded(ANNOTATION),
            o.TextDelta("Hi"),
            done(),
        ],
        [text("Hi", citations=[CITED])],
    ),
    (
        "announced_parts",
        [
            STARTED,
            o.ContentPartAdded(o.RefusalPart("")),
            o.ContentPartAdded(o.ReasoningPart("Hm.")),
            o.TextDelta("a"),
            o.ContentPartAdded(o.TextPart("")),
            o.TextDelta("b"),
            done(),
        ],
        [text("a"), text("b")],
    ),
    (
        "a_part_given_whole",
        [
            o.ResponseStarted(provider_protocol=P),
            o.ContentPartAdded(o.ImageUrlPart("https://x.example/")),
            done(o.ImageUrlPart("https://x.example/"), o.ImageUrlPart("https://y.example/")),
        ],
        [{"type": "image", "source": {"type": "url", "url": f"https://{host}.example/"}} for host in "xy"],
    ),
    (
        "a_part_without_a_form",
        [
            STARTED,
            o.ContentPartAdded(o.AudioPart("AA==")),
            o.ContentPartAdded(o.ImageUrlPart("https://x.example/")),
            o.ToolResultAdded(o.ToolResultPart("c", "x")),
            done(o.AudioPart("AA==")),
        ],
        [],
    ),
    ("own_blocks", [o.ContentPartAdded(o.VendorPart(P, SEARCH)), done(o.VendorPart(P, SEARCH), protocol=P)], [SEARCH]),
]


@pytest.mark.parametrize(("events", "content"), [pytest.param(*row, id=name) for name, *row in STREAMS])
def test_what_a_client_accumulates(events: list[Any], content: list[dict[str, Any]]) -> None:
    """Streams of other protocols, and those made by hand, add up to the answer."""
    assert contents(events) == content


def test_a_refusal_is_in_the_ending() -> None:
    """Its deltas, or the final response's parts, are the explanation."""
    for events in ([STARTED, o.RefusalDelta("I "), o.RefusalDelta("won't."), done()], [done(o.RefusalPart("I won't."))]):
        assert emitted(events)[-2]["delta"] == {
            "stop_reason": "refusal",
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": None, "explanation": "I won't."},
        }


def test_the_start_keeps_what_the_provider_said() -> None:
    """Fields of the message that only this wire knows are in its start; an id is made where there is none."""
    opening = message(container={"id": "c"}, stop_reason=None)
    assert emitted(parsed([frame("message_start", message=opening), frame("message_stop")]))[0]["message"] == opening
    assert emitted([o.TextDelta("Hi")])[0]["message"]["id"] == "msg_0"
    assert emitted([STARTED, o.ResponseStarted("x", "y", CHAT), o.TextDelta("Hi")])[0]["message"]["model"] == "gpt"


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (o.VendorEvent(P, {"type": "a_kind_of_tomorrow"}), ["message_start", "a_kind_of_tomorrow"]),
        (o.VendorEvent(CHAT, {"type": "x"}), []),
        (o.VendorEvent(P, {"type": 7}), []),
        (o.VendorEvent(P, "x"), []),
        (o.VendorEvent(P, {"type": "content_block_delta", "index": 0}), []),
    ],
)
def test_an_event_of_the_vendor(event: o.VendorEvent, kinds: list[str]) -> None:
    """Its own are passed on, unless the block that they are about is not open."""
    assert [payload["type"] for payload in emitted([event])] == kinds


def test_an_unknown_delta_reaches_its_block() -> None:
    """It stands between the frames of the open block of its number."""
    strange = delta(0, "a_delta_of_tomorrow", x=1)
    frames = emitted(
        parsed(
            [
                frame("message_start", message=message()),
                start(0, text("")),
                delta(0, "text_delta", text="Hi"),
                strange,
                frame("message_stop"),
            ]
        )
    )
    assert json.loads(strange.data) in frames
    assert frames[3] == json.loads(strange.data)


def test_an_error_is_the_last_frame() -> None:
    """With the provider's own error or a message alone; nothing follows it."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
    given = o.StreamFailed("Busy.", o.parse_error(P, 529, body))
    assert emitted([STARTED, given, o.TextDelta("Hi"), done()]) == [body]
    assert emitted([o.StreamFailed("Busy.")]) == [{"type": "error", "error": {"type": "api_error", "message": "Busy."}}]


def test_nothing_is_made_up_at_the_end() -> None:
    """Without a final response the stream stays open, and after one nothing is written."""
    emitter = o.StreamEmitter(P)
    emitter.feed(o.TextDelta("Hi"))
    assert emitter.finish() == []
    assert emitter.feed(done(o.TextPart("Hi"))) != []
    assert emitter.feed(o.TextDelta("more")) == []


SINGLE: list[tuple[Any, dict[str, Any] | None]] = [
    (o.TextDelta("Hi", 2), {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Hi"}}),
    (
        o.ContentPartAdded(o.ImageUrlPart("u")),
        {"type": "content_block_start", "index": 0, "content_block": {"type": "image", "source": {"type": "url", "url": "u"}}},
    ),
    (o.ContentPartAdded(o.AudioPart("AA==")), None),
    (
        o.ToolCallDelta("c", "f", "{}", 1),
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    ),
    (o.AnnotationAdded(o.Annotation("url_citation")), None),
    (o.RefusalDelta("No."), None),
    (o.VendorEvent(CHAT, {}), None),
    (
        done(),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 3, "output_tokens": 5},
        },
    ),
]


@pytest.mark.parametrize(("event", "payload"), SINGLE)
def test_an_event_by_itself(event: Any, payload: dict[str, Any] | None) -> None:
    """It is one frame, or none where the protocol has none for it."""
    written = o.emit_stream_event(P, event)
    assert (None if written is None else json.loads(written.data)) == payload
