"""Messages streams: what each frame says, that the end equals the answer without a stream, and frames one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic_messages import SIGNED, P, delta, frame, kept, message, parsed, start, stop, streamed, text, used

import omnillm as o

CITED = {"type": "char_location", "cited_text": "a", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "rain in Oslo"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
REDACTED = {"type": "redacted_thinking", "data": "Em"}
ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("nothing", message()),
    ("text", message(text("Hello, world"))),
    ("texts", message(text("One"), text("Two", citations=[CITED]), text("Three"))),
    ("thinking", message(SIGNED, REDACTED, {**SIGNED, "thinking": "And then?"}, text("Hi"))),
    (
        "calls",
        message(text("Let me see"), used("t1", city="Oslo"), used("t2"), {**used("t3", n=1), "caller": {"type": "direct"}}),
    ),
    ("server_tools", message(text("Let me see"), SEARCH, FOUND, text("Rain"), {**SEARCH, "input": {}})),
    ("unknown_blocks", message({"type": "a_block_of_tomorrow", "x": [1]}, {"type": "container_upload", "file_id": "f"})),
    (
        "an_ending",
        message(text("Hi"), stop_reason="refusal", stop_details={"type": "refusal", "category": None}, container={"id": "c"}),
    ),
    (
        "usage",
        message(text("Hi"), usage={"input_tokens": 1, "cache_read_input_tokens": 9, "output_tokens": 2, "service_tier": "batch"}),
    ),
]


@pytest.mark.parametrize(("answer"), [pytest.param(answer, id=name) for name, answer in ANSWERS])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_end_of_a_stream_is_the_answer_without_one(answer: dict[str, Any], size: int) -> None:
    """The final response is the value that the same answer's body is read into, and is written as that body."""
    events = parsed(streamed(answer, size))
    assert [event for event in events if isinstance(event, o.Completed)] == [events[-1]]
    response = events[-1].response
    assert response == o.parse_response(P, answer) or response.tool_calls
    assert o.emit_response(P, response) == answer
    assert "".join(event.delta for event in events if isinstance(event, o.TextDelta)) == str(response)
    assert "".join(event.delta for event in events if isinstance(event, o.ReasoningDelta)) == response.reasoning_text


def test_what_a_stream_says() -> None:
    """Every event, in order, of a stream with a bit of everything."""
    answer = message(SIGNED, text("Hi"), text("you", citations=[CITED]), SEARCH, used("t1", a=1), REDACTED)
    usage = o.TokenUsage(3, 5)
    assert parsed(streamed(answer, 100))[:-1] == [
        o.ResponseStarted("msg_1", "claude-sonnet-4-5", P),
        o.OutputItemAdded(o.Message("assistant", ())),
        o.UsageUpdated(o.TokenUsage(3, 1)),
        o.ReasoningDelta("Hm."),
        o.ReasoningDelta("", signature="Eq"),
        o.TextDelta("Hi"),
        o.ContentPartAdded(o.TextPart("")),
        o.AnnotationAdded(o.Annotation("char_location", start=0, end=1, cited_text="a", raw=CITED)),
        o.TextDelta("you"),
        o.ContentPartAdded(o.VendorPart(P, SEARCH)),
        o.ToolCallDelta("t1", "f", ""),
        o.ToolCallDelta("t1", "f", '{"a": 1}'),
        o.ReasoningDelta("", encrypted_content="Em"),
        o.UsageUpdated(usage),
    ]


OPENING = frame("message_start", message=message(stop_reason=None))
ENDING = frame("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7})
END = frame("message_stop")


def answered(*frames: o.SseFrame, ending: tuple[o.SseFrame, ...] = (ENDING, END)) -> Any:
    """Give the final response of a stream."""
    return parsed([OPENING, *frames, *ending])[-1].response


ODD: list[tuple[str, tuple[o.SseFrame, ...], dict[str, Any]]] = [
    (
        "text_at_the_start",
        (start(0, text("He", citations=[CITED])), delta(0, "text_delta", text="y")),
        text("Hey", citations=[CITED]),
    ),
    ("thinking_at_the_start", (start(0, SIGNED), stop(0)), SIGNED),
    ("a_call_at_the_start", (start(0, used("t1", a=1)), stop(0)), used("t1", a=1)),
    ("a_call_with_a_null", (start(0, {**used("t1"), "input": None}), delta(0, "input_json_delta", partial_json="")), used("t1")),
    (
        "a_compaction",
        (
            start(0, {"type": "compaction", "content": None}),
            delta(0, "compaction_delta", content="So far", encrypted_content="E"),
            stop(0),
        ),
        {"type": "compaction", "content": "So far", "encrypted_content": "E"},
    ),
    ("no_stop_of_a_block", (start(0, SEARCH), delta(0, "input_json_delta", partial_json='{"q')), {**SEARCH, "input": '{"q'}),
    (
        "no_index",
        (
            frame("content_block_start", content_block=text("")),
            frame("content_block_delta", delta={"type": "text_delta", "text": "Hi"}),
        ),
        text("Hi"),
    ),
    ("a_null_text", (start(0, text("")), delta(0, "text_delta", text=None), delta(0, "text_delta", text="Hi")), text("Hi")),
    (
        "an_unknown_citation",
        (start(0, text("Hi")), delta(0, "citations_delta", citation={"type": "hunch"})),
        text("Hi", citations=[{"type": "hunch"}]),
    ),
    ("pings_and_done", (frame("ping"), start(0, text("Hi")), o.SseFrame(None, "[DONE]"), o.SseFrame(None, "")), text("Hi")),
]


@pytest.mark.parametrize(("frames", "block"), [pytest.param(*row, id=name) for name, *row in ODD])
def test_odd_providers_are_understood(frames: tuple[o.SseFrame, ...], block: dict[str, Any]) -> None:
    """What compatible servers leave out or send early does not get lost."""
    assert o.emit_response(P, answered(*frames))["content"] == [block]


def test_arguments_that_never_became_json_stay_as_they_were() -> None:
    """A call cut off by the token limit keeps its text."""
    response = answered(start(0, used("t1")), delta(0, "input_json_delta", partial_json='{"city": "Os'))
    assert response.tool_calls == (o.ToolCallPart("t1", "f", '{"city": "Os', '{"city": "Os'),)


def test_a_call_given_whole_is_announced_whole() -> None:
    """Its arguments are a delta where no other carried them."""
    events = parsed([OPENING, start(0, used("t1", a=1)), stop(0), ENDING, END])
    deltas = [event for event in events if isinstance(event, o.ToolCallDelta)]
    assert deltas == [o.ToolCallDelta("t1", "f", ""), o.ToolCallDelta("t1", "f", '{"a":1}')]


def test_a_usage_that_is_none_spoils_nothing() -> None:
    """Where ``usage`` is no object the answer is good, with the usage known before."""
    odd = frame("message_delta", delta={"stop_reason": "end_turn"}, usage=7)
    events = parsed([OPENING, odd, END])
    (known,) = [event.usage for event in events if isinstance(event, o.UsageUpdated)]
    assert (events[-1].response.raw_finish_reason, events[-1].response.usage) == ("end_turn", known)


def test_usage_is_cumulative() -> None:
    """A count replaces the one before it, and a null or an absent one does not."""
    first = {"input_tokens": 1, "cache_read_input_tokens": 9, "output_tokens": 1, "service_tier": "standard"}
    opening = frame("message_start", message=message(usage=first, stop_reason=None))
    second = {
        "input_tokens": 2,
        "cache_read_input_tokens": None,
        "output_tokens": 7,
        "server_tool_use": {"web_search_requests": 1},
    }
    middle = frame("message_delta", delta={}, usage={"output_tokens": 4})
    ending = frame("message_delta", delta={"stop_reason": "end_turn"}, usage=second)
    events = parsed([opening, middle, ending, END])
    usages = [event.usage for event in events if isinstance(event, o.UsageUpdated)]
    assert [(usage.prompt_tokens, usage.completion_tokens) for usage in usages] == [(10, 1), (10, 4), (11, 7)]
    assert events[-1].response.usage == usages[-1]
    assert kept(usages[-1]) == {"service_tier": "standard", "server_tool_use": {"web_search_requests": 1}}


def test_the_fields_of_the_ending_are_the_messages() -> None:
    """What a message_delta says beside its usage is in the response; a null hides nothing."""
    ending = frame(
        "message_delta",
        delta={"stop_reason": "stop_sequence", "stop_sequence": "END", "container": None, "stop_details": None},
        context_management={"applied_edits": []},
        input_transformations=None,
    )
    opening = frame("message_start", message=message(container={"id": "c"}, stop_reason=None))
    response = parsed([opening, ending, frame("message_delta", delta={"stop_reason": None}), END])[-1].response
    assert (response.raw_finish_reason, response.finish_reason) == ("stop_sequence", o.FinishReason.STOP)
    assert kept(response) == {
        "stop_sequence": "END",
        "container": {"id": "c"},
        "stop_details": None,
        "context_management": {"applied_edits": []},
        "input_transformations": None,
    }


def test_a_second_start_is_ignored() -> None:
    """The first one counts, as the provider's own client has it."""
    again = frame("message_start", message=message(id="msg_2"))
    events = parsed([OPENING, again, ENDING, END])
    assert [event for event in events if isinstance(event, o.ResponseStarted)] == [
        o.ResponseStarted("msg_1", "claude-sonnet-4-5", P)
    ]
    assert events[-1].response.response_id == "msg_1"


def test_a_stream_without_a_start_is_read() -> None:
    """Some gateways leave it out; the stream starts with its first block."""
    events = parsed([start(0, text("Hi")), ENDING, END])
    assert isinstance(events[0], o.ResponseStarted)
    assert str(events[-1].response) == "Hi"
    assert isinstance(parsed([END])[-1], o.Completed)


def test_the_model_that_answered_is_the_last_one() -> None:
    """A fallback block names it."""
    fallback = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}
    assert answered(start(0, fallback)).model == "b"


@pytest.mark.parametrize(
    "strange",
    [
        frame("a_kind_of_tomorrow", x=1),
        o.SseFrame("a_kind_of_tomorrow", '{"x": 1}'),
        o.SseFrame(None, '{"type": 7}'),
        delta(0, "a_delta_of_tomorrow", x=1),
        delta(0, "thinking_delta", thinking="misplaced"),
        delta(1, "text_delta", text="misplaced"),
        delta(2, "text_delta", text="misplaced"),
    ],
)
def test_what_nobody_knows_is_an_event_of_the_vendor(strange: o.SseFrame) -> None:
    """It is given whole, and the stream goes on."""
    events = parsed([OPENING, start(0, text("Hi")), start(1, SIGNED), start(2, SEARCH), strange, ENDING, END])
    assert o.VendorEvent(P, json.loads(strange.data)) in events
    assert str(events[-1].response) == "Hi"


def test_an_error_ends_the_stream() -> None:
    """It is one event, the last, with the class of its type."""
    parser = o.StreamParser(P)
    parser.feed(OPENING)
    (failed,) = parser.feed(frame("error", error={"type": "overloaded_error", "message": "Overloaded"}))
    assert isinstance(failed, o.StreamFailed)
    assert failed.message == "Overloaded"
    assert type(failed.error) is o.OverloadedError
    assert parser.feed(END) == []
    assert parser.finish() == []


def test_a_stop_reason_is_an_end() -> None:
    """Where message_stop never came, the end of the stream ends the answer."""
    parser = o.StreamParser(P)
    for each in (OPENING, start(0, text("Hi")), ENDING):
        parser.feed(each)
    (completed,) = parser.finish()
    assert isinstance(completed, o.Completed)
    assert str(completed.response) == "Hi"
    assert parser.finish() == []


def test_a_stream_that_was_cut_is_incomplete() -> None:
    """What had arrived is with the error; before the first event there is nothing."""
    parser = o.StreamParser(P)
    assert parser.partial() is None
    with pytest.raises(o.IncompleteStreamError) as nothing:
        parser.finish()
    assert nothing.value.partial_response is None
    for each in (OPENING, start(0, text("")), delta(0, "text_delta", text="He"), delta(0, "text_delta", text="llo")):
        parser.feed(each)
    with pytest.raises(o.IncompleteStreamError) as caught:
        parser.finish()
    assert str(caught.value.partial_response) == "Hello"
    assert caught.value.partial_response == parser.partial()


HOSTILE = [
    o.SseFrame(None, "{"),
    o.SseFrame(None, "[]"),
    frame("message_start", message=[]),
    frame("message_start", message={"id": 7}),
    frame("content_block_start", index=0),
    frame("content_block_start", index=0, content_block={}),
    start(0, {"type": "tool_use", "id": 7}),
    frame("content_block_delta", index=0),
    frame("content_block_delta", index=9, delta={"type": "text_delta", "text": "x"}),
    delta(0, "text_delta", text=7),
    frame("content_block_stop", index=9),
    frame("message_delta", delta=7),
]


@pytest.mark.parametrize("bad", HOSTILE)
def test_what_is_no_stream_is_refused(bad: o.SseFrame) -> None:
    """A frame of the wrong form raises a protocol error and nothing else, in a stream or by itself."""
    parser = o.StreamParser(P)
    if bad.event != "message_start":
        parser.feed(OPENING)
        parser.feed(start(0, text("")))
    with pytest.raises(o.ProtocolError):
        parser.feed(bad)


SINGLE: list[tuple[o.SseFrame, Any]] = [
    (OPENING, o.ResponseStarted("msg_1", "claude-sonnet-4-5", P)),
    (start(1, text("")), o.ContentPartAdded(o.TextPart(""), 1)),
    (start(1, text("Hi")), o.TextDelta("Hi", 1)),
    (start(0, {"type": "thinking", "thinking": "", "signature": ""}), o.ContentPartAdded(o.ReasoningPart(signature=""), 0)),
    (start(0, REDACTED), o.ReasoningDelta("", 0, encrypted_content="Em")),
    (start(2, used("t1")), o.ToolCallDelta("t1", "f", "", 2)),
    (start(1, SEARCH), o.ContentPartAdded(o.VendorPart(P, SEARCH), 1)),
    (delta(1, "text_delta", text="Hi"), o.TextDelta("Hi", 1)),
    (delta(0, "thinking_delta", thinking="Hm."), o.ReasoningDelta("Hm.", 0)),
    (delta(0, "signature_delta", signature="Eq"), o.ReasoningDelta("", 0, signature="Eq")),
    (delta(0, "input_json_delta", partial_json='{"a'), o.ToolCallDelta("", "", '{"a', 0)),
    (
        delta(0, "citations_delta", citation=CITED),
        o.AnnotationAdded(o.Annotation("char_location", start=0, end=1, cited_text="a", raw=CITED)),
    ),
    (
        frame("message_delta", delta={"stop_reason": None, "stop_sequence": None}, usage={"input_tokens": 3, "output_tokens": 5}),
        o.UsageUpdated(o.TokenUsage(3, 5)),
    ),
    (frame("error", error={"type": "api_error", "message": "Sorry."}), o.StreamFailed("Sorry.")),
    (
        delta(0, "compaction_delta", content="x"),
        o.VendorEvent(P, {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": "x"}}),
    ),
    (frame("a_kind_of_tomorrow", x=1), o.VendorEvent(P, {"type": "a_kind_of_tomorrow", "x": 1})),
]


@pytest.mark.parametrize(("given", "event"), SINGLE)
def test_a_frame_by_itself(given: o.SseFrame, event: Any) -> None:
    """It is read as far as it goes, and the event is written as the frame that it was."""
    assert o.parse_stream_event(P, given) == event
    written = o.transcode_stream_event(P, P, given)
    assert written is not None
    if given not in (OPENING, start(1, text("Hi"))):
        assert json.loads(written.data) == json.loads(given.data)


def test_the_ending_by_itself() -> None:
    """It is a response of a finish reason and a usage, and is written again as an ending."""
    event = o.parse_stream_event(P, ENDING)
    assert isinstance(event, o.Completed)
    assert (event.response.finish_reason, event.response.usage.completion_tokens) == (o.FinishReason.STOP, 7)
    written = o.emit_stream_event(P, event)
    assert written is not None
    assert json.loads(written.data)["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


@pytest.mark.parametrize(
    "silent",
    [
        frame("ping"),
        stop(0),
        END,
        o.SseFrame(None, ""),
        o.SseFrame(None, "[DONE]"),
        delta(0, "text_delta", text=""),
        frame("message_delta", delta={}),
    ],
)
def test_a_frame_that_says_nothing_by_itself(silent: o.SseFrame) -> None:
    """It gives no event."""
    assert o.parse_stream_event(P, silent) is None


@pytest.mark.parametrize("bad", [each for each in HOSTILE if each not in (HOSTILE[8], HOSTILE[10])])
def test_a_frame_by_itself_that_is_none_is_refused(bad: o.SseFrame) -> None:
    """A frame of the wrong form raises a protocol error and nothing else."""
    with pytest.raises(o.ProtocolError):
        o.parse_stream_event(P, bad)
