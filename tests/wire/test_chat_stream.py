"""Streams of Chat Completions: the servers' odd habits, one row each, and the frames that are written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnillm import (
    Annotation,
    AnnotationAdded,
    AudioPart,
    BadRequestError,
    Completed,
    ContentPartAdded,
    FinishReason,
    IncompleteStreamError,
    InvalidJsonError,
    InvalidShapeError,
    LlmResponse,
    LlmStreamEvent,
    Message,
    MessageRole,
    MissingFieldError,
    OutputItemAdded,
    ProtocolError,
    ProviderProtocol,
    RateLimitedError,
    ReasoningDelta,
    RefusalDelta,
    RefusalPart,
    ResponseStarted,
    SseFrame,
    StreamFailed,
    StreamParser,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallDelta,
    ToolCallPart,
    UsageUpdated,
    VendorPart,
    emit_response,
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


# --- reading ------------------------------------------------------------------------------------------------------------------


def test_a_plain_stream_is_told_event_by_event() -> None:
    """Start, message, text, usage and the whole response, each once and in this order."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    events = read(
        says(role="assistant", content="", refusal=None), says(content="Hel"), says(content="lo"), STOP, chunk(usage=usage), DONE
    )
    assert events[:-1] == [
        ResponseStarted("chatcmpl-1", "m", CHAT, vendor_extensions={"open_ai_chat_completions": {"created": 7}}),
        OutputItemAdded(Message(MessageRole.ASSISTANT, ())),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageUpdated(TokenUsage(1, 2, 3)),
    ]
    whole = response(events)
    assert (whole.text, whole.finish_reason, whole.usage, whole.response_id) == (
        "Hello",
        FinishReason.STOP,
        TokenUsage(1, 2, 3),
        "chatcmpl-1",
    )
    assert emit_response(CHAT, whole) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage,
    }


CALLS: list[tuple[str, list[SseFrame], list[tuple[str, str, str]]]] = [
    (
        "by index, id and name once",
        [call(0, "a", "f", ""), call(0, arguments='{"x"'), call(0, arguments=":1}")],
        [("a", "f", ""), ("a", "f", '{"x"'), ("a", "f", ":1}")],
    ),
    ("id and name repeated", [call(0, "a", "f", "{"), call(0, "a", "f", "}")], [("a", "f", "{"), ("a", "f", "}")]),
    ("the name after the id", [call(0, "a", arguments="{"), call(0, name="f", arguments="}")], [("a", "f", "{}")]),
    ("the id after the name", [call(0, name="f", arguments="{"), call(0, "a", arguments="}")], [("a", "f", "{}")]),
    ("no index", [call(None, "a", "f", "{"), call(arguments="}")], [("a", "f", "{"), ("a", "f", "}")]),
    ("no index, two calls", [call(None, "a", "f", "{}"), call(None, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
    (
        "no index, by id",
        [call(None, "a", "f", "{"), call(None, "b", "g", "{}"), call(None, "a", arguments="}")],
        [("a", "f", "{"), ("b", "g", "{}"), ("a", "f", "}")],
    ),
    (
        "neither index nor id",
        [call(name="f", arguments="{}"), call(name="g", arguments="{}")],
        [("call_0", "f", "{}"), ("call_1", "g", "{}")],
    ),
    ("an empty id", [call(0, "", "f", "{}"), call(1, "", "g", "{}")], [("call_0", "f", "{}"), ("call_1", "g", "{}")]),
    (
        "an id that comes too late",
        [call(0, name="f", arguments="{}"), call(1, "b", "g", "{}"), call(0, "a")],
        [("call_0", "f", "{}"), ("b", "g", "{}")],
    ),
    ("one index for all", [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
    (
        "a new id for each fragment",
        [call(0, "a", "f", '{"x"'), call(0, "b", "f", ":1}")],
        [("a", "f", '{"x"'), ("a", "f", ":1}")],
    ),
    (
        "interleaved",
        [call(0, "a", "f", "{"), call(1, "b", "g", "{"), call(0, arguments="}"), call(1, arguments="}")],
        [("a", "f", "{"), ("b", "g", "{"), ("a", "f", "}"), ("b", "g", "}")],
    ),
    ("an object as arguments", [call(0, "a", "f", {"x": 1})], [("a", "f", '{"x":1}')]),
    (
        "nulls",
        [says(tool_calls=[{"index": 0, "id": "a", "type": None, "function": {"name": "f", "arguments": None}}])],
        [("a", "f", "")],
    ),
    ("no JSON", [call(0, "a", "f", "oops")], [("a", "f", "oops")]),
    (
        "a custom tool",
        [says(tool_calls=[{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "ls"}}])],
        [("a", "f", "ls")],
    ),
]


@pytest.mark.parametrize(("frames", "expected"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
def test_fragments_of_calls_find_each_other(frames: list[SseFrame], expected: list[tuple[str, str, str]]) -> None:
    """However servers cut and name their calls, each delta names its call and the response has the same ones."""
    events = read(*frames, chunk(delta("tool_calls")), DONE)
    assert deltas(events) == expected
    whole: dict[tuple[str, str], str] = {}
    for call_id, name, piece in expected:
        whole[call_id, name] = whole.get((call_id, name), "") + piece
    assert {(part.call_id, part.name): part.arguments_text() for part in response(events).tool_calls} == whole


def test_what_rides_with_a_call_is_kept() -> None:
    """A signature beside the function, and fields inside it, are on the call of the response."""
    events = read(
        call(0, "a", "f", "{}", extra_content={"google": {"thought_signature": "s"}}),
        says(tool_calls=[{"index": 0, "function": {"strict": True}, "extra_content": None}]),
        STOP,
    )
    (found,) = emit_response(CHAT, response(events))["choices"][0]["message"]["tool_calls"]
    assert found["extra_content"] == {"google": {"thought_signature": "s"}}
    assert found["function"]["strict"] is True


def test_a_call_without_a_name_is_not_told() -> None:
    """No delta can name it, but the response has it."""
    events = read(call(0, "a", arguments="{}"), STOP)
    assert deltas(events) == []
    assert [(part.call_id, part.name) for part in response(events).tool_calls] == [("a", "")]


def test_the_deprecated_function_call_streams() -> None:
    """It has no id; the one derived from its name is on the deltas and in the response."""
    events = read(
        says(function_call={"name": "f", "arguments": ""}), says(function_call={"arguments": "{}"}), chunk(delta("function_call"))
    )
    assert deltas(events) == [("call_f", "f", ""), ("call_f", "f", "{}")]
    assert [part.call_id for part in response(events).tool_calls] == ["call_f"]
    assert emit_response(CHAT, response(events))["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("frames", "reasoning"),
    [
        ([says(reasoning_content="h"), says(reasoning_content="m"), says(content="hi")], "hm"),
        ([says(reasoning="h"), says(reasoning="m", content=""), says(content="hi", reasoning=None)], "hm"),
        ([says(reasoning="h", reasoning_content="h"), says(reasoning="m", reasoning_content="m"), says(content="hi")], "hm"),
        (
            [
                says(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]),
                says(content=[{"type": "thinking", "thinking": "m", "closed": True}]),
                says(content="hi"),
            ],
            "hm",
        ),
        ([says(content=[{"type": "thinking", "thinking": "hm"}]), says(content=[{"type": "text", "text": "hi"}])], "hm"),
        ([says(reasoning_content="h"), says(reasoning="m"), says(content="hi")], "hm"),
        ([says(reasoning={"odd": 1}), says(content="hi")], ""),
    ],
)
def test_reasoning_streams_in_every_field_that_servers_use(frames: list[SseFrame], reasoning: str) -> None:
    """The deltas and the response say the reasoning once, whichever fields say it."""
    events = read(*frames, STOP, DONE)
    assert "".join(event.delta for event in events if isinstance(event, ReasoningDelta)) == reasoning
    assert (response(events).reasoning_text, response(events).text) == (reasoning, "hi")


def test_reasoning_details_grow_by_type_and_index() -> None:
    """Pieces of one text are joined, opaque ones stay whole."""
    details = [
        {"type": "reasoning.summary", "summary": "one ", "index": 0},
        {"type": "reasoning.summary", "summary": "two", "index": 0},
        {"type": "reasoning.text", "text": "a", "index": 1, "signature": None},
        {"type": "reasoning.text", "signature": "s", "index": 1},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "y", "index": 1},
        "odd",
    ]
    events = read(*[says(reasoning="r", reasoning_details=[detail]) for detail in details], says(reasoning_details="odd"), STOP)
    (message,) = response(events).messages
    assert message.parts[0].vendor_extensions["open_ai_chat_completions"]["reasoning_details"] == [
        {"type": "reasoning.summary", "summary": "one two", "index": 0},
        {"type": "reasoning.text", "text": "a", "index": 1, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "y", "index": 1},
    ]


def test_refusal_annotations_and_sound_stream() -> None:
    """Each has its event, and its part in the response."""
    citation = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
    events = read(
        says(refusal="I "),
        says(refusal="won't"),
        says(content="a", annotations=[citation]),
        says(annotations="odd"),
        says(audio={"id": "au", "transcript": "h"}),
        says(audio={"data": "AA", "transcript": "i"}),
        says(audio={"data": "BB", "expires_at": 9}),
        STOP,
    )
    told = [event for event in events if isinstance(event, RefusalDelta | AnnotationAdded | ContentPartAdded)]
    sound = AudioPart("AABB", None, "hi", vendor_extensions={"open_ai_chat_completions": {"id": "au", "expires_at": 9}})
    annotation = Annotation("url_citation", "u", "t", 0, 1, raw=citation)
    assert told == [RefusalDelta("I "), RefusalDelta("won't"), AnnotationAdded(annotation), ContentPartAdded(sound)]
    assert response(events).messages[0].parts == (TextPart("a", (annotation,)), RefusalPart("I won't"), sound)


def test_parts_that_nobody_knows_stream_whole() -> None:
    """An unknown content part is a vendor part, in its place between the texts."""
    part = {"type": "reference", "reference_ids": [1]}
    events = read(says(content="a"), says(content=[part]), says(content="b"), STOP)
    assert [event.part for event in events if isinstance(event, ContentPartAdded)] == [VendorPart(CHAT, part)]
    assert response(events).messages[0].parts == (TextPart("a"), VendorPart(CHAT, part), TextPart("b"))


def test_log_probabilities_and_unknown_fields_are_kept() -> None:
    """Lists of log probabilities grow; of what nobody knows the last value that is not null counts."""
    first = {**delta(content="a", channel="x"), "logprobs": {"content": [1], "refusal": None}, "content_filter_results": {"a": 1}}
    second = {
        **delta("stop", content="b", channel=None),
        "logprobs": {"content": [2], "refusal": []},
        "content_filter_results": {},
    }
    third = {**delta(), "logprobs": None, "stop_reason": None}
    body = emit_response(CHAT, response(read(chunk(first, provider="P"), chunk(second, provider=None), chunk(third), DONE)))
    assert body["provider"] == "P"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "ab", "channel": "x"},
            "logprobs": {"content": [1, 2], "refusal": []},
            "finish_reason": "stop",
            "content_filter_results": {},
            "stop_reason": None,
        }
    ]
    odd = response(read(chunk({**delta("stop"), "logprobs": [1]}), chunk({**delta(), "logprobs": {"tokens": "t", "none": None}})))
    assert emit_response(CHAT, odd)["choices"][0]["logprobs"] == {"tokens": "t", "none": None}


def test_other_choices_are_kept_and_not_told() -> None:
    """The choice with index 0 is the answer, wherever it comes; the others ride whole in the extensions."""
    events = read(
        chunk(delta(index=1, content="B")),
        chunk(delta(index=0, content="a")),
        chunk(delta(index=1, tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}])),
        chunk(delta("stop"), delta("length", index=1)),
        DONE,
    )
    assert [event.delta for event in events if isinstance(event, TextDelta)] == ["a"]
    assert deltas(events) == []
    first, second = emit_response(CHAT, response(events))["choices"]
    assert (first["message"]["content"], second["index"], second["finish_reason"]) == ("a", 1, "length")
    assert second["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


ENDS: list[tuple[str, list[SseFrame]]] = [
    ("done after the reason", [says(content="hi"), STOP, DONE]),
    ("no done", [says(content="hi"), STOP]),
    ("a bare done", [says(content="hi"), DONE]),
    ("done with blanks", [says(content="hi"), STOP, SseFrame(None, " [DONE] ")]),
    ("the reason with the last text", [chunk(delta("stop", content="hi"))]),
    ("the reason repeated", [chunk(delta("stop", content="hi")), STOP, STOP, DONE]),
    ("the reason not repeated", [chunk(delta("stop", content="hi")), chunk(delta(None)), chunk(delta("")), DONE]),
    ("choices empty first and last", [chunk(prompt_filter_results=[]), says(content="hi"), STOP, chunk(), DONE]),
    ("no choices at all", [frame({"id": "chatcmpl-1", "model": "m", "choices": None}), says(content="hi"), STOP, DONE]),
    ("an empty id and model first", [frame({"id": "", "model": "", "choices": []}), says(content="hi"), STOP, DONE]),
    (
        "a message in place of deltas",
        [frame({"id": "chatcmpl-1", "model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})],
    ),
    (
        "delta and the message so far",
        [
            chunk({**delta(content="h"), "message": {"content": "h"}}),
            chunk({**delta("stop", content="i"), "message": {"content": "hi"}}),
        ],
    ),
    ("no index", [chunk({"delta": {"content": "hi"}, "finish_reason": "stop"})]),
    ("a null delta", [says(content="hi"), chunk({"index": 0, "delta": None, "finish_reason": "stop"})]),
    ("empty data", [SseFrame(None, ""), SseFrame(None, " "), says(content="hi"), STOP]),
    ("frames after done", [says(content="hi"), STOP, DONE, says(content="more"), DONE]),
]


@pytest.mark.parametrize("frames", [row[1] for row in ENDS], ids=[row[0] for row in ENDS])
def test_every_way_of_ending_gives_one_response(frames: list[SseFrame]) -> None:
    """Whatever marks the end, text, id and model are whole and exactly one event is the last."""
    events = read(*frames)
    whole = response(events)
    assert (whole.text, whole.model, whole.response_id) == ("hi", "m", "chatcmpl-1")
    assert sum(isinstance(event, ResponseStarted) for event in events) == 1
    assert "".join(event.delta for event in events if isinstance(event, TextDelta)) == "hi"


@pytest.mark.parametrize(
    ("frames", "reports"),
    [
        ([says(content="hi"), STOP, chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}), DONE], 1),
        ([says(content="hi"), chunk(delta("stop"), usage={"prompt_tokens": 1, "completion_tokens": 2}), DONE], 1),
        (
            [
                frame({"id": "i", "choices": [delta("stop")], "usage": {"prompt_tokens": 1, "completion_tokens": n}})
                for n in (0, 1, 2)
            ],
            3,
        ),
        ([chunk(delta("stop"), usage={"prompt_tokens": 1, "completion_tokens": 2})] * 3, 1),
        (
            [
                chunk(delta(), usage={"prompt_tokens": 1, "completion_tokens": None}),
                chunk(delta("stop"), usage={"prompt_tokens": 1, "completion_tokens": 2}),
            ],
            2,
        ),
        ([chunk(delta("stop"), usage=None), frame({"usage": {"prompt_tokens": 1, "completion_tokens": 2}})], 1),
        ([chunk(delta("stop"), x_groq={"id": "r", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}), DONE], 0),
    ],
)
def test_usage_is_found_wherever_it_comes(frames: list[SseFrame], reports: int) -> None:
    """On an own chunk, on the last one, on every one growing: the last report counts, and each change is told once."""
    events = read(*frames)
    assert (response(events).usage.prompt_tokens, response(events).usage.completion_tokens) == (1, 2)
    assert sum(isinstance(event, UsageUpdated) for event in events) == reports


def test_done_alone_is_an_empty_answer() -> None:
    """A stream of nothing but its mark is whole."""
    events = read(DONE)
    assert [type(event) for event in events] == [ResponseStarted, Completed]
    assert response(events).output == ()


@pytest.mark.parametrize(
    "frames",
    [[], [says(content="hi")], [says(content="hi"), chunk(usage={"prompt_tokens": 1})], [chunk(delta("stop"), delta(index=1))]],
)
def test_a_stream_without_its_mark_is_incomplete(frames: list[SseFrame]) -> None:
    """An end without a reason for every choice raises, with what has arrived."""
    parser = StreamParser(CHAT)
    for given in frames:
        parser.feed(given)
    with pytest.raises(IncompleteStreamError) as caught:
        parser.finish()
    assert caught.value.partial_response == parser.partial()
    assert (parser.partial() is None) is (not frames)


@pytest.mark.parametrize(
    ("given", "cls", "message", "status"),
    [
        (frame({"error": {"message": "slow down", "code": 429}}), RateLimitedError, "slow down", 429),
        (frame({"error": {"message": "bad", "status_code": 400}}), BadRequestError, "bad", 400),
        (frame({"error": {"message": "broke", "code": "server_error"}}), None, "broke", None),
        (frame({"error": "broke"}), None, "broke", None),
        (frame({"message": "broke", "type": "x"}, "error"), None, "broke", None),
        (chunk(delta("error"), error={"message": "broke", "code": 502}), None, "broke", 502),
    ],
)
def test_an_error_after_the_stream_began_ends_it(given: SseFrame, cls: Any, message: str, status: int | None) -> None:
    """The provider's error is the last event, with its class and words; nothing follows."""
    events = read(says(content="hi"), given, says(content="more"), STOP, DONE)
    failed = events[-1]
    assert isinstance(failed, StreamFailed)
    assert (failed.message, failed.error.status, failed.error.protocol) == (message, status, CHAT)
    assert cls is None or isinstance(failed.error, cls)
    assert not any(isinstance(event, Completed) for event in events)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (SseFrame(None, "{"), InvalidJsonError),
        (SseFrame(None, "NaN is no chunk, it is not JSON"), InvalidJsonError),
        (frame([1]), InvalidShapeError),
        (chunk("text"), InvalidShapeError),
        (frame({"choices": {"a": 1}}), InvalidShapeError),
        (chunk({"delta": "text"}), InvalidShapeError),
        (says(content=5), InvalidShapeError),
        (says(content=["odd"]), InvalidShapeError),
        (says(content=[{"type": "text"}]), MissingFieldError),
        (says(tool_calls={}), InvalidShapeError),
        (says(tool_calls=["x"]), InvalidShapeError),
    ],
)
def test_a_frame_that_is_no_chunk_raises(given: SseFrame, error: type[ProtocolError]) -> None:
    """Bad frames raise protocol errors only."""
    with pytest.raises(error):
        read(given)


def test_obfuscation_is_not_kept() -> None:
    """Padding is no content: it is in no event and not in the response."""
    events = read(chunk(delta(content="a"), obfuscation="xyz"), chunk(delta("stop"), obfuscation="abc"))
    assert "obfuscation" not in emit_response(CHAT, response(events))
    assert "obfuscation" not in str(events)


def test_partial_grows_with_the_stream() -> None:
    """What has arrived can be read at any time, calls that are not whole included."""
    parser = StreamParser(CHAT)
    assert parser.partial() is None
    parser.feed(says(content="a"))
    parser.feed(call(0, "c", "f", '{"x'))
    partial = parser.partial()
    assert partial is not None
    assert (partial.text, partial.tool_calls) == ("a", (ToolCallPart("c", "f", '{"x', '{"x'),))
