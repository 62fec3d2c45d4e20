"""What holds for every request, response and stream of Chat Completions, whatever is in it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnillm import (
    AudioPart,
    CapabilitySet,
    Completed,
    FilePart,
    FinishReason,
    GenerationConfig,
    ImageBase64Part,
    ImageUrlPart,
    LlmRequest,
    LlmResponse,
    Message,
    MessageRole,
    OutputModality,
    PromptCacheUsage,
    ProtocolError,
    ProviderProtocol,
    ReasoningCapability,
    ReasoningPart,
    RefusalPart,
    SseFrame,
    StreamEmitter,
    StreamFailed,
    StreamParser,
    StructuredOutputConfig,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolChoice,
    ToolDefinition,
    ToolResultPart,
    emit_request,
    emit_response,
    parse_error,
    parse_request,
    parse_response,
)
from omnillm.types.enums import WireFormat
from omnillm.wire import emit_request_with_losses

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
WIRE = WireFormat.OPENAI_CHAT_COMPLETIONS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAME = st.text("abcXYZ_", min_size=1, max_size=6)
DATA = st.text("ABCDEFGHabcd0123+/", min_size=4, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(NAME, JSON, max_size=3)
COUNT = st.integers(0, 10**6)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


# --- canonical values that this wire can say ----------------------------------------------------------------------------------

CALLS = st.builds(ToolCallPart, NAME, NAME, OBJECT)
USER_PARTS = st.one_of(
    st.builds(TextPart, TEXT),
    st.builds(ImageUrlPart, TEXT.map(lambda end: f"https://x.test/{end}"), maybe(st.sampled_from(["low", "high", "auto"]))),
    st.builds(ImageBase64Part, DATA, st.sampled_from(["image/png", "image/jpeg"]), maybe(st.just("low"))),
    st.builds(AudioPart, DATA, st.sampled_from(["audio/wav", "audio/mpeg"])),
    st.builds(FilePart, maybe(NAME), st.just("application/pdf"), DATA, NAME),
)
RESULTS = st.builds(ToolResultPart, NAME, TEXT, maybe(NAME))
MESSAGES = st.one_of(
    st.builds(Message, st.just(MessageRole.USER), st.lists(USER_PARTS, min_size=1, max_size=3)),
    st.builds(Message, st.sampled_from([MessageRole.SYSTEM, MessageRole.DEVELOPER]), st.builds(TextPart, TEXT)),
    st.builds(
        lambda text, refusal, calls: Message(MessageRole.ASSISTANT, [TextPart(text), *refusal, *calls]),
        TEXT.filter(bool),
        st.lists(st.builds(RefusalPart, TEXT.filter(bool)), max_size=1),
        st.lists(CALLS, max_size=2),
    ),
    st.builds(Message, st.just(MessageRole.TOOL), RESULTS),
)
GENERATIONS = st.builds(
    GenerationConfig,
    maybe(COUNT),
    maybe(st.floats(0, 2)),
    maybe(st.floats(0, 1)),
    st.none(),
    st.lists(TEXT, max_size=3).map(tuple),
    maybe(st.floats(-2, 2)),
    maybe(st.integers(-2, 2)),
    maybe(COUNT),
)
CAPABILITIES = st.builds(
    CapabilitySet,
    tools=st.lists(
        st.builds(ToolDefinition, NAME, st.dictionaries(NAME, JSON, min_size=1, max_size=2), maybe(TEXT), st.booleans()),
        max_size=2,
    ),
    tool_choice=maybe(st.sampled_from([ToolChoice.auto(), ToolChoice.none(), ToolChoice.required(), ToolChoice.named("f")])),
    parallel_tool_calls=maybe(st.booleans()),
    structured_output=maybe(st.builds(StructuredOutputConfig, OBJECT, NAME, st.booleans())),
    reasoning=maybe(st.builds(ReasoningCapability, NAME)),
    modalities=st.lists(st.sampled_from([OutputModality.TEXT, OutputModality.AUDIO]), max_size=2).map(tuple),
)
REQUESTS = st.builds(
    LlmRequest,
    TEXT,
    st.lists(MESSAGES, max_size=4),
    capabilities=CAPABILITIES,
    generation=GENERATIONS,
    stream=maybe(st.booleans()),
    metadata=st.dictionaries(NAME, TEXT, max_size=2),
)


@given(REQUESTS)
def test_a_request_that_is_written_reads_as_itself(request: LlmRequest) -> None:
    """Writing loses nothing that this wire can say."""
    payload, losses = emit_request_with_losses(WIRE, request)
    assert losses == ()
    again = parse_request(CHAT, json.dumps(payload))
    assert again == request
    assert emit_request(CHAT, again) == payload


ANSWERS = st.builds(
    lambda reasoning, text, refusal, calls, usage, reason: LlmResponse(
        (Message(MessageRole.ASSISTANT, [*reasoning, *text, *refusal, *calls]),), usage, "m", CHAT, reason, None, "chatcmpl-1"
    ),
    st.lists(st.builds(ReasoningPart, TEXT.filter(bool)), max_size=1),
    st.lists(st.builds(TextPart, TEXT.filter(bool)), max_size=1),
    st.lists(st.builds(RefusalPart, TEXT.filter(bool)), max_size=1),
    st.lists(CALLS, max_size=3, unique_by=lambda part: part.call_id),
    st.builds(TokenUsage, COUNT, COUNT, COUNT, maybe(COUNT), maybe(st.builds(PromptCacheUsage, COUNT))),
    st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALL, FinishReason.CONTENT_FILTER]),
)


def said(response: LlmResponse) -> list[Any]:
    calls = [(part.call_id, part.name, part.arguments) for part in response.tool_calls]
    return [
        response.text,
        response.reasoning_text,
        response.refusal,
        calls,
        response.finish_reason,
        response.model,
        response.response_id,
    ]


@given(ANSWERS)
def test_a_response_that_is_written_reads_as_itself(response: LlmResponse) -> None:
    """Writing loses nothing that this wire can say, and what was written is written again."""
    payload = emit_response(CHAT, response)
    again = parse_response(CHAT, json.dumps(payload))
    assert said(again) == said(response)
    assert again.usage == response.usage
    assert emit_response(CHAT, again) == payload


def stream_of(response: LlmResponse) -> list[SseFrame]:
    emitter = StreamEmitter(CHAT)
    return emitter.feed(Completed(response)) + emitter.finish()


@given(ANSWERS)
def test_a_response_written_as_a_stream_reads_as_itself(response: LlmResponse) -> None:
    """A stream says what the response says."""
    parser = StreamParser(CHAT)
    events = [event for frame in stream_of(response) for event in parser.feed(frame)] + list(parser.finish())
    assert isinstance(events[-1], Completed)
    assert said(events[-1].response) == said(response)
    assert events[-1].response.usage == response.usage


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_pieces_of_a_stream_do_not_matter(response: LlmResponse, rng: Any) -> None:
    """Text and arguments cut anywhere into chunks give the same response."""

    def pieces(text: str) -> list[str]:
        cuts = sorted(rng.randint(0, len(text)) for _ in range(3))
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    def chunk(delta: Any, reason: Any = None) -> SseFrame:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return SseFrame(None, json.dumps({"id": "chatcmpl-1", "model": "m", "choices": [choice]}))

    frames = [chunk({"reasoning_content": piece}) for piece in pieces(response.reasoning_text)]
    frames += [chunk({"content": piece}) for piece in pieces(response.text)]
    for i, part in enumerate(response.tool_calls):
        first, *rest = pieces(part.arguments_text())
        frames.append(
            chunk({"tool_calls": [{"index": i, "id": part.call_id, "function": {"name": part.name, "arguments": first}}]})
        )
        frames += [chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]}) for piece in rest]
    frames += [chunk({"refusal": piece}) for piece in pieces(response.refusal or "")]
    parser = StreamParser(CHAT)
    events = [event for frame in [*frames, chunk({}, "stop")] for event in parser.feed(frame)] + list(parser.finish())
    assert isinstance(events[-1], Completed)
    assert said(events[-1].response)[:4] == said(response)[:4]


# --- any JSON at all ----------------------------------------------------------------------------------------------------------

FULL_REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "AA", "filename": "f"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}, {"type": "refusal", "refusal": "no"}],
            "reasoning": "r",
            "reasoning_details": [{"type": "reasoning.text", "text": "r", "index": 0}],
            "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "start_index": 0}}],
            "audio": {"id": "a", "data": "AA"},
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "d", "type": "custom", "custom": {"name": "g", "input": "i"}},
            ],
            "function_call": {"name": "f", "arguments": "{}"},
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "3"}], "name": "f"},
        {"role": "function", "name": "f", "content": "3"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"a": 1}, "strict": True}},
        {"type": "custom", "custom": {}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "functions": [{"name": "f"}],
    "function_call": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": False}},
    "max_tokens": 5,
    "stop": ["a"],
    "modalities": ["text"],
    "reasoning_effort": "low",
    "metadata": {"a": "b"},
    "web_search_options": {"user_location": {}},
    "stream": True,
}
FULL_RESPONSE: dict[str, Any] = {
    "id": "i",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": FULL_REQUEST["messages"][2], "logprobs": {"content": []}, "finish_reason": "stop"},
        {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
DELTA = {**FULL_REQUEST["messages"][2], "content": "a"}
FULL_CHUNK: dict[str, Any] = {
    **FULL_RESPONSE,
    "choices": [
        {"index": 0, "delta": DELTA, "logprobs": {"content": [1]}, "finish_reason": "stop"},
        {"index": 1, "delta": {"content": [{"type": "text", "text": "b"}]}},
    ],
    "x_groq": {"usage": {}},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(item, (*path, key))
    return found


def damaged(payload: Any, data: st.DataObject) -> Any:
    """Give a copy with one place removed, or holding any JSON value."""
    copied = copy.deepcopy(payload)
    path = data.draw(st.sampled_from(places(copied)))
    parent = copied
    for key in path[:-1]:
        parent = parent[key]
    if data.draw(st.booleans()):
        parent[path[-1]] = data.draw(JSON | st.sampled_from([[], {}, "", [None], {"type": []}, [[]], [{}], {"type": "text"}]))
    else:
        del parent[path[-1]]
    return copied


@given(st.data())
def test_any_json_in_a_request_is_kept_or_refused(data: st.DataObject) -> None:
    """A request is read whole and written as it was, or raises a protocol error."""
    payload = damaged(FULL_REQUEST, data)
    before = copy.deepcopy(payload)
    try:
        parsed = parse_request(CHAT, payload)
    except ProtocolError:
        return
    assert emit_request(CHAT, parsed) == before == payload


@given(st.data())
def test_any_json_in_a_response_is_kept_or_refused(data: st.DataObject) -> None:
    """A response is read whole and written as it was, or raises a protocol error."""
    payload = damaged(FULL_RESPONSE, data)
    before = copy.deepcopy(payload)
    try:
        parsed = parse_response(CHAT, payload)
    except ProtocolError:
        return
    assert emit_response(CHAT, parsed) == before == payload


@given(st.data())
def test_any_json_in_a_chunk_is_read_or_refused(data: st.DataObject) -> None:
    """Damaged chunks end in one terminal event or in a protocol error, and what was read can be written."""
    parser, emitter = StreamParser(CHAT), StreamEmitter(CHAT)
    frames = [SseFrame(None, json.dumps(damaged(FULL_CHUNK, data))) for _ in range(2)]
    try:
        events = [event for frame in frames for event in parser.feed(frame)] + list(parser.finish())
    except ProtocolError:
        return
    assert isinstance(events[-1], Completed | StreamFailed)
    assert not any(isinstance(event, Completed | StreamFailed) for event in events[:-1])
    assert [out for event in events for out in emitter.feed(event)]
    if isinstance(events[-1], Completed):
        emit_response(CHAT, events[-1].response)


@given(JSON)
def test_any_json_is_an_error_s_body(body: Any) -> None:
    """No body of an error raises another."""
    assert parse_error(CHAT, 500, body).message


@given(JSON)
def test_any_json_is_a_payload_or_refused(value: Any) -> None:
    """Whatever the payload is, only protocol errors come out."""
    for parse in (parse_request, parse_response):
        with pytest.raises(ProtocolError):
            parse(CHAT, json.dumps(value))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return [place for place in places(value, path) if not isinstance(_at(value, place), dict | list)]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


CROSSING = [path for path in leaves(FULL_REQUEST) if path[-1] not in ("type", "role")]


@pytest.mark.parametrize("path", CROSSING, ids=lambda path: "/".join(map(str, path)))
def test_no_leaf_of_a_request_is_lost_on_the_way_through(path: tuple[Any, ...]) -> None:
    """A changed leaf changes what is written."""
    changed = copy.deepcopy(FULL_REQUEST)
    parent = _at(changed, path[:-1])
    value = parent[path[-1]]
    parent[path[-1]] = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}x"
    try:
        written = emit_request(CHAT, parse_request(CHAT, changed))
    except ProtocolError:
        return
    assert written == changed != FULL_REQUEST
