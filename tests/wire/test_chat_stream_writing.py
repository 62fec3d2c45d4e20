"""Streams of Chat Completions, written: the frames that the provider's SDK accumulates, and single frames and events."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from omnillm import (
    Annotation,
    AnnotationAdded,
    Completed,
    ContentPartAdded,
    FinishReason,
    LlmResponse,
    LlmStreamEvent,
    Message,
    MessageRole,
    OutputItemAdded,
    ProviderProtocol,
    RateLimitedError,
    ReasoningDelta,
    ReasoningPart,
    RefusalDelta,
    RefusalPart,
    ResponseStarted,
    SseFrame,
    StreamEmitter,
    StreamFailed,
    StreamParser,
    StreamTranscoder,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallDelta,
    ToolCallPart,
    ToolResultAdded,
    ToolResultPart,
    UsageUpdated,
    VendorEvent,
    VendorPart,
    emit_response,
    emit_stream_event,
    parse_response,
    parse_stream_event,
    transcode_stream_event,
)

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
CLAUDE = ProviderProtocol.CLAUDE_MESSAGES
DONE = SseFrame(None, "[DONE]")

Json = dict[str, Any]


def frame(payload: Any, event: str | None = None) -> SseFrame:
    return SseFrame(event, json.dumps(payload))


def chunk(*choices: Any, **more: Any) -> SseFrame:
    return frame(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": list(choices), **more}
    )


def delta(finish_reason: str | None = None, index: Any = 0, **fields: Any) -> Json:
    return {"index": index, "delta": fields, "finish_reason": finish_reason}


def says(**fields: Any) -> SseFrame:
    return chunk(delta(**fields))


def call(index: Any = None, call_id: Any = None, name: Any = None, arguments: Any = None, **more: Any) -> SseFrame:
    """Give a chunk with a fragment of a call; what is ``None`` is not there."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fragment = {
        key: value for key, value in (("index", index), ("id", call_id), ("function", function)) if value not in (None, {})
    }
    return says(tool_calls=[{**fragment, **more}])


STOP = chunk(delta("stop"))


def read(*frames: SseFrame) -> list[LlmStreamEvent]:
    parser = StreamParser(CHAT)
    return [event for given in frames for event in parser.feed(given)] + parser.finish()


def response(events: list[LlmStreamEvent]) -> LlmResponse:
    """Give the response of a stream, having checked that exactly one ends it."""
    assert isinstance(events[-1], Completed)
    assert sum(isinstance(event, Completed | StreamFailed) for event in events) == 1
    return events[-1].response


def deltas(events: list[LlmStreamEvent]) -> list[tuple[str, str, str]]:
    return [(event.call_id, event.name, event.delta) for event in events if isinstance(event, ToolCallDelta)]


def write(*events: LlmStreamEvent) -> list[Any]:
    """Give the payloads of the frames."""
    emitter = StreamEmitter(CHAT)
    frames = [out for event in events for out in emitter.feed(event)] + emitter.finish()
    assert all(out.event is None for out in frames)
    return [out.data if out.data == "[DONE]" else json.loads(out.data) for out in frames]


def answer(*parts: Any, **more: Any) -> LlmResponse:
    defaults: Json = {
        "usage": TokenUsage(0, 0, estimated=True),
        "model": "m",
        "provider_protocol": CLAUDE,
        "finish_reason": FinishReason.STOP,
    }
    return LlmResponse((Message(MessageRole.ASSISTANT, parts),), **{**defaults, **more})


def told(payloads: list[Any]) -> list[Json]:
    return [payload["choices"][0]["delta"] for payload in payloads if payload != "[DONE]" and payload["choices"]]


def test_a_stream_is_written_in_the_api_s_grammar() -> None:
    """Role first, the deltas, the reason by itself, usage without choices, the mark; every chunk has its head."""
    payloads = write(
        ResponseStarted("r1", "m", CLAUDE),
        OutputItemAdded(Message(MessageRole.ASSISTANT, ())),
        ReasoningDelta("hm"),
        ReasoningDelta("", signature="s"),
        TextDelta("hi"),
        TextDelta(""),
        RefusalDelta("no"),
        RefusalDelta(""),
        ToolCallDelta("c1", "f", ""),
        ToolCallDelta("c1", "f", "{}"),
        ToolCallDelta("c1", "f", ""),
        ToolCallDelta("c2", "g", "{"),
        ToolCallDelta("c2", "g", "}"),
        ToolResultAdded(ToolResultPart("c1", "not told")),
        VendorEvent(CLAUDE, {"type": "not told"}),
        UsageUpdated(TokenUsage(1, 1)),
        Completed(
            answer(
                ReasoningPart("hm"),
                TextPart("hi"),
                RefusalPart("no"),
                ToolCallPart("c1", "f", {}),
                ToolCallPart("c2", "g", {}),
                usage=TokenUsage(1, 2),
                finish_reason=FinishReason.TOOL_CALL,
            )
        ),
        TextDelta("too late"),
    )
    assert told(payloads) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "hi"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]},
        {},
    ]
    head = {"id": "r1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    assert all(payload.items() >= head.items() for payload in payloads[:-1])
    assert payloads[-3]["choices"][0]["finish_reason"] == "tool_calls"
    assert (payloads[-2]["choices"], payloads[-2]["usage"]["total_tokens"], payloads[-1]) == ([], 3, "[DONE]")


def test_a_completed_response_alone_is_a_whole_stream() -> None:
    """What no delta carried is taken from the response: head, text, reasoning, calls, sound, citations, other choices."""
    citation = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
    body = {
        "id": "r1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "reasoning_content": "hm",
                    "refusal": "no",
                    "annotations": [citation],
                    "audio": {"id": "a", "data": "AA", "expires_at": 1, "transcript": "t"},
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                "logprobs": None,
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": "ho", "tool_calls": [{"id": "d"}]},
                "finish_reason": "length",
            },
            "odd",
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    whole = parse_response(CHAT, body)
    payloads = write(Completed(whole))
    assert payloads[0]["created"] == 7
    assert payloads[0]["system_fingerprint"] == "fp"
    again = response(read(*[SseFrame(None, given if isinstance(given, str) else json.dumps(given)) for given in payloads]))
    assert (again.output, again.usage, again.finish_reason) == (whole.output, whole.usage, whole.finish_reason)
    other = emit_response(CHAT, again)["choices"][1]
    assert (other["message"]["content"], other["finish_reason"], other["message"]["tool_calls"][0]["id"]) == ("ho", "length", "d")


def test_what_no_event_can_say_comes_with_the_end() -> None:
    """Signatures beside calls, details of reasoning and fields nobody knows survive a stream of the same wire."""
    frames = [
        says(reasoning="hm", reasoning_details=[{"type": "reasoning.encrypted", "data": "d"}]),
        call(0, "c", "f", "{}", extra_content={"google": {"thought_signature": "s"}}),
        chunk(delta("tool_calls"), citations=["u"], system_fingerprint="fp"),
        DONE,
    ]
    transcoder = StreamTranscoder(CHAT, CHAT)
    again = [out for given in frames for out in transcoder.feed(given)] + transcoder.finish()
    body = emit_response(CHAT, response(read(*again)))
    message = body["choices"][0]["message"]
    assert message["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "d"}]
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s"}}
    assert body["citations"] == ["u"]


def test_a_response_without_a_message_is_written() -> None:
    """An answer that is nothing but an end is a stream of nothing but that."""
    whole = parse_response(CHAT, {"id": "r", "choices": [{"finish_reason": "error"}]})
    assert told(write(Completed(whole))) == [{"role": "assistant", "content": ""}, {}]
    numbered = write(Completed(answer(ToolCallPart("", "f", {}), ToolCallPart("", "g", {}))))
    assert [found["tool_calls"][0]["id"] for found in told(numbered)[1:-1]] == ["call_0", "call_1"]


def test_the_response_adds_only_what_was_not_told() -> None:
    """Text that was told is not told again; the rest of it, and of a call's arguments, is."""
    payloads = write(
        TextDelta("hel"),
        ToolCallDelta("c1", "f", '{"a"'),
        Completed(answer(TextPart("hello"), ToolCallPart("c1", "f", {"a": 1}), ToolCallPart("c2", "g", {}))),
    )
    assert told(payloads)[2:-1] == [
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}]},
        {"content": "lo"},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
    ]


def test_usage_that_was_told_counts_where_the_response_has_none() -> None:
    """A wire that ends without usage keeps the last report."""
    payloads = write(UsageUpdated(TokenUsage(3, 4)), Completed(answer("hi")))
    assert payloads[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_citations_are_written_where_they_have_a_form() -> None:
    """A citation with a URL is an annotation of the text so far; another has no form here."""
    payloads = write(TextDelta("hi"), AnnotationAdded(Annotation("web", "u")), AnnotationAdded(Annotation("page")))
    cited = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 2, "url": "u", "title": ""}}
    assert told(payloads)[2:] == [{"annotations": [cited]}]
    own = {"type": "file", "file": {"hash": "h"}}
    assert told(write(AnnotationAdded(Annotation("file", raw=own))))[1:] == [{"annotations": [own]}]


def test_an_unfinished_stream_does_not_look_finished() -> None:
    """Without the response there is no mark."""
    assert write(TextDelta("hi"))[-1] != "[DONE]"


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (StreamFailed("broke"), {"message": "broke", "type": "invalid_request_error", "param": None, "code": None}),
        (
            StreamFailed("slow", RateLimitedError("slow", code="rate")),
            {"message": "slow", "type": "rate_limit_error", "param": None, "code": "rate"},
        ),
    ],
)
def test_a_failed_stream_ends_with_its_error(failed: StreamFailed, expected: Json) -> None:
    """The error is a frame of its own, and the last."""
    assert write(TextDelta("hi"), failed, TextDelta("more"))[-1] == {"error": expected}


def test_events_of_this_wire_pass_through() -> None:
    """A vendor event, and a part that nobody knows, of this wire are written as they came."""
    part = {"type": "reference", "reference_ids": [1]}
    payloads = write(VendorEvent(CHAT, {"type": "status"}), TextDelta("a"), ContentPartAdded(VendorPart(CHAT, part)))
    assert payloads[0] == {"type": "status"}
    assert payloads[-1]["choices"][0]["delta"] == {"content": [part]}
    assert write(ContentPartAdded(VendorPart(CLAUDE, part)), ContentPartAdded(TextPart("announced"))) == []


def test_a_stream_rewritten_for_its_own_wire_says_the_same() -> None:
    """Parsing what was written gives the answer that was read."""
    frames = [
        says(role="assistant", content=""),
        says(reasoning_content="hm"),
        says(content="hi"),
        call(0, "c", "f", "{}"),
        STOP,
        DONE,
    ]
    transcoder = StreamTranscoder(CHAT, CHAT)
    again = [out for given in frames for out in transcoder.feed(given)] + transcoder.finish()
    assert response(read(*again)).output == response(read(*frames)).output


# --- one frame, one event -----------------------------------------------------------------------------------------------------

END = LlmResponse(
    (Message(MessageRole.ASSISTANT, ()),), TokenUsage(0, 0, estimated=True), "m", CHAT, FinishReason.STOP, "stop", "chatcmpl-1"
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (DONE, None),
        (SseFrame(None, ""), None),
        (
            says(role="assistant", content=""),
            ResponseStarted("chatcmpl-1", "m", CHAT, vendor_extensions={"open_ai_chat_completions": {"created": 7}}),
        ),
        (says(content="hi"), TextDelta("hi")),
        (says(refusal="no"), RefusalDelta("no")),
        (says(reasoning="hm"), ReasoningDelta("hm")),
        (call(0, "c", "f", "{"), ToolCallDelta("c", "f", "{")),
        (call(0, arguments="}"), ToolCallDelta("", "", "}")),
        (chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}), UsageUpdated(TokenUsage(1, 2))),
        (frame({"type": "odd"}), VendorEvent(CHAT, {"type": "odd"})),
        (frame({"error": "broke"}), StreamFailed("broke")),
    ],
)
def test_one_frame_is_one_event(given: SseFrame, expected: LlmStreamEvent | None) -> None:
    """The most telling event of a frame by itself; what needs other frames is left empty."""
    found = parse_stream_event(CHAT, given)
    if isinstance(found, UsageUpdated):
        found = UsageUpdated(dataclasses.replace(found.usage, vendor_extensions={}))
    assert found == expected


def test_the_frame_with_the_reason_completes() -> None:
    """By itself the chunk with a finish reason is the end, with its usage where it has one."""
    found = parse_stream_event(CHAT, chunk(delta("length"), usage={"prompt_tokens": 1, "completion_tokens": 2}))
    assert isinstance(found, Completed)
    assert (found.response.finish_reason, found.response.usage.prompt_tokens) == (FinishReason.LENGTH, 1)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ResponseStarted("r", "m"), {"role": "assistant", "content": ""}),
        (TextDelta("hi"), {"content": "hi"}),
        (ReasoningDelta("hm"), {"reasoning_content": "hm"}),
        (
            ToolCallDelta("c", "f", "{"),
            {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
        ),
        (Completed(answer("hi")), {}),
        (Completed(answer("hi", usage=TokenUsage(1, 2))), {}),
    ],
)
def test_one_event_is_one_frame(event: LlmStreamEvent, expected: Json) -> None:
    """An event by itself is one chunk."""
    found = emit_stream_event(CHAT, event)
    assert found is not None
    assert json.loads(found.data)["choices"][0]["delta"] == expected


@pytest.mark.parametrize(
    "event",
    [
        TextDelta(""),
        UsageUpdated(TokenUsage(0, 0, estimated=True)),
        OutputItemAdded(Message(MessageRole.ASSISTANT, ())),
        ToolResultAdded(ToolResultPart("c", "1")),
    ],
)
def test_an_event_without_a_form_is_no_frame(event: LlmStreamEvent) -> None:
    """What the wire cannot say by itself is ``None``."""
    assert emit_stream_event(CHAT, event) is None


def test_usage_by_itself_is_a_chunk_without_choices() -> None:
    """Its counts are whole; a frame can be rewritten by itself."""
    found = emit_stream_event(CHAT, UsageUpdated(TokenUsage(1, 2)))
    assert found is not None
    assert json.loads(found.data)["choices"] == []
    again = transcode_stream_event(CHAT, CHAT, says(content="hi"))
    assert again is not None
    assert parse_stream_event(CHAT, again) == TextDelta("hi")
    assert transcode_stream_event(CHAT, CHAT, DONE) is None
