"""The shape of a codec: one row of pure functions per wire format.

A format's folder builds its ``CODEC`` of this shape from request.py, response.py, stream.py and error.py; the dispatch table in
``wire/__init__.py`` finds it by the format. Nothing outside the folder knows what the format looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, Self

from ..errors import InvalidShapeError, ProviderError
from ..types.capabilities import StructuredOutputConfig
from ..types.enums import EndpointKind, HostFormat, ProviderProtocol, WireFormat
from ..types.events import LlmStreamEvent
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ..types.transport import BinaryBody, JsonBody, RequestBody, ResponseBody, TextBody
from ..types.usage import NO_DETAILS, TokenUsage, UsageDetails
from ._fields import Emission, payload_object
from .sse import SseFrame

Payload = dict[str, Any]


class FormatName(StrEnum):
    """Name formats of your own in a subclass; a member stands wherever a wire format or a protocol is asked for."""

    @property
    def wire_format(self) -> Self:
        """Give the wire format of this protocol: itself."""
        return self

    @property
    def protocol(self) -> Self:
        """Give the protocol of this wire format: itself."""
        return self

    @property
    def is_generation(self) -> Literal[True]:
        """Tell that the format carries text generation."""
        return True

    @property
    def endpoint_kind(self) -> Literal[EndpointKind.RESPONSES]:
        """Give the kind of endpoint that takes this format on the wire."""
        return EndpointKind.RESPONSES

    @property
    def canonical_endpoint_kind(self) -> Literal[EndpointKind.RESPONSES]:
        """Give the kind of the canonical value."""
        return EndpointKind.RESPONSES


class StreamDecoder(Protocol):
    """Read a whole stream, frame by frame; holds no more than the response being built."""

    def feed(self, frame: SseFrame) -> list[LlmStreamEvent]:
        """Give the events of a frame; none after the terminal one."""

    def finish(self) -> list[LlmStreamEvent]:
        """Give the terminal event that is still due; raises ``IncompleteStreamError`` where the terminal mark never came."""

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far, or ``None`` before the first event."""


class StreamEncoder(Protocol):
    """Write a whole stream, event by event."""

    def feed(self, event: LlmStreamEvent) -> list[SseFrame]:
        """Give the frames of an event."""

    def finish(self) -> list[SseFrame]:
        """Give the frames that close the stream."""


def _as_it_is(body: Payload) -> Payload:
    return body


def _any_schema(config: StructuredOutputConfig) -> StructuredOutputConfig:
    return config


def _no_usage(_usage: Any, _pointer: str) -> TokenUsage:
    return TokenUsage(estimated=True)


def _no_details(_usage: TokenUsage, _response: LlmResponse | None) -> UsageDetails:
    return NO_DETAILS


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Gather what one generation format can do.

    ``parse_request`` and ``parse_response`` take the JSON object and raise ``ProtocolError`` only. The ``emit_*`` of requests and
    responses account for every canonical field in their ``Emission``. ``embedded_error`` finds an error object in a body that
    came with a status of success. ``ask_for_usage`` gives the body that makes a stream report its usage, ``prepare_body`` the one
    that is sent: without what the URL says. ``fit_format`` gives a schema that the library made in the part of JSON Schema that
    the API takes; a schema that a caller gave as structured output goes out as it is. ``endpoints`` are the formats of the other
    endpoints that are found beside this one. ``usage_details`` reads what else a usage is charged by from what was kept of it,
    and of the response where there is one. ``read_usage`` reads the object that stands in an answer's ``usage_field``.
    """

    wire_format: WireFormat
    parse_request: Callable[[Payload], LlmRequest]
    emit_request: Callable[[LlmRequest, Emission], Payload]
    parse_response: Callable[[Payload], LlmResponse]
    emit_response: Callable[[LlmResponse, Emission], Payload]
    parse_error: Callable[[int | None, Any], ProviderError]
    emit_error: Callable[[ProviderError], Payload]
    embedded_error: Callable[[Payload], ProviderError | None]
    stream_decoder: Callable[[], StreamDecoder]
    stream_encoder: Callable[[], StreamEncoder]
    parse_event: Callable[[SseFrame], LlmStreamEvent | None]
    emit_event: Callable[[LlmStreamEvent], SseFrame | None]
    ask_for_usage: Callable[[Payload], Payload]
    path: Callable[[LlmRequest, bool], str]
    headers: dict[str, str]
    prepare_body: Callable[[Payload], Payload] = _as_it_is
    fit_format: Callable[[StructuredOutputConfig], StructuredOutputConfig] = _any_schema
    usage_details: Callable[[TokenUsage, LlmResponse | None], UsageDetails] = _no_details
    usage_field: str = "usage"
    read_usage: Callable[[Any, str], TokenUsage] = _no_usage
    endpoints: Mapping[EndpointKind, WireFormat | HostFormat] = field(default_factory=dict)
    request_type: type = LlmRequest
    response_type: type = LlmResponse

    @property
    def protocol(self) -> ProviderProtocol:
        """Give the protocol whose errors are spoken here."""
        return self.wire_format.protocol

    def write_body(self, request: LlmRequest, emission: Emission, _streamed: bool) -> RequestBody:
        """Give the body that is sent."""
        return JsonBody(self.prepare_body(self.emit_request(request, emission)))

    def accept(self, _request: LlmRequest, streamed: bool) -> str:
        """Give the type of answer to ask for."""
        return "text/event-stream" if streamed else "application/json"

    def read_answer(self, body: ResponseBody | None, _content_type: str) -> LlmResponse:
        """Read what came back."""
        return self.parse_response(payload_object(value_of(body)))


def value_of(body: RequestBody | ResponseBody | None) -> Any:
    """Give what a body holds: a JSON value, a text or bytes."""
    if isinstance(body, JsonBody):
        return body.value
    if isinstance(body, TextBody):
        return body.text
    if isinstance(body, BinaryBody):
        return body.data
    raise InvalidShapeError("expected a body" if body is None else "expected a JSON body, got a form")
