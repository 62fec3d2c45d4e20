"""Anthropic Messages: ``POST /v1/messages``, and the bodies of it that Vertex AI and compatible servers take."""

from __future__ import annotations

from ...types.request import LlmRequest
from .._codec import Codec, Payload
from .._formats import for_anthropic
from ._own import WIRE
from ._stream_encoder import MessageStreamEncoder
from ._stream_single import emit_event, parse_event
from ._usage import read_usage, usage_details
from .error import embedded_error, emit_error, parse_error
from .request import emit_request, parse_request
from .response import emit_response, parse_response
from .stream import MessageStreamDecoder


def _unchanged(body: Payload) -> Payload:
    """Give the body as it is: usage is part of every stream."""
    return body


def _path(_request: LlmRequest, _streamed: bool) -> str:
    """Give the path below the base: the same for every request."""
    return "/messages"


CODEC = Codec(
    wire_format=WIRE,
    parse_request=parse_request,
    emit_request=emit_request,
    parse_response=parse_response,
    emit_response=emit_response,
    parse_error=parse_error,
    emit_error=emit_error,
    embedded_error=embedded_error,
    stream_decoder=MessageStreamDecoder,
    stream_encoder=MessageStreamEncoder,
    parse_event=parse_event,
    emit_event=emit_event,
    ask_for_usage=_unchanged,
    path=_path,
    headers={"anthropic-version": "2023-06-01"},
    usage_details=usage_details,
    read_usage=read_usage,
    fit_format=for_anthropic,
)
