"""What holds for every request, response and stream of Responses, whatever is in it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, requests, responses

import omnillm as o
from omnillm.wire import emit_request_with_losses

P = o.ProviderProtocol.OPENAI_RESPONSES
WIRE = o.WireFormat.OPENAI_RESPONSES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAME = st.text("abcXYZ_", min_size=1, max_size=6)
COUNT = st.integers(0, 10**6)
OBJECT = st.dictionaries(NAME, TEXT | COUNT | st.none(), max_size=3)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


CALLS = st.builds(o.ToolCallPart, NAME, NAME, OBJECT)
USER_PARTS = st.one_of(
    st.builds(o.TextPart, TEXT),
    st.builds(o.ImageUrlPart, TEXT.map(lambda end: f"https://x.test/{end}"), maybe(st.sampled_from(["low", "high", "auto"]))),
    st.builds(o.ImageBase64Part, NAME, st.just("image/png"), maybe(st.just("low"))),
    st.builds(o.FilePart, maybe(NAME), st.just("application/pdf"), NAME, NAME, maybe(NAME)),
)
ITEMS = st.one_of(
    st.builds(o.Message, st.just(o.MessageRole.USER), st.lists(USER_PARTS, min_size=1, max_size=3)),
    st.builds(o.Message, st.sampled_from(["system", "developer", "assistant"]), st.builds(o.TextPart, TEXT)),
    CALLS,
    st.builds(o.ToolResultPart, NAME, TEXT),
    st.builds(o.ReasoningPart, TEXT, st.lists(TEXT, max_size=2).map(tuple), st.none(), maybe(TEXT)),
    st.builds(o.VendorPart, st.just(P), st.builds(lambda end: {"type": "item_reference", "id": end}, NAME)),
)
CAPABILITIES = st.builds(
    o.CapabilitySet,
    tools=st.lists(st.builds(o.ToolDefinition, NAME, OBJECT, maybe(TEXT), st.booleans()), max_size=2),
    tool_choice=maybe(
        st.sampled_from([o.ToolChoice.auto(), o.ToolChoice.none(), o.ToolChoice.required(), o.ToolChoice.named("f")])
    ),
    parallel_tool_calls=maybe(st.booleans()),
    reasoning=maybe(st.builds(o.ReasoningCapability, NAME, maybe(NAME))),
)
REQUESTS = st.builds(
    o.LlmRequest,
    NAME,
    st.lists(ITEMS, min_size=1, max_size=4),
    instructions=maybe(TEXT),
    capabilities=CAPABILITIES,
    generation=st.builds(o.GenerationConfig, maybe(COUNT), maybe(st.floats(0, 2)), maybe(st.floats(0, 1))),
    stream=maybe(st.booleans()),
    metadata=st.dictionaries(NAME, TEXT, max_size=2),
)


@given(REQUESTS)
def test_a_request_that_is_written_reads_as_itself(request: o.LlmRequest) -> None:
    """Writing loses nothing that this wire can say."""
    payload, losses = emit_request_with_losses(WIRE, request)
    assert losses == ()
    again = o.parse_request(P, json.dumps(payload))
    assert again == request
    assert o.emit_request(P, again) == payload


ANSWERS = st.builds(
    lambda reasoning, texts, calls, usage, reason: o.LlmResponse(
        (*reasoning, o.Message("assistant", texts), *calls),
        usage,
        "m",
        o.ProviderProtocol.CLAUDE_MESSAGES,
        reason,
        None,
        "resp_1",
    ),
    st.lists(st.builds(o.ReasoningPart, TEXT.filter(bool)), max_size=1),
    st.lists(st.builds(o.TextPart, TEXT.filter(bool)) | st.builds(o.RefusalPart, TEXT.filter(bool)), max_size=3),
    st.lists(CALLS, max_size=3, unique_by=lambda part: part.call_id),
    st.builds(o.TokenUsage, COUNT, COUNT, COUNT, COUNT, st.builds(o.PromptCacheUsage, COUNT, st.none(), COUNT)),
    st.sampled_from([o.FinishReason.LENGTH, o.FinishReason.CONTENT_FILTER, o.FinishReason.CANCELLED]),
)


def said(response: o.LlmResponse) -> list[Any]:
    calls = [(part.call_id, part.name, part.arguments) for part in response.tool_calls]
    return [response.text, response.reasoning_text, response.refusal, calls, response.finish_reason, response.usage]


@given(ANSWERS)
def test_a_response_that_is_written_reads_as_itself(response: o.LlmResponse) -> None:
    """Writing loses nothing that this wire can say, and what was written is written again."""
    payload = o.emit_response(P, response)
    again = o.parse_response(P, json.dumps(payload))
    assert said(again) == said(response)
    assert o.emit_response(P, again) == payload


@given(ANSWERS)
def test_a_response_written_as_a_stream_reads_as_itself(response: o.LlmResponse) -> None:
    """A stream says what the response says."""
    parser, emitter = o.StreamParser(P), o.StreamEmitter(P)
    events = [event for frame in emitter.feed(o.Completed(response)) for event in parser.feed(frame)]
    assert isinstance(events[-1], o.Completed)
    assert said(events[-1].response)[:4] == said(response)[:4]
    assert "".join(event.delta for event in events if isinstance(event, o.TextDelta)) == response.text
    assert parser.finish() == []


@given(requests)
def test_any_request_is_written_or_refused(request: o.LlmRequest) -> None:
    """Whatever a caller builds is written with its losses, or raises an error of ours."""
    with contextlib.suppress(o.ProtocolError):
        payload, _ = emit_request_with_losses(WIRE, request)
        o.parse_request(P, json.dumps(payload))


@given(responses)
def test_any_response_is_written_or_refused(response: o.LlmResponse) -> None:
    """Whatever another protocol answered is written, whole and as a stream, or raises an error of ours."""
    with contextlib.suppress(o.ProtocolError):
        o.emit_response(P, response)
        o.StreamEmitter(P).feed(o.Completed(response))


TYPES = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "input_text",
        "output_text",
        "input_image",
    ]
)
FIELDS = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "summary",
        "text",
        "output",
        "arguments",
        "call_id",
        "name",
        "input",
        "id",
        "annotations",
        "tools",
    ]
)
HOSTILE = st.recursive(
    json_values | TYPES | st.just("assistant"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(FIELDS | NAME, HOSTILE, max_size=5), HOSTILE)
def test_any_json_is_read_or_refused(payload: dict[str, Any], value: Any) -> None:
    """Every JSON value is read and written again, or raises ``ProtocolError``, as a request, a response, an error and a frame."""
    for body in (payload, {"model": "m", "input": value, **payload}, {"model": "m", "input": [value], "tools": [value]}):
        with contextlib.suppress(o.ProtocolError):
            o.emit_request(P, o.parse_request(P, body))
    with contextlib.suppress(o.ProtocolError):
        o.emit_response(P, o.parse_response(P, {"output": [value], "usage": value}))
    assert isinstance(o.parse_error(P, 400, value), o.ProviderError)


KINDS = st.sampled_from(
    [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_text.annotation.added",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "response.completed",
        "error",
    ]
)
FRAMES = st.builds(
    lambda kind, item, index, delta: o.SseFrame(
        kind,
        json.dumps(
            {"type": kind, "item": item, "part": item, "response": item, "output_index": index, "delta": delta, "text": delta}
        ),
    ),
    KINDS,
    HOSTILE,
    st.integers(-1, 2) | HOSTILE,
    TEXT | HOSTILE,
)


@given(st.lists(FRAMES, max_size=6))
def test_any_frames_are_read_or_refused(frames: list[o.SseFrame]) -> None:
    """Every stream of JSON objects is read and written again, or raises ``ProtocolError``."""
    transcoder = o.StreamTranscoder(P, P)
    with contextlib.suppress(o.ProtocolError):
        for frame in frames:
            transcoder.feed(frame)
            found = o.parse_stream_event(P, frame)
            if found is not None:
                o.emit_stream_event(P, found)
        transcoder.finish()
