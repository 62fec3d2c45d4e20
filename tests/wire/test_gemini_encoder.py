"""Events written as generateContent streams."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemini_content import CHAT, CLAUDE, P, called, emitted, model, own, parsed

import omnillm as o

STARTED = o.ResponseStarted("r1", "m", P)
HEAD = {"modelVersion": "m", "responseId": "r1"}


def done(*parts: Any, **fields: Any) -> o.Completed:
    """Give the final event of an answer."""
    made: dict[str, Any] = {"provider_protocol": P, "finish_reason": o.FinishReason.STOP, "response_id": "r1", **fields}
    return o.Completed(o.LlmResponse((o.Message("assistant", parts),), o.TokenUsage(3, 2, 5), "m", **made))


def chunks(events: list[Any]) -> list[list[Any]]:
    """Give the parts of every frame."""
    frames = emitted(events)
    assert all({name: frame.get(name) for name in HEAD} == HEAD for frame in frames)
    return [candidate.get("content", {}).get("parts", []) for frame in frames for candidate in frame["candidates"]]


SIGNATURE = own(thoughtSignature="A")
ANNOUNCED = o.ContentPartAdded(o.TextPart("", vendor_extensions=SIGNATURE))
STREAMS: list[tuple[str, list[Any], list[list[Any]]]] = [
    (
        "text",
        [o.TextDelta("Hel"), o.TextDelta(""), o.TextDelta("lo"), done(o.TextPart("Hello"))],
        [[{"text": "Hel"}], [{"text": "lo"}], []],
    ),
    ("completed alone", [done(o.TextPart("Hi"), o.ToolCallPart("c", "f", {}))], [[{"text": "Hi"}, called(id="c")]]),
    (
        "reasoning",
        [o.ReasoningDelta("Hm."), o.ReasoningDelta(""), o.ReasoningDelta("", signature="A"), done(o.ReasoningPart("Hm."))],
        [[{"text": "Hm.", "thought": True}], [{"text": "", "thought": True, "thoughtSignature": "A"}], []],
    ),
    (
        "a signed text",
        [ANNOUNCED, o.TextDelta("Hi"), done(o.TextPart("Hi", vendor_extensions=SIGNATURE))],
        [[{"text": "Hi", "thoughtSignature": "A"}], []],
    ),
    (
        "a signature alone",
        [o.TextDelta("Hi"), ANNOUNCED, done(o.TextPart("Hi"), o.TextPart("", vendor_extensions=SIGNATURE))],
        [[{"text": "Hi"}], [{"text": "", "thoughtSignature": "A"}], []],
    ),
    (
        "a call in pieces",
        [
            ANNOUNCED,
            o.ToolCallDelta("c", "f", '{"a"'),
            o.ToolCallDelta("c", "f", ":1}"),
            o.TextDelta("Hi"),
            o.ToolCallDelta("c", "f", "late"),
            done(o.ToolCallPart("c", "f", {"a": 1}), o.TextPart("Hi")),
        ],
        [[{"text": "", "thoughtSignature": "A"}], [called(id="c", args={"a": 1})], [{"text": "Hi"}], []],
    ),
    (
        "calls at the end",
        [
            o.ContentPartAdded(o.ToolCallPart("c", "f", {}, vendor_extensions=SIGNATURE)),
            o.ToolCallDelta("c", "f", ""),
            o.ToolCallDelta("d", "g", "{}"),
            done(o.ToolCallPart("c", "f", {"a": 1}), o.ToolCallPart("d", "g", {}), o.ToolCallPart("e", "h", {})),
        ],
        [[{**called(id="c", args={"a": 1}), "thoughtSignature": "A"}], [called("g", id="d")], [called("h", id="e")]],
    ),
    (
        "whole parts",
        [
            o.ContentPartAdded(o.VendorPart(P, {"executableCode": {}})),
            o.ContentPartAdded(o.VendorPart(CHAT, {})),
            o.ToolResultAdded(o.ToolResultPart("c", {}, "f")),
            done(o.VendorPart(P, {"executableCode": {}}), o.ImageBase64Part("A", "image/png")),
        ],
        [
            [{"executableCode": {}}],
            [{"functionResponse": {"name": "f", "id": "c", "response": {}}}],
            [{"inlineData": {"mimeType": "image/png", "data": "A"}}],
        ],
    ),
    ("silence", [o.OutputItemAdded(o.Message("assistant", ())), o.UsageUpdated(o.TokenUsage(1)), done()], [[]]),
]


@pytest.mark.parametrize(("events", "expected"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_the_parts_of_a_stream(events: list[Any], expected: list[list[Any]]) -> None:
    """Every delta has a chunk; the last one says what none did."""
    assert chunks([STARTED, *events]) == expected


def test_the_last_chunk_says_how_it_ended() -> None:
    """The finish reason, the usage and what the final response keeps."""
    last = emitted([STARTED, o.TextDelta("Hi"), done(o.TextPart("Hi"), vendor_extensions=own(createTime="t"))])[-1]
    assert last == {
        "candidates": [{"finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "createTime": "t",
        **HEAD,
    }


def test_another_providers_signature_is_left_out() -> None:
    """Its reasoning is shown."""
    events = [o.ResponseStarted("r1", "m", CLAUDE), o.ReasoningDelta("Hm.", signature="s"), o.ReasoningDelta("", signature="s")]
    assert chunks(events) == [[{"text": "Hm.", "thought": True}]]


def test_a_refusal_is_the_finish_message() -> None:
    """And the reason is no STOP."""
    last = emitted([STARTED, o.RefusalDelta("No."), done(o.RefusalPart("No."), provider_protocol=CHAT)])[-1]
    assert last["candidates"] == [{"content": model(), "finishReason": "SAFETY", "index": 0, "finishMessage": "No."}]


def test_a_blocked_prompt_goes_through() -> None:
    """Its last chunk has no candidate, as the API's."""
    given = {"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r"}
    assert emitted(parsed([o.SseFrame(None, json.dumps(given))])) == [given]


def test_a_failed_stream_ends_with_its_error() -> None:
    """And nothing after."""
    error = {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}
    failed = o.StreamFailed("m", o.parse_error(P, 503, error))
    assert emitted([STARTED, failed, o.TextDelta("x")]) == [error]
    assert emitted([o.StreamFailed("m")]) == [{"error": {"code": 500, "message": "m", "status": "INTERNAL"}}]


SINGLE: list[tuple[Any, Any]] = [
    (STARTED, HEAD),
    (o.ResponseStarted(), None),
    (o.TextDelta("a"), {"candidates": [{"content": model({"text": "a"}), "index": 0}]}),
    (o.ToolCallDelta("c", "f", "{}"), {"candidates": [{"content": model(called(id="c")), "index": 0}]}),
    (ANNOUNCED, {"candidates": [{"content": model({"text": "", "thoughtSignature": "A"}), "index": 0}]}),
    (
        o.UsageUpdated(o.TokenUsage(1, 0, 1)),
        {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 0, "totalTokenCount": 1}},
    ),
    (o.UsageUpdated(o.TokenUsage(estimated=True)), None),
    (o.VendorEvent(P, {"x": 1}), {"x": 1}),
    (o.VendorEvent(CHAT, {"x": 1}), None),
    (o.RefusalDelta("No."), None),
    (o.AnnotationAdded(o.Annotation("k")), None),
]


@pytest.mark.parametrize(("event", "payload"), SINGLE)
def test_an_event_by_itself(event: Any, payload: Any) -> None:
    """It has one frame, or none."""
    found = o.emit_stream_event(P, event)
    assert (None if found is None else json.loads(found.data)) == payload
