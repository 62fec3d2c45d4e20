"""What holds for every value in every format: nothing is lost without a word, and what was written is read back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import events, requests, responses
from streamed_answers import STREAMED, Streamed

import omnillm as o

OTHER = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS
FILLED = (o.WireFormat.ANTHROPIC_MESSAGES, o.WireFormat.GEMINI_GENERATE_CONTENT, o.WireFormat.BEDROCK_CONVERSE)
every_format = pytest.mark.parametrize("wire", [*FILLED, o.WireFormat.OPENAI_CHAT_COMPLETIONS, o.WireFormat.OPENAI_RESPONSES])


def foreign(name: str) -> dict[str, Any]:
    """Give extensions of another wire, and one of the caller's own."""
    return {"open_ai_chat_completions": {f"kept_of_{name}": "there"}, f"own_of_{name}": "x"}


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
                o.ImageUrlPart("s3://bucket/x.png", "low", vendor_extensions=foreign("image")),
                o.ImageBase64Part("AA==", "image/png", "low"),
                o.AudioPart("AA==", "audio/wav", "said"),
                o.FilePart("f", "application/pdf", "AA==", "n.pdf", "u"),
                o.FilePart("f", "video/mp4", None, "n", "s3://bucket/x"),
                o.FilePart("f", "application/pdf", None, "n", "u"),
                o.FilePart("f", "application/pdf", None, "n"),
                o.JsonPart({"a": 1}),
                o.VendorPart(OTHER, {"type": "x", "id": "y", "in": [{"type": "z"}]}),
            ),
            vendor_extensions=foreign("message"),
        ),
        o.Message(
            "assistant",
            (o.ReasoningPart("t", ("s",), "g", "e", protocol=OTHER), o.RefusalPart("r"), o.ToolCallPart("c", "f", {"a": 1})),
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
            o.BuiltinTool(o.BuiltinToolKind.WEB_SEARCH, {"search_context_size": "low", "max_uses": 3}, protocol=OTHER),
            o.BuiltinTool(o.BuiltinToolKind.MAPS, {"type": "maps", "zoom": 3}),
        ),
        vendor_extensions=foreign("capabilities"),
    ),
    stream=True,
    generation=o.GenerationConfig(9, 1.5, 0.5, 3, ("END",), 0.5, 0.5, 7, vendor_extensions=foreign("generation")),
    metadata={"user_id": "u", "trace": 5},
    vendor_extensions=foreign("request"),
)
UNSAID = {  # whose a value is; what the URL says
    o.WireFormat.ANTHROPIC_MESSAGES: ("/capabilities/builtin_tools/0/protocol",),
    o.WireFormat.GEMINI_GENERATE_CONTENT: ("/capabilities/builtin_tools/0/protocol", "/stream"),
    o.WireFormat.BEDROCK_CONVERSE: ("/capabilities/builtin_tools/0/protocol", "/stream"),
    o.WireFormat.OPENAI_CHAT_COMPLETIONS: (),
    o.WireFormat.OPENAI_RESPONSES: (),
}


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


@every_format
@pytest.mark.parametrize("pointer", [pointer for pointer, _ in leaves(RICH.to_dict()) if not pointer.endswith("/type")])
def test_p41_no_field_is_lost_without_a_word(wire: o.WireFormat, pointer: str) -> None:
    """Change any leaf of a request: the payload changes, or a loss points to the field or to what holds it."""
    given = RICH.to_dict()
    try:
        request = o.LlmRequest.from_dict(put(given, pointer, changed(dict(leaves(given))[pointer])))
    except o.ProtocolError:
        return  # a closed vocabulary
    report, before = o.emit_api_request(wire, request), o.emit_api_request(wire, RICH)
    named = any(f"{pointer}/".startswith(f"{loss.pointer}/") for loss in before.losses)
    assert report.value != before.value or named or report.losses != before.losses or pointer in UNSAID[wire]


@every_format
def test_a_full_request_has_no_more_losses_than_there_are(wire: o.WireFormat) -> None:
    """Every loss is named once."""
    pointers = [loss.pointer for loss in o.emit_api_request(wire, RICH).losses]
    assert len(pointers) == len(set(pointers))


@every_format
@given(requests)
def test_p41_any_request_is_written_and_read_back(wire: o.WireFormat, request: o.LlmRequest) -> None:
    """Only a protocol error is raised; what was written is read, and written again is the same."""
    before = copy.deepcopy(request)
    try:
        report = o.emit_api_request(wire, request)
        parsed_again = o.parse_request(wire.protocol, json.loads(json.dumps(report.value)))
    except o.ProtocolError:
        return
    assert request == before
    again = o.emit_api_request(wire, parsed_again)
    assert again.value == report.value
    assert again.losses == ()
    assert o.parse_request(wire.protocol, again.value) == parsed_again


@every_format
@given(responses)
def test_p41_any_response_is_written_and_read_back(wire: o.WireFormat, response: o.LlmResponse) -> None:
    """Only a protocol error is raised; what was written is read, and written again is the same."""
    try:
        written = o.emit_response(wire.protocol, response)
        again = o.parse_response(wire.protocol, written)
    except o.ProtocolError:
        return
    assert o.emit_response(wire.protocol, again) == written


@every_format
@given(st.lists(events, max_size=8))
def test_any_events_make_frames_that_are_read(wire: o.WireFormat, stream: list[Any]) -> None:
    """Events in any order raise nothing, and their frames raise a protocol error at most."""
    emitter, parser = o.StreamEmitter(wire.protocol), o.StreamParser(wire.protocol)
    try:
        for event in stream:
            for frame in emitter.feed(event):
                parser.feed(frame)
            single = o.emit_stream_event(wire.protocol, event)
            if single is not None:
                o.parse_stream_event(wire.protocol, single)
        parser.finish()
    except o.ProtocolError:
        pass


@pytest.mark.parametrize("streamed", STREAMED, ids=lambda streamed: streamed.wire.value)
@given(st.data(), st.integers(1, 9))
def test_a_stream_ends_in_the_answer_that_it_streams(streamed: Streamed, data: st.DataObject, size: int) -> None:
    """However its texts are cut, and again when its events are written as a stream."""
    whole = streamed.answer(data.draw(streamed.contents), data.draw(st.sampled_from(streamed.reasons)))
    protocol = streamed.wire.protocol
    stream = parsed(protocol, streamed.frames(whole, size))
    assert o.emit_response(protocol, stream[-1].response) == whole
    emitter = o.StreamEmitter(protocol)
    again = parsed(protocol, [frame for event in stream for frame in emitter.feed(event)])
    assert o.emit_response(protocol, again[-1].response) == whole


def parsed(protocol: o.ProviderProtocol, frames: list[o.SseFrame]) -> list[Any]:
    parser = o.StreamParser(protocol)
    return [event for frame in frames for event in parser.feed(frame)] + parser.finish()
