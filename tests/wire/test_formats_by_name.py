"""A format or protocol may be given by its value; what is none is answered with the list of those there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import omnillm as o

CHAT, CLAUDE = o.WireFormat.OPENAI_CHAT_COMPLETIONS, o.WireFormat.ANTHROPIC_MESSAGES
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PARSED = o.parse_request(CHAT.protocol, REQUEST)
ANSWER = o.LlmResponse((o.Message.assistant("x"),), o.TokenUsage(1, 1), "m", CHAT.protocol, o.FinishReason.STOP)
BODY = o.JsonBody(o.emit_response(CLAUDE.protocol, ANSWER))
FRAME = o.SseFrame(None, "[DONE]")

CALLS: list[Callable[[Any, Any], Any]] = [
    lambda chat, claude: o.parse_request(chat, REQUEST),
    lambda chat, claude: o.emit_request(claude, PARSED),
    lambda chat, claude: o.parse_response(claude, o.emit_response(claude, ANSWER)),
    lambda chat, claude: o.transcode_request(chat, claude, REQUEST),
    lambda chat, claude: o.transcode_response(chat, claude, o.emit_response(chat, ANSWER)),
    lambda chat, claude: o.parse_api_request(chat, REQUEST),
    lambda chat, claude: o.emit_api_request(claude, PARSED),
    lambda chat, claude: o.transcode_api_request(chat, claude, REQUEST),
    lambda chat, claude: o.transcode_api_request(chat, chat, REQUEST),
    lambda chat, claude: o.parse_api_response(claude, o.emit_response(claude, ANSWER)),
    lambda chat, claude: o.emit_api_response(claude, ANSWER),
    lambda chat, claude: o.transcode_api_response(chat, claude, o.emit_response(chat, ANSWER)),
    lambda chat, claude: o.emit_error(claude, o.ProviderError("x")),
    lambda chat, claude: str(o.parse_error(chat, 400, {"error": {"message": "x"}})),
    lambda chat, claude: o.parse_stream_event(chat, FRAME),
    lambda chat, claude: o.emit_stream_event(claude, o.TextDelta("x")),
    lambda chat, claude: o.emit_transport_request(claude, PARSED),
    lambda chat, claude: o.parse_transport_response(claude, o.TransportResponse(200, body=BODY)),
    lambda chat, claude: o.StreamParser(chat).partial(),
    lambda chat, claude: o.StreamEmitter(claude).finish(),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("chat", "claude"),
    [(CHAT.value, CLAUDE.value), (CHAT.protocol.value, CLAUDE.protocol.value), (CHAT.protocol, CLAUDE.protocol), (CHAT, CLAUDE)],
)
def test_a_value_does_for_its_member(call: Callable[[Any, Any], Any], chat: Any, claude: Any) -> None:
    """Wire formats, protocols and the values of both mean the same everywhere."""
    assert repr(call(chat, claude)) == repr(call(CHAT, CLAUDE))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("unknown", ["anthropic", "", None, 5])
def test_what_is_no_format_is_answered_with_the_list(call: Callable[[Any, Any], Any], unknown: Any) -> None:
    """The error is one of the codecs' own, and lists the formats."""
    with pytest.raises(o.UnsupportedFeatureError, match="open_ai_responses, open_ai_chat_completions, anthropic_messages"):
        call(unknown, unknown)


GENERATION: list[Callable[[Any], Any]] = [
    lambda wire: o.parse_request(wire, REQUEST),
    lambda wire: o.emit_request(wire, PARSED),
    lambda wire: o.parse_response(wire, {}),
    lambda wire: o.emit_error(wire, o.ProviderError("x")),
    o.StreamParser,
]  # fmt: skip


@pytest.mark.parametrize("call", GENERATION)
@pytest.mark.parametrize("wire", [wire for wire in o.WireFormat if not wire.is_generation])
def test_a_format_of_an_endpoint_is_no_protocol_of_generation(call: Callable[[Any], Any], wire: o.WireFormat) -> None:
    """The functions of generation name the formats of generation; those of every format are for the others."""
    with pytest.raises(o.UnsupportedFeatureError, match=r"open_ai_responses.*bedrock_converse; the \*_api_\*"):
        call(wire)
