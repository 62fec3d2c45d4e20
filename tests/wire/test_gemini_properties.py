"""What holds for every value: nothing is lost without a word, what was written is read back, and damage raises one error."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gemini_content import CHAT, SIGNED, WIRE, P, answer, body, called, gave, model, parsed, streamed, user
from hypothesis import given
from hypothesis import strategies as st
from strategies import events, json_objects, json_values, names, requests, responses, texts

import omnillm as o


def foreign(name: str) -> dict[str, Any]:
    """Give extensions of another wire, and one of the caller's own."""
    return {"open_ai_chat_completions": {"kept": "there"}, f"own_of_{name}": "x"}


RICH = o.LlmRequest(
    "m",
    (
        o.Message.system("Be kind."),
        o.Message(
            "user",
            (
                o.TextPart(
                    "Hi", (o.Annotation("url_citation", "u", "t", 0, 1, "c", "f", {"a": 1}),), vendor_extensions=foreign("part")
                ),
                o.ImageUrlPart("https://x.example/", "low"),
                o.ImageBase64Part("AA==", "image/png", "low"),
                o.AudioPart("AA==", "audio/wav", "said"),
                o.FilePart("f", "application/pdf", "AA==", "n", "u"),
                o.FilePart("f", "application/pdf", None, "n", "u"),
                o.FilePart("f", "application/pdf", None, "n"),
                o.JsonPart({"a": 1}),
                o.VendorPart(CHAT, {"type": "x", "id": "y", "in": [{"type": "z"}]}),
            ),
            vendor_extensions=foreign("message"),
        ),
        o.Message(
            "assistant",
            (o.ReasoningPart("t", ("s",), "g", "e", protocol=CHAT), o.RefusalPart("r"), o.ToolCallPart("c", "f", {"a": 1})),
        ),
        o.ToolResultPart("c", (o.TextPart("Hi"), o.AudioPart("AA==", "audio/wav", "said")), "f", True),
        o.Message.system("Be brief."),
    ),
    instructions="Obey.",
    capabilities=o.CapabilitySet(
        (o.ToolDefinition("f", {"type": "object"}, "d", True, vendor_extensions=foreign("tool")),),
        o.ToolChoice("named", "f", vendor_extensions=foreign("choice")),
        False,
        o.StructuredOutputConfig({"type": "object"}, "n", True, vendor_extensions=foreign("format")),
        o.ReasoningCapability("high", "auto", 2000, vendor_extensions=foreign("reasoning")),
        (o.OutputModality.TEXT, o.OutputModality.IMAGE),
        o.SafetySettings({"a": 1}),
        prompt_cache=o.PromptCachePolicy("best_effort", o.PromptCacheKey("explicit", "k"), o.PromptCacheRetention.LONG),
        builtin_tools=(
            o.BuiltinTool(o.BuiltinToolKind.WEB_SEARCH, {"search_context_size": "low", "max_uses": 3}, protocol=CHAT),
            o.BuiltinTool(o.BuiltinToolKind.MAPS, {"type": "maps", "zoom": 3}),
        ),
        vendor_extensions=foreign("capabilities"),
    ),
    generation=o.GenerationConfig(9, 1.5, 0.5, 3, ("END",), 0.5, 0.5, 7, vendor_extensions=foreign("generation")),
    stream=True,
    metadata={"user_id": "u", "trace": "t"},
    vendor_extensions=foreign("request"),
)
UNSAID = ("/capabilities/builtin_tools/0/protocol", "/stream")  # whose a value is; what the URL says


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{pointer}/{i}")
    elif value is not None:
        yield pointer, value


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else value + "x"


def put(value: Any, pointer: str, new: Any) -> Any:
    value = copy.deepcopy(value)
    *path, last = pointer.split("/")[1:]
    place = value
    for step in path:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = new
    return value


@pytest.mark.parametrize("pointer", [pointer for pointer, _ in leaves(RICH.to_dict()) if not pointer.endswith("/type")])
def test_no_field_is_lost_without_a_word(pointer: str) -> None:
    """Change any leaf of a request: the payload changes, or a loss points to the field or to what holds it."""
    given = RICH.to_dict()
    try:
        request = o.LlmRequest.from_dict(put(given, pointer, changed(dict(leaves(given))[pointer])))
    except o.ProtocolError:
        return  # a closed vocabulary
    report, before = o.emit_api_request(WIRE, request), o.emit_api_request(WIRE, RICH)
    named = any(f"{pointer}/".startswith(f"{loss.pointer}/") for loss in before.losses)
    assert report.value != before.value or named or report.losses != before.losses or pointer in UNSAID


def test_a_full_request_has_no_more_losses_than_there_are() -> None:
    """Every loss is named once."""
    pointers = [loss.pointer for loss in o.emit_api_request(WIRE, RICH).losses]
    assert len(pointers) == len(set(pointers))


@given(requests)
def test_any_request_is_written_and_read_back(request: o.LlmRequest) -> None:
    """Only a protocol error is raised; what was written is read, and written again is the same."""
    before = copy.deepcopy(request)
    try:
        report = o.emit_api_request(WIRE, request)
        parsed_again = o.parse_request(P, json.loads(json.dumps(report.value)))
    except o.ProtocolError:
        return
    assert request == before
    again = o.emit_api_request(WIRE, parsed_again)
    assert again.value == report.value
    assert again.losses == ()
    assert o.parse_request(P, again.value) == parsed_again


@given(responses)
def test_any_response_is_written_and_read_back(response: o.LlmResponse) -> None:
    """Only a protocol error is raised; what was written is read, and written again is the same."""
    try:
        written = o.emit_response(P, response)
        again = o.parse_response(P, written)
    except o.ProtocolError:
        return
    assert o.emit_response(P, again) == written


parts = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(min_size=1, max_size=9)),
    st.just(SIGNED),
    st.just({"text": "", "thoughtSignature": "Eq=="}),
    st.builds(lambda name, args: called(name, args=args), names, json_objects),
    st.builds(lambda args: {**called("g", id="c1", args=args), "thoughtSignature": "Eq=="}, json_objects),
    st.builds(lambda code: {"executableCode": {"language": "PYTHON", "code": code}}, texts),
    st.just({"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
)


def joined(content: list[Any]) -> list[Any]:
    """Give the parts as a stream tells them: texts that follow one another are one."""
    out: list[Any] = []
    for part in content:
        if out and part.keys() == out[-1].keys() == {"text"}:
            out[-1] = {"text": out[-1]["text"] + part["text"]}
        else:
            out.append(part)
    return out


def call_id(part: dict[str, Any]) -> Any:
    """Give the id of a call; what has none is like nothing else."""
    return part.get("functionCall", {}).get("id") or object()


@given(
    st.lists(parts, max_size=5, unique_by=call_id),
    st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "TOMORROW"]),
    st.integers(1, 9),
)
def test_a_stream_ends_in_the_answer_that_it_streams(content: list[Any], reason: str, size: int) -> None:
    """However its texts are cut, and again when its events are written as a stream."""
    whole = answer(*joined(content), candidate={"finishReason": reason})
    stream = parsed(streamed(whole, size))
    assert o.emit_response(P, stream[-1].response) == whole
    emitter = o.StreamEmitter(P)
    again = parsed([frame for event in stream for frame in emitter.feed(event)])[-1].response
    assert o.emit_response(P, again) == whole


@given(st.lists(events, max_size=8))
def test_any_events_make_frames_that_are_read(stream: list[Any]) -> None:
    """Events in any order raise nothing, and their frames raise a protocol error at most."""
    emitter, parser = o.StreamEmitter(P), o.StreamParser(P)
    try:
        for event in stream:
            for frame in emitter.feed(event):
                parser.feed(frame)
            single = o.emit_stream_event(P, event)
            if single is not None:
                o.parse_stream_event(P, single)
        parser.finish()
    except o.ProtocolError:
        pass


PAYLOADS: tuple[dict[str, Any], ...] = (
    body(
        user({"text": "Hi", "partMetadata": {}}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
        model(SIGNED, {**called(id="c1"), "thoughtSignature": "Eq=="}, called("g")),
        user(
            gave({"output": "x"}, id="c1", parts=[{"inline_data": {"mime_type": "audio/wav", "data": "AA=="}}]),
            {"fileData": {"fileUri": "u", "mimeType": "application/pdf", "displayName": "n"}},
        ),
        systemInstruction={"parts": [{"text": "Be kind."}]},
        tools=[{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}], "googleSearch": {}}],
        tool_config={"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        generationConfig={
            "stopSequences": ["END"],
            "thinkingConfig": {"thinkingBudget": 9, "includeThoughts": True},
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
            "responseModalities": ["TEXT"],
        },
        labels={"a": "b"},
    ),
    answer(
        SIGNED,
        {"text": "Hi"},
        called(id="c1"),
        candidate={
            "citationMetadata": {"citations": [{"startIndex": 1, "endIndex": 2, "uri": "u"}]},
            "groundingMetadata": {
                "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
                "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 1}, "groundingChunkIndices": [0]}],
            },
        },
        promptFeedback={"blockReason": "SAFETY"},
    ),
    {
        "events": [
            *(json.loads(frame.data) for frame in streamed(answer(SIGNED, {"text": "Hi"}, called(id="c1")))),
            {
                "candidates": [
                    {"content": model(called(partialArgs=[{"jsonPath": "$.a[0]", "stringValue": "x"}], willContinue=True))}
                ]
            },
        ]
    },
)
poison = json_values | texts | st.sampled_from([10**30, -1, True, "\ud800", {"type": None}, [None], [[]], {"": None}, [{}] * 3])


@given(st.sampled_from(PAYLOADS), st.data())
def test_damage_raises_a_protocol_error_and_nothing_else(payload: dict[str, Any], data: st.DataObject) -> None:
    """One value anywhere replaced by any other: it is read, or refused by the one kind of error."""
    places = [pointer for pointer, _ in nodes(payload)]
    damaged = put(payload, data.draw(st.sampled_from(places)), data.draw(poison))
    try:
        if "contents" in payload:
            o.emit_request(P, o.parse_request(P, damaged))
        elif "candidates" in payload:
            o.emit_response(P, o.parse_response(P, damaged))
        else:
            streams(damaged["events"])
    except o.ProtocolError:
        pass


def nodes(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        yield f"{pointer}/{name}", inner
        yield from nodes(inner, f"{pointer}/{name}")


def streams(frames: Any) -> None:
    parser, emitter = o.StreamParser(P), o.StreamEmitter(P)
    for payload in frames if isinstance(frames, list) else [frames]:
        for event in parser.feed(o.SseFrame(None, json.dumps(payload))):
            emitter.feed(event)
        parser.partial()
    parser.finish()
