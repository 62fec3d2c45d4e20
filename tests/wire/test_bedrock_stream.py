"""Converse streams: what each event is read into, how the answer is gathered, and what events become as frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bedrock_converse import (
    CHAT,
    CITATION,
    CLAUDE,
    START,
    P,
    answer,
    delta,
    emitted,
    ended,
    frame,
    gave,
    parsed,
    start,
    stop,
    used,
)

import omnillm as o

TOOL = start(0, toolUse={"toolUseId": "t", "name": "f"})
SERVER = {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}
CITED = {"citationsContent": {"content": [{"text": "ab"}], "citations": [CITATION]}}
STREAMS: list[tuple[str, list[o.SseFrame], list[Any]]] = [
    ("text", [delta(0, text=""), delta(0, text="a"), delta(0, text="b"), stop(0)], [{"text": "ab"}]),
    ("two_texts", [delta(0, text="a"), stop(0), delta(1, text="b"), stop(1)], [{"text": "a"}, {"text": "b"}]),
    ("empty_text", [delta(0, text=""), stop(0), delta(1, text="b"), stop(1)], [{"text": "b"}]),
    ("cited", [delta(0, text="a"), delta(0, citation=CITATION), delta(0, text="b"), stop(0)], [CITED]),
    (
        "reasoning",
        [
            delta(0, reasoningContent={"text": "H"}),
            delta(0, reasoningContent={"text": "m."}),
            delta(0, reasoningContent={"signature": "Eq"}),
            stop(0),
        ],
        [{"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eq"}}}],
    ),
    (
        "redacted",
        [delta(0, reasoningContent={"redactedContent": "AA=="}), delta(0, reasoningContent={"redactedContent": "AQ=="}), stop(0)],
        [{"reasoningContent": {"redactedContent": "AAE="}}],
    ),
    ("call", [TOOL, delta(0, toolUse={"input": '{"a":'}), delta(0, toolUse={"input": "1}"}), stop(0)], [used("t", a=1)]),
    ("call_without_input", [TOOL, delta(0, toolUse={"input": ""}), stop(0)], [used("t")]),
    ("call_cut", [TOOL, delta(0, toolUse={"input": '{"a'}), stop(0)], [{"toolUse": {**used("t")["toolUse"], "input": '{"a'}}]),
    (
        "tool_of_the_provider",
        [start(0, toolUse=SERVER), delta(0, toolUse={"input": '{"a":1}'}), stop(0)],
        [{"toolUse": {**SERVER, "input": {"a": 1}}}],
    ),
    (
        "its_result",
        [
            start(0, toolResult={"toolUseId": "s", "type": "x", "status": "success"}),
            delta(0, toolResult=[{"text": "a"}]),
            delta(0, toolResult=[{"text": "b"}, {"json": {}}]),
            stop(0),
        ],
        [gave("s", {"text": "ab"}, {"json": {}}, type="x", status="success")],
    ),
    (
        "image",
        [start(0, image={"format": "png"}), delta(0, image={"source": {"bytes": "AA=="}}), stop(0)],
        [{"image": {"format": "png", "source": {"bytes": "AA=="}}}],
    ),
    (
        "image_that_failed",
        [start(0, image={"format": "png"}), delta(0, image={"error": {"message": "No."}}), stop(0)],
        [{"image": {"format": "png", "error": {"message": "No."}}}],
    ),
    ("nothing", [stop(0)], []),
]


def frames_of(*events: Any) -> list[o.SseFrame]:
    return [o.SseFrame(name, json.dumps(fields)) for name, fields in emitted(*events)]


@pytest.mark.parametrize(("frames", "content"), [case[1:] for case in STREAMS], ids=[case[0] for case in STREAMS])
def test_a_stream_ends_in_the_answer_without_one(frames: list[o.SseFrame], content: list[Any]) -> None:
    """However its frames name their events; written again as a stream it is the same answer."""
    frames = [START, *frames, *ended()]
    events = parsed(frames)
    assert [type(event) for event in events[:2]] == [o.ResponseStarted, o.OutputItemAdded]
    assert o.emit_response(P, events[-1].response) == answer(*content)
    assert events[-1].response == o.parse_response(P, answer(*content))
    assert parsed([o.SseFrame(None, json.dumps({item.event: json.loads(item.data)})) for item in frames]) == events
    assert parsed(frames_of(*events))[-1] == events[-1]


def test_the_events_of_a_stream() -> None:
    """Every delta is an event; a call names itself in each, and what comes whole is a part."""
    frames = [START, delta(0, text="a"), stop(0), delta(1, text="b"), delta(1, citation=CITATION), stop(1)]
    call = start(2, toolUse={"toolUseId": "t", "name": "f"})
    frames += [call, delta(2, toolUse={"input": "{}"}), stop(2), delta(3, reasoningContent={"redactedContent": "AA=="}), stop(3)]
    events = parsed([*frames, *ended("tool_use", additionalModelResponseFields={"x": 1})])
    mark = events[5].annotation
    assert events[2:-1] == [
        o.TextDelta("a"),
        o.ContentPartAdded(o.TextPart("")),
        o.TextDelta("b"),
        o.AnnotationAdded(mark),
        o.ToolCallDelta("t", "f", ""),
        o.ToolCallDelta("t", "f", "{}"),
        o.ReasoningDelta("", encrypted_content="AA=="),
        o.UsageUpdated(o.parse_response(P, answer()).usage),
    ]
    assert mark.raw == CITATION
    assert events[-1].response.finish_reason is o.FinishReason.TOOL_CALL
    again = emitted(*events)
    assert again[-2] == ("messageStop", {"stopReason": "tool_use", "additionalModelResponseFields": {"x": 1}})
    assert again[-1][0] == "metadata"


def test_when_a_stream_is_over() -> None:
    """At the later of its last two events, or at its end where a stop reason came; nothing comes after."""
    stopped, metadata = ended()
    parser = o.StreamParser(P)
    assert parser.partial() is None
    assert [type(event) for event in parser.feed(metadata)] == [o.ResponseStarted, o.OutputItemAdded, o.UsageUpdated]
    assert isinstance(parser.feed(stopped)[-1], o.Completed)
    assert parser.feed(stopped) == parser.finish() == []
    assert isinstance(parsed([START, delta(0, text="a"), stopped])[-1], o.Completed)
    assert parsed([START, START, o.SseFrame(None, ""), *ended()])[0] == o.ResponseStarted(None, "", P)
    bare = frame("metadata", metrics={"latencyMs": 1})
    assert isinstance(parsed([START, stopped, bare])[-1], o.Completed)


def test_a_stream_that_was_cut_has_no_answer() -> None:
    """What came is in the error."""
    parser = o.StreamParser(P)
    parser.feed(delta(0, text="Hi"))
    with pytest.raises(o.IncompleteStreamError) as caught:
        parser.finish()
    assert str(caught.value.partial_response) == "Hi"


def test_an_exception_ends_a_stream() -> None:
    """It is the last event, and has the class of its kind."""
    parser = o.StreamParser(P)
    (failed,) = parser.feed(frame("throttlingException", message="Slow."))
    assert isinstance(failed, o.StreamFailed)
    assert isinstance(failed.error, o.RateLimitedError)
    assert failed.message == "Slow."
    assert parser.feed(START) == parser.finish() == []
    assert emitted(failed, o.TextDelta("late")) == [("throttlingException", {"message": "Slow."})]


def test_what_nobody_knows_is_an_event_of_the_vendor() -> None:
    """An unknown event, start and delta come whole, and are written back."""
    odd: list[tuple[o.SseFrame, dict[str, Any]]] = [
        (frame("tomorrow", x=1), {"tomorrow": {"x": 1, "p": "abcdef"}}),
        (o.SseFrame(None, '{"tomorrow": {"x": 1}}'), {"tomorrow": {"x": 1}}),
        (o.SseFrame(None, '{"tomorrow": 1, "other": 2}'), {"": {"tomorrow": 1, "other": 2}}),
        (start(5, tomorrow={}), {"contentBlockStart": {"contentBlockIndex": 5, "start": {"tomorrow": {}}}}),
        (delta(6, tomorrow={}), {"contentBlockDelta": {"contentBlockIndex": 6, "delta": {"tomorrow": {}}}}),
        (delta(7, toolUse={"input": "x"}), {"contentBlockDelta": {"contentBlockIndex": 7, "delta": {"toolUse": {"input": "x"}}}}),
    ]
    parser = o.StreamParser(P)
    parser.feed(START)
    for given, payload in odd:
        assert parser.feed(given) == [o.VendorEvent(P, payload)]
    assert emitted(o.VendorEvent(P, {"tomorrow": {"x": 1}})) == [("messageStart", {"role": "assistant"}), ("tomorrow", {"x": 1})]
    assert emitted(o.VendorEvent(CHAT, {"x": {}}), o.VendorEvent(P, odd[3][1])) == []


@pytest.mark.parametrize(
    "given",
    [
        o.SseFrame(None, "[]"),
        o.SseFrame("messageStart", "{"),
        o.SseFrame(None, '{"messageStart": 5}'),
        frame("contentBlockDelta", contentBlockIndex=0, delta=5),
        frame("contentBlockDelta", delta={"text": "x"}),
        frame("contentBlockStart", contentBlockIndex=0, start=5),
        delta(0, text=5),
    ],
)
def test_a_frame_that_is_none_is_refused(given: o.SseFrame) -> None:
    """The error is one of the protocol."""
    with pytest.raises(o.ProtocolError):
        o.StreamParser(P).feed(given)


def test_a_block_takes_what_is_its_own_alone() -> None:
    """A delta of another kind means nothing to it."""
    parser = o.StreamParser(P)
    parser.feed(delta(0, text="x"))
    for odd in (
        {"citation": 5},
        {"reasoningContent": {"text": "x"}},
        {"reasoningContent": {"redactedContent": "x"}},
        {"image": {}},
    ):
        found = parser.feed(delta(0, **odd))
        assert found == [] if "citation" in odd else isinstance(found[0], o.VendorEvent)
    for odd in ({"reasoningContent": 5}, {"toolResult": []}):
        assert isinstance(parser.feed(delta(1, **odd))[0], o.VendorEvent)
    parser.feed(delta(2, reasoningContent={"text": "x"}))
    assert isinstance(parser.feed(delta(2, text="x"))[0], o.VendorEvent)
    assert isinstance(parser.feed(delta(2, citation=CITATION))[0], o.VendorEvent)


def test_the_stream_of_another_protocol() -> None:
    """Blocks are numbered, a late piece keeps its block's number, and what only the other can read is left out."""
    response = o.LlmResponse((), o.TokenUsage(1, 2), "m", CLAUDE, o.FinishReason.TOOL_CALL)
    events = [
        o.ResponseStarted("id", "m", CLAUDE),
        o.OutputItemAdded(o.Message("assistant", ())),
        o.ReasoningDelta("Hm."),
        o.ReasoningDelta("", signature="E"),
        o.ReasoningDelta("", encrypted_content="E"),
        o.TextDelta(""),
        o.TextDelta("a"),
        o.ContentPartAdded(o.TextPart("")),
        o.RefusalDelta("b"),
        o.AnnotationAdded(o.Annotation("url_citation", "u")),
        o.ToolCallDelta("t.1", "f", ""),
        o.ToolCallDelta("t2", "g", "{"),
        o.ToolCallDelta("t.1", "f", "{}"),
        o.ToolCallDelta("t2", "g", "}"),
        o.ContentPartAdded(o.ImageBase64Part("AA==", "image/png")),
        o.ContentPartAdded(o.AudioPart("AA==")),
        o.ContentPartAdded(o.VendorPart(CLAUDE, {"type": "x"})),
        o.UsageUpdated(o.TokenUsage(1, 1)),
        o.Completed(response),
    ]
    written = emitted(*events)
    assert [(name, fields.get("contentBlockIndex")) for name, fields in written] == [
        ("messageStart", None),
        ("contentBlockDelta", 0),
        ("contentBlockStop", 0),
        ("contentBlockDelta", 1),
        ("contentBlockStop", 1),
        ("contentBlockDelta", 2),
        ("contentBlockStop", 2),
        ("contentBlockStart", 3),
        ("contentBlockStop", 3),
        ("contentBlockStart", 4),
        ("contentBlockDelta", 4),
        ("contentBlockDelta", 3),
        ("contentBlockDelta", 4),
        ("contentBlockStop", 4),
        ("contentBlockStart", 5),
        ("contentBlockDelta", 5),
        ("contentBlockStop", 5),
        ("messageStop", None),
        ("metadata", None),
    ]
    assert written[7][1]["start"] == {"toolUse": {"toolUseId": "t_1", "name": "f"}}
    assert written[-1][1]["usage"] == {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}


def test_the_final_response_supplies_what_no_event_carried() -> None:
    """A stream of its end alone is a whole stream."""
    content = [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eq"}}},
        CITED,
        used("t", a=1),
        {"toolUse": {**SERVER, "input": {"a": 1}}},
        gave("s", {"json": {}}, type="x"),
    ]
    response = o.parse_response(P, answer(*content))
    assert parsed(frames_of(o.Completed(response)))[-1].response == response
    late = frames_of(o.ResponseStarted(None, "", P), o.ToolCallDelta("t", "f", ""), o.Completed(response))
    assert parsed(late)[-1].response.tool_calls[0].arguments == {"a": 1}


def test_reasoning_after_a_signature_is_another_block() -> None:
    """A signed text takes no more; redacted reasoning is a block of its own."""
    events = [
        o.ReasoningDelta("a"),
        o.ReasoningDelta("", signature="E"),
        o.ReasoningDelta("b"),
        o.ReasoningDelta("", encrypted_content="AA=="),
    ]
    names = [(name, fields.get("contentBlockIndex")) for name, fields in emitted(*events)]
    assert names[1:] == [
        ("contentBlockDelta", 0),
        ("contentBlockDelta", 0),
        ("contentBlockStop", 0),
        ("contentBlockDelta", 1),
        ("contentBlockStop", 1),
        ("contentBlockDelta", 2),
        ("contentBlockStop", 2),
    ]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (o.ProviderError("No."), "internalServerException"),
        (o.RateLimitedError("No.", status=429), "throttlingException"),
        (o.PermissionDeniedError("No.", status=403), "internalServerException"),
        (o.BadRequestError("No.", status=404), "validationException"),
        (o.OverloadedError("No.", status=529), "serviceUnavailableException"),
        (None, "internalServerException"),
    ],
)
def test_an_error_in_a_stream_is_one_of_five(error: Any, name: str) -> None:
    """The exception that is nearest is sent."""
    assert emitted(o.StreamFailed("No.", error)) == [(name, {"message": "No."})]


SINGLES: list[tuple[Any, o.SseFrame]] = [
    (o.TextDelta("a", index=2), delta(2, text="a")),
    (o.ReasoningDelta("a", index=2), delta(2, reasoningContent={"text": "a"})),
    (o.ReasoningDelta("", index=2, signature="E"), delta(2, reasoningContent={"signature": "E"})),
    (o.ReasoningDelta("", index=2, encrypted_content="AA=="), delta(2, reasoningContent={"redactedContent": "AA=="})),
    (o.ToolCallDelta("t", "f", "", index=2), start(2, toolUse={"toolUseId": "t", "name": "f"})),
    (o.UsageUpdated(o.TokenUsage(3, 5, 8)), ended()[1]),
    (o.ResponseStarted(None, "", P), START),
    (o.StreamFailed("No."), frame("internalServerException", message="No.")),
    (o.VendorEvent(P, {"tomorrow": {}}), o.SseFrame("tomorrow", "{}")),
    (o.VendorEvent(P, {"contentBlockDelta": {"delta": {"x": 1}}}), o.SseFrame("contentBlockDelta", '{"delta":{"x":1}}')),
    (o.VendorEvent(P, {"contentBlockStart": {"start": {"x": 1}}}), o.SseFrame("contentBlockStart", '{"start":{"x":1}}')),
]


@pytest.mark.parametrize(("event", "given"), SINGLES)
def test_a_frame_by_itself(event: Any, given: o.SseFrame) -> None:
    """It is read as far as it goes, and written back."""
    assert o.parse_stream_event(P, given) == event
    written = o.emit_stream_event(P, event)
    assert written is not None
    assert o.parse_stream_event(P, written) == event


def test_frames_that_need_the_ones_before_them() -> None:
    """A piece of arguments names no call, an end has no content, and some say nothing by themselves."""
    assert o.parse_stream_event(P, delta(1, toolUse={"input": "{"})) == o.ToolCallDelta("", "", "{", index=1)
    found = o.parse_stream_event(P, ended("max_tokens")[0])
    assert isinstance(found, o.Completed)
    assert found.response.finish_reason is o.FinishReason.LENGTH
    assert o.emit_stream_event(P, found) == o.SseFrame("messageStop", '{"stopReason":"max_tokens"}')
    whole = o.parse_stream_event(P, start(1, image={"format": "png"}))
    assert isinstance(whole, o.ContentPartAdded)
    assert whole.index == 1
    mark = o.parse_stream_event(P, delta(1, citation=CITATION))
    assert isinstance(mark, o.AnnotationAdded)
    assert o.emit_stream_event(P, mark) == o.SseFrame(
        "contentBlockDelta", json.dumps({"contentBlockIndex": 1, "delta": {"citation": CITATION}}, separators=(",", ":"))
    )
    for silent in (stop(0), o.SseFrame(None, ""), frame("metadata", metrics={}), delta(0, text="")):
        assert o.parse_stream_event(P, silent) is None
    with pytest.raises(o.ProtocolError):
        o.parse_stream_event(P, frame("contentBlockDelta", delta=5))


def test_events_that_have_no_frame() -> None:
    """What cannot stream is left out; a piece of a call needs no name."""
    silent = (
        o.OutputItemAdded(o.Message("assistant", ())),
        o.ContentPartAdded(o.AudioPart("AA==")),
        o.ContentPartAdded(o.VendorPart(CHAT, {})),
        o.AnnotationAdded(o.Annotation("x")),
        o.VendorEvent(CHAT, {}),
    )
    assert [o.emit_stream_event(P, event) for event in silent] == [None] * 5
    piece = o.emit_stream_event(P, o.ToolCallDelta("t", "f", "{}", index=1))
    assert piece == o.SseFrame("contentBlockDelta", '{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{}"}}}')
    image = o.emit_stream_event(P, o.ContentPartAdded(o.ImageBase64Part("AA==", "image/png")))
    assert image is not None
    assert image.event == "contentBlockStart"
    assert o.emit_stream_event(P, o.ContentPartAdded(o.TextPart("a"))) == o.emit_stream_event(P, o.TextDelta("a"))
