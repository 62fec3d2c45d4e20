"""generateContent streams, read: the events of every kind of chunk, and how a stream ends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from gemini_content import END, SIGNED, WIRE, P, answer, called, chunk, frame, gave, model, own, parsed

import omnillm as o


def said(*frames: o.SseFrame) -> list[Any]:
    """Give the events of a stream but for its opening and its end."""
    return [
        event for event in parsed([*frames, END]) if not isinstance(event, o.ResponseStarted | o.OutputItemAdded | o.Completed)
    ]


def whole(*frames: o.SseFrame) -> o.LlmResponse:
    """Give the final response of a stream."""
    last = parsed(list(frames))[-1]
    assert isinstance(last, o.Completed)
    return last.response


def test_a_stream_from_start_to_end() -> None:
    """It opens once, tells its texts and its usage, and ends with the whole response when nothing more comes."""
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    frames = [
        chunk({"text": "Hel"}, createTime="t"),
        chunk({"text": "lo"}, candidate={"finishReason": "STOP"}, usageMetadata=usage),
    ]
    events = parsed(frames)
    assert events[:4] == [
        o.ResponseStarted("r1", "gemini-2.5-flash", P, vendor_extensions=own(createTime="t")),
        o.OutputItemAdded(o.Message("assistant", ())),
        o.TextDelta("Hel"),
        o.TextDelta("lo"),
    ]
    assert events[4] == o.UsageUpdated(o.TokenUsage(3, 2, 5))
    response = events[5].response
    assert (response.text, response.finish_reason, response.usage.total_tokens) == ("Hello", o.FinishReason.STOP, 5)
    assert o.emit_response(P, response) == {**answer({"text": "Hello"}), "usageMetadata": usage, "createTime": "t"}
    assert len(events) == 6


PARTS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"text": ""}, []),
    ({"text": "Hm.", "thought": True}, [o.ReasoningDelta("Hm.")]),
    (SIGNED, [o.ReasoningDelta("Hm.", signature="Eq==")]),
    (
        {"text": "Hi", "thoughtSignature": "A"},
        [o.ContentPartAdded(o.TextPart("", vendor_extensions=own(thoughtSignature="A"))), o.TextDelta("Hi")],
    ),
    ({"text": "", "thoughtSignature": "A"}, [o.ContentPartAdded(o.TextPart("", vendor_extensions=own(thoughtSignature="A")))]),
    (called(id="c", args={"a": 1}), [o.ToolCallDelta("c", "f", '{"a":1}')]),
    (
        {**called(id="c"), "thoughtSignature": "A"},
        [
            o.ContentPartAdded(o.ToolCallPart("c", "f", {}, vendor_extensions=own(thoughtSignature="A"))),
            o.ToolCallDelta("c", "f", "{}"),
        ],
    ),
    ({"executableCode": {"code": "1"}}, [o.ContentPartAdded(o.VendorPart(P, {"executableCode": {"code": "1"}}))]),
    ({"inlineData": {"mimeType": "image/png", "data": "A"}}, [o.ContentPartAdded(o.ImageBase64Part("A", "image/png"))]),
    (gave({"a": 1}, id="c"), [o.ToolResultAdded(o.ToolResultPart("c", {"a": 1}, "f"))]),
]


@pytest.mark.parametrize(("part", "events"), PARTS)
def test_the_events_of_a_part(part: dict[str, Any], events: list[Any]) -> None:
    """What its deltas cannot say is in the part that announces them."""
    assert said(chunk(part)) == events


def test_texts_are_joined_and_signed_parts_stay_their_own() -> None:
    """A signature keeps its part, in order; what follows it begins another one, which is announced."""
    frames = [chunk({"text": text}) for text in "ab"]
    frames += [chunk({"text": "", "thoughtSignature": "A"}), chunk({"text": "c"}), chunk({"text": "d", "thought": True})]
    parts = whole(*frames, END).messages[0].parts
    assert [getattr(part, "text", None) for part in parts] == ["ab", "", "c", "d"]
    assert said(*frames)[3] == o.ContentPartAdded(o.TextPart(""))


def test_calls_without_ids_are_named_by_their_place() -> None:
    """The deltas name the call as the final response does."""
    frames = [chunk(called("f")), chunk(called("g"))]
    deltas = [event.call_id for event in said(*frames) if isinstance(event, o.ToolCallDelta)]
    assert deltas == ["call_0", "call_1"] == [call.call_id for call in whole(*frames, END).tool_calls]


def piece(path: str, *, more: bool = True, **value: Any) -> o.SseFrame:
    """Give the chunk of a piece of a call's arguments."""
    call = {"partialArgs": [{"jsonPath": path, **value}], **({"willContinue": True} if more else {})}
    return chunk({"functionCall": call})


def test_arguments_in_pieces() -> None:
    """Texts at one path grow, objects and arrays are made on the way; the call is told when it is whole."""
    frames = [
        chunk({"functionCall": {"name": "f", "id": "c", "willContinue": True}, "thoughtSignature": "A"}),
        piece("$.city", stringValue="New "),
        piece("$.city", stringValue="York"),
        piece("$['a'][0].b", numberValue=1),
        piece("$.a[1]", boolValue=True),
        piece("$.n", nullValue="NULL_VALUE"),
        piece("$", stringValue="nowhere"),
        chunk({"functionCall": {}}),
        chunk(called("g", id="d")),
    ]
    arguments = {"city": "New York", "a": [{"b": 1}, True], "n": None}
    assert [call.arguments for call in whole(*frames, END).tool_calls] == [arguments, {}]
    assert [json.loads(event.delta) for event in said(*frames) if isinstance(event, o.ToolCallDelta)] == [arguments, {}]
    assert whole(*frames, END).tool_calls[0].vendor_extensions == own(thoughtSignature="A")


def test_a_call_that_is_cut_is_told_as_far_as_it_came() -> None:
    """The end of the stream, or another call, ends it."""
    frames = [
        chunk({"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a", "numberValue": 1}], "willContinue": True}}),
        chunk({"function_call": {"name": "g", "partialArgs": [{"json_path": "$.b", "stringValue": "x"}], "willContinue": True}}),
        chunk(candidate={"finishReason": "MALFORMED_FUNCTION_CALL"}),
    ]
    assert [(call.name, call.arguments) for call in whole(*frames).tool_calls] == [("f", {"a": 1}), ("g", {"b": "x"})]


@pytest.mark.parametrize("path", ["$[0]", "$.a[500]", "$.a.b", "$.a[99999999999].b"])
def test_a_path_that_leads_nowhere(path: str) -> None:
    """It is a protocol error, and nothing grows."""
    begun = [chunk({"functionCall": {"name": "f", "willContinue": True}}), piece("$.a[0]", numberValue=1)]
    with pytest.raises(o.InvalidShapeError, match="leads nowhere"):
        parsed([*begun, piece(path, numberValue=2), END])


def test_what_is_empty_is_not_sent() -> None:
    """The items of an array before the first that is sent are null."""
    frames = [chunk({"functionCall": {"name": "f", "willContinue": True}}), piece("$.a[2].b", numberValue=1)]
    assert whole(*frames, END).tool_calls[0].arguments == {"a": [None, None, {"b": 1}]}


@pytest.mark.parametrize(
    ("name", "value"), [("string_value", "x"), ("number_value", 1.5), ("bool_value", True), ("null_value", None)]
)
def test_pieces_in_snake_case(name: str, value: Any) -> None:
    """A value is its argument's, however the names are spelled."""
    given = {"json_path": "$.a", name: "NULL_VALUE" if value is None else value}
    call = {"function_call": {"name": "f", "partial_args": [given], "will_continue": True}}
    assert whole(chunk(call), END).tool_calls[0].arguments == {"a": value}


def test_what_a_candidate_says_is_gathered() -> None:
    """Log probabilities and citations grow, the last of everything else counts; annotations are told at the end."""
    frames = [
        chunk({"text": "a"}, candidate={"logprobsResult": {"chosenCandidates": [1]}, "avgLogprobs": -1.0, "tokenCount": 1}),
        chunk({"text": "b"}, candidate={"logprobsResult": {"chosenCandidates": [2]}, "tokenCount": None}),
        chunk(candidate={"citationMetadata": {"citations": [{"uri": "u"}]}, "finish_reason": "STOP"}),
        chunk(candidate={"citationMetadata": {"citations": [{"uri": "v"}]}, "groundingMetadata": {"webSearchQueries": ["q"]}}),
    ]
    events = parsed(frames)
    assert [event.annotation.url for event in events if isinstance(event, o.AnnotationAdded)] == ["u", "v"]
    candidate = o.emit_response(P, events[-1].response)["candidates"][0]
    assert candidate["logprobsResult"] == {"chosenCandidates": [1, 2]}
    assert (candidate["avgLogprobs"], candidate["tokenCount"], candidate["finishReason"]) == (-1.0, 1, "STOP")
    assert candidate["groundingMetadata"] == {"webSearchQueries": ["q"]}


def test_other_candidates_are_kept() -> None:
    """The first is told, the others are in the final response."""
    two = {"candidates": [{"content": model({"text": t}), "finishReason": "STOP", "index": i} for i, t in enumerate("ab")]}
    events = parsed([frame(two)])
    assert [event.delta for event in events if isinstance(event, o.TextDelta)] == ["a"]
    assert o.emit_response(P, events[-1].response) == two


def test_a_blocked_prompt_ends_a_stream() -> None:
    """It is a refusal, not an empty success."""
    response = whole(frame({"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r"}), frame({"usageMetadata": {}}))
    assert (response.refusal, response.finish_reason) == ("prompt_blocked:SAFETY", o.FinishReason.CONTENT_FILTER)


@pytest.mark.parametrize(
    "data",
    [
        [[{"x": 0}, {"x": 1}]],
        ["[", {"x": 0}, ",", {"x": 1}, "]"],
        ["[{0}", ",{1}", "]"],
        ["[{0},", "{1}]"],
        ["", "{0}", " ", "{1}", "[DONE]"],
    ],
    ids=str,
)
def test_a_stream_that_is_a_json_array(data: list[Any]) -> None:
    """Its items may come in a list, alone, or with the array's own marks around them."""
    chunks = [chunk({"text": "Hel"}).data, chunk({"text": "lo"}, candidate={"finishReason": "STOP"}).data]
    frames = []
    for item in data:
        if isinstance(item, list):
            text = "[" + ",".join(chunks) + "]"
        elif isinstance(item, dict):
            text = chunks[item["x"]]
        else:
            text = item.replace("{0}", chunks[0]).replace("{1}", chunks[1])
        frames.append(o.SseFrame(None, text))
    assert whole(*frames).text == "Hello"


def test_an_error_ends_a_stream() -> None:
    """One failure, and nothing after it."""
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    events = parsed([chunk({"text": "a"}), frame([error, error]), END])
    assert [type(event) for event in events[2:]] == [o.TextDelta, o.StreamFailed]
    assert isinstance(events[-1].error, o.OverloadedError)
    assert (events[-1].message, events[-1].error.status) == ("overloaded", 503)


def test_a_stream_that_is_cut() -> None:
    """Without a finish reason it raises, with what had arrived."""
    parser = o.StreamParser(P)
    assert parser.partial() is None
    parser.feed(chunk({"text": "Hel"}))
    with pytest.raises(o.IncompleteStreamError) as caught:
        parser.finish()
    assert caught.value.partial_response.text == "Hel"


def test_nothing_comes_after_the_end() -> None:
    """The final response is given once."""
    parser = o.StreamParser(P)
    parser.feed(END)
    assert isinstance(parser.finish()[-1], o.Completed)
    assert (parser.feed(END), parser.finish()) == ([], [])


def test_a_chunk_that_nobody_knows() -> None:
    """It is a vendor's event; an ended stream stays ended."""
    assert parsed([frame({"x": 1}), END])[0] == o.VendorEvent(P, {"x": 1})


@pytest.mark.parametrize(
    "given",
    [
        1,
        [1],
        {"candidates": 1},
        {"candidates": [1]},
        {"candidates": [{"content": 1}]},
        {"candidates": [{"content": {"parts": 1}}]},
        {"candidates": [{"content": {"parts": [1]}}]},
        {"candidates": [{"content": {"parts": [{"text": 1}]}}]},
    ],
)
def test_a_chunk_of_a_wrong_shape(given: Any) -> None:
    """It is a protocol error."""
    with pytest.raises(o.ProtocolError):
        parsed([frame(given)])


def test_bad_json_is_named() -> None:
    """A frame that is no JSON is an error of its own."""
    with pytest.raises(o.InvalidJsonError):
        parsed([o.SseFrame(None, "{nope")])


SINGLE: list[tuple[o.SseFrame, Any]] = [
    (chunk({"text": "a"}), o.TextDelta("a")),
    (chunk({"text": "a"}, candidate={"finishReason": "STOP"}), o.Completed),
    (frame({"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}}), o.UsageUpdated),
    (frame({"error": {"message": "m"}}), o.StreamFailed),
    (frame({"responseId": "r"}), o.ResponseStarted),
    (o.SseFrame(None, "[DONE]"), type(None)),
]


@pytest.mark.parametrize(("given", "event"), SINGLE)
def test_a_frame_by_itself(given: o.SseFrame, event: Any) -> None:
    """It is read as its most telling event."""
    found = o.parse_stream_event(P, given)
    assert isinstance(found, event) if isinstance(event, type) else found == event


def test_a_content_may_hold_one_part_alone() -> None:
    """Some proxies send an object for an array."""
    given = {"candidates": [{"content": {"parts": {"text": "a"}, "role": "model"}, "finishReason": "STOP"}]}
    response = whole(frame(given))
    assert response.text == "a"
    assert replace(response, vendor_extensions={}).model == ""
    assert WIRE.value == "gemini_generate_content"
