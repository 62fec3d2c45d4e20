"""A sixth format, made of the very code of docs/adding-a-wire-format.md, speaks with the other five."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import omnillm as o
from omnillm import wire
from omnillm.wire import _fields

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-wire-format.md"
FIVE = list(o.ProviderProtocol)
Json = dict[str, Any]

CARD: Json = {
    "to": "m",
    "rules": "Be kind.",
    "turns": [
        {"from": "user", "says": "Hi"},
        {"from": "assistant", "says": "Hello", "smiles": True},
        {"from": "user", "says": "So?"},
    ],
    "limit": 9,
    "stream": True,
    "stamp": {"worth": 80},
}
ANSWER: Json = {"id": "p1", "from": "m", "says": "Hello there", "why": "end", "cost": [3, 2], "postmark": "Oslo"}
STREAM = [
    o.SseFrame("open", '{"id":"p1","from":"m"}'),
    o.SseFrame("add", '{"says":"Hello "}'),
    o.SseFrame("add", '{"says":"there"}'),
    o.SseFrame("close", '{"why":"end","cost":[3,2]}'),
]
ERROR: Json = {"wrong": "no such street", "code": "lost", "hint": "look again"}


@pytest.fixture(scope="module")
def toy() -> Iterator[ModuleType]:
    """The page's code as a module, registered; afterwards the table is as it was."""
    module = ModuleType("postcard")
    blocks = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    exec(compile("\n\n".join(blocks), PAGE.name, "exec"), vars(module))
    yield module
    del wire.CODECS[module.WIRE]
    _fields.WIRE_NAMES.discard(module.WIRE.value)


@pytest.fixture(scope="module")
def card(toy: ModuleType) -> Any:
    """The name of the format."""
    return toy.WIRE


EACH = pytest.mark.parametrize("other", FIVE)


def saying(request: o.LlmRequest) -> tuple[Any, ...]:
    """Give what a request says, wherever a format puts its instructions."""
    turns = [(it.role.value, it.plain_text()) for it in request.normalized_messages()]
    return (
        request.normalized_instructions(),
        [turn for turn in turns if turn[0] not in ("system", "developer")],
        request.generation.max_output_tokens,
    )


def answering(response: o.LlmResponse) -> tuple[Any, ...]:
    return response.text, response.finish_reason, response.usage.prompt_tokens, response.usage.completion_tokens


# --- by itself ----------------------------------------------------------------------------------------------------------------


def test_what_it_reads_it_writes_again(card: Any) -> None:
    """Requests and answers come back as they were, unknown fields included."""
    assert o.emit_request(card, o.parse_request(card, CARD)) == CARD
    assert o.emit_response(card, o.parse_response(card, ANSWER)) == ANSWER
    assert o.emit_error(card, o.parse_error(card, 404, ERROR)) == ERROR
    assert o.parse_api_request(card, CARD).canonical_endpoint is o.EndpointKind.RESPONSES
    assert o.emit_transport_request(card, o.parse_request(card, CARD)).value.path == "/postcards"


def test_its_stream_says_what_its_answer_says(card: Any) -> None:
    """The stream's response is the answer, and is written as the same frames; single frames are read and written too."""
    parser, emitter = o.StreamParser(card), o.StreamEmitter(card)
    events = [event for frame in STREAM for event in parser.feed(frame)] + parser.finish()
    plain = {name: value for name, value in ANSWER.items() if name != "postmark"}
    assert events[-1] == o.Completed(o.parse_response(card, plain))
    assert [frame for event in events for frame in emitter.feed(event)] + emitter.finish() == STREAM
    assert [o.parse_stream_event(card, frame) for frame in STREAM[:3]] == events[:3]
    assert o.emit_stream_event(card, events[1]) == STREAM[1]
    unknown = o.SseFrame("stamp", '{"worth":80}')
    assert o.transcode_stream_event(card, card, unknown) == unknown
    by_hand = o.StreamEmitter(card).feed(events[-1])
    assert [frame.event for frame in by_hand] == ["open", "add", "close"]


def test_a_stream_that_was_cut_is_incomplete(card: Any) -> None:
    """Without the closing frame there is a part of an answer, and an error that has it."""
    parser = o.StreamParser(card)
    assert parser.partial() is None
    for frame in STREAM[:2]:
        parser.feed(frame)
    with pytest.raises(o.IncompleteStreamError) as caught:
        parser.finish()
    assert caught.value.partial_response.text == "Hello "


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({}, "/to"),
        ({"to": 7}, "/to"),
        ({"to": "m", "turns": [7]}, "/turns/0"),
        ({"to": "m", "turns": [{"from": "cat"}]}, "/turns/0/from"),
        ({"to": "m", "turns": [{"from": "user"}]}, "/turns/0/says"),
        ({"to": "m", "turns": [], "limit": "9"}, "/limit"),
    ],
)
def test_what_it_cannot_read_is_a_protocol_error(card: Any, payload: Json, pointer: str) -> None:
    """The error has the place, as with every format."""
    with pytest.raises(o.ProtocolError) as caught:
        o.parse_request(card, payload)
    assert caught.value.pointer == pointer
    with pytest.raises(o.ProtocolError):
        o.parse_response(card, {"cost": [1]})


def test_a_name_is_registered_once(toy: ModuleType) -> None:
    """Neither its own name nor one of the five is taken twice."""
    for name in (toy.WIRE, o.WireFormat.OPENAI_RESPONSES):
        row = type(toy.CODEC)(**{slot: getattr(toy.CODEC, slot) for slot in toy.CODEC.__slots__} | {"wire_format": name})
        with pytest.raises(o.ConfigurationError, match="is taken"):
            wire.register(row)


# --- with the five ------------------------------------------------------------------------------------------------------------


@EACH
def test_requests_cross_both_ways(card: Any, other: o.ProviderProtocol) -> None:
    """The words, the instructions and the limit arrive; what only a postcard knows is named."""
    report = o.transcode_api_request(card, other.wire_format, CARD)
    assert report.bridged
    there = o.parse_request(other, report.value)
    assert saying(there) == saying(o.parse_request(card, CARD))
    assert {
        "/vendor_extensions/postcard/stamp",
        "/input/1/vendor_extensions/postcard/smiles",
    } <= {loss.pointer for loss in report.losses}
    assert "stamp" not in str(report.value)
    back = o.parse_request(card, o.transcode_request(other, card, report.value))
    assert saying(back) == saying(there)


RICH = o.LlmRequest(
    "m",
    [
        o.Message("user", [o.TextPart("Hi"), o.ImageUrlPart("https://example.com/cat.png")]),
        o.Message("assistant", [o.ToolCallPart("c", "f", {"a": 1})]),
        o.Message("tool", [o.ToolResultPart("c", "6")]),
    ],
    capabilities=o.CapabilitySet((o.ToolDefinition("f", {"type": "object"}),), prompt_cache=o.PromptCachePolicy.best_effort()),
    generation=o.GenerationConfig(9, temperature=0.0, stop_sequences=("x",)),
    metadata={"user_id": "u"},
)
LOST_OF_RICH = [
    "/input/0/parts/1",
    "/input/1/parts/0",
    "/input/2/parts/0",
    "/capabilities/prompt_cache/mode",
    "/capabilities/tools",
    "/generation/temperature",
    "/generation/stop_sequences",
    "/metadata",
]


def test_what_it_has_no_place_for_is_named(card: Any) -> None:
    """Each field that a postcard cannot say is a loss; what is required is refused."""
    report = o.emit_api_request(card, RICH)
    assert [loss.pointer for loss in report.losses] == LOST_OF_RICH
    assert report.value == {"to": "m", "turns": [{"from": "user", "says": "Hi"}], "limit": 9}
    policy = o.PromptCachePolicy.required()
    with pytest.raises(o.UnsupportedFeatureError):
        o.emit_request(card, o.LlmRequest("m", "Hi", capabilities=o.CapabilitySet(prompt_cache=policy)))


@EACH
def test_nothing_of_the_five_is_lost_silently(card: Any, other: o.ProviderProtocol) -> None:
    """A rich request of each wire becomes a postcard with an account of the rest."""
    payload = o.emit_request(other, RICH)
    pointers = {loss.pointer for loss in o.transcode_api_request(other.wire_format, card, payload).losses}
    assert "/capabilities/tools" in pointers
    assert "/generation/temperature" in pointers
    assert sum("/parts/" in pointer or pointer.count("/") == 2 for pointer in pointers) >= 3


@EACH
def test_answers_cross_both_ways(card: Any, other: o.ProviderProtocol) -> None:
    """Text, reason and usage are the same there and back."""
    report = o.transcode_api_response(card, other.wire_format, ANSWER)
    there = o.parse_response(other, report.value)
    assert answering(there) == answering(o.parse_response(card, ANSWER))
    assert "/vendor_extensions/postcard/postmark" in {loss.pointer for loss in report.losses}
    back = o.parse_response(card, o.transcode_response(other, card, report.value))
    assert answering(back) == answering(there)


@EACH
def test_streams_cross_both_ways(card: Any, other: o.ProviderProtocol) -> None:
    """A postcard's stream is a whole stream of the other, and the other's a whole one of postcards."""
    frames = STREAM
    for source, target in ((card, other), (other, card)):
        transcoder, parser = o.StreamTranscoder(source, target), o.StreamParser(target)
        frames = [out for frame in frames for out in transcoder.feed(frame)] + transcoder.finish()
        events = [event for frame in frames for event in parser.feed(frame)] + parser.finish()
        assert [type(event) for event in events].count(o.Completed) == 1
        assert isinstance(events[-1], o.Completed)
        assert answering(events[-1].response) == ("Hello there", o.FinishReason.STOP, 3, 2)
        assert "".join(event.delta for event in events if isinstance(event, o.TextDelta)) == "Hello there"


@EACH
@pytest.mark.parametrize(
    ("status", "cls"), [(400, o.BadRequestError), (401, o.UnauthorizedError), (429, o.RateLimitedError), (500, o.ServerError)]
)
def test_errors_cross_both_ways(card: Any, other: o.ProviderProtocol, status: int, cls: type[o.ProviderError]) -> None:
    """The message and the class arrive, there and back."""
    there = o.transcode_error(card, other, status, ERROR)
    for protocol, body in ((other, there), (card, o.transcode_error(other, card, status, there))):
        error = o.parse_error(protocol, status, body)
        assert type(error) is cls
        assert error.message == "no such street"


@EACH
def test_a_stream_that_fails_fails_there_too(card: Any, other: o.ProviderProtocol) -> None:
    """An error in the stream ends it with the provider's words, both ways, and nothing comes after it."""
    frames = [STREAM[0], o.SseFrame("wrong", '{"wrong":"no such street","code":"lost"}'), *STREAM[1:]]
    for source, target in ((card, other), (other, card)):
        transcoder, parser = o.StreamTranscoder(source, target), o.StreamParser(target)
        frames = [out for frame in frames for out in transcoder.feed(frame)]
        events = [event for frame in frames for event in parser.feed(frame)]
        assert isinstance(events[-1], o.StreamFailed)
        assert events[-1].error.message == "no such street"


# --- the seam -----------------------------------------------------------------------------------------------------------------


def test_nothing_in_the_package_knows_of_it() -> None:
    """A format is added with its own code and a row: no file of the package, nor of the five, says its name."""
    assert [path for path in (ROOT / "omnillm").rglob("*.py") if "postcard" in path.read_text("utf-8").lower()] == []


def test_a_format_without_a_row_is_unsupported() -> None:
    """Who asks for a name that nobody registered is told."""

    class Parcel(wire.FormatName):
        PARCEL = "parcel"

    unknown: Any = Parcel.PARCEL
    with pytest.raises(o.UnsupportedFeatureError, match="no codec for parcel"):
        o.parse_request(unknown, {})
    assert (unknown.protocol, unknown.endpoint_kind) == (unknown, o.EndpointKind.RESPONSES)
