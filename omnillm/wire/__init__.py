"""The wire formats' one dispatch table, and the pure functions of the public interface over it.

No I/O, no clock, no global state beyond the table. Payloads are ``dict``, ``str`` or ``bytes`` going in; ``emit_*`` gives a
``dict``, ``transcode_*`` gives back the type it was given. Bad input raises ``ProtocolError`` and its subclasses only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _json
from .._late import importing
from ..errors import (
    ConfigurationError,
    EndpointMismatchError,
    InvalidJsonError,
    InvalidShapeError,
    ProviderError,
    UnsupportedFeatureError,
)
from ..types.enums import HostFormat, HttpMethod, ProviderProtocol, WireFormat
from ..types.events import LlmStreamEvent
from ..types.report import ConversionReport, Loss
from ..types.request import LlmRequest
from ..types.response import LlmResponse
from ..types.transport import JsonBody, TransportRequest, TransportResponse
from ..types.usage import NO_DETAILS, TokenUsage, UsageDetails
from ._codec import Codec, FormatName, Payload, value_of
from ._endpoint import EndpointCodec
from ._fields import WIRE_NAMES, Emission, payload_object
from .sse import SseDecoder, SseFrame, encode_sse

if TYPE_CHECKING:
    from ..types.media import ApiRequest, ApiResponse

AnyFormat = WireFormat | ProviderProtocol
T = TypeVar("T")
P = TypeVar("P", dict[str, Any], str, bytes)

# A wire format is a folder, or a file, and a row; it is imported when its format is first used.
_MODULES: dict[WireFormat, str] = {
    WireFormat.OPENAI_RESPONSES: ".openai_responses",
    WireFormat.OPENAI_CHAT_COMPLETIONS: ".openai_chat",
    WireFormat.ANTHROPIC_MESSAGES: ".anthropic",
    WireFormat.GEMINI_GENERATE_CONTENT: ".gemini",
    WireFormat.BEDROCK_CONVERSE: ".bedrock",
    WireFormat.OPENAI_EMBEDDINGS: ".embeddings.openai",
    WireFormat.OPENAI_IMAGE_GENERATIONS: ".images",
    WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS: ".audio.transcriptions",
    WireFormat.OPENAI_AUDIO_SPEECH: ".audio.speech",
    WireFormat.OPENAI_RERANK: ".rerank.openai",
    WireFormat.GEMINI_EMBED_CONTENT: ".embeddings.gemini",
    WireFormat.COHERE_EMBED: ".embeddings.cohere",
    WireFormat.COHERE_RERANK: ".rerank.cohere",
}
# What a host has in a format of its own: each module gives the codec for a model.
_HOSTED: dict[HostFormat, str] = {
    HostFormat.GOOGLE_IMAGES: ".imagen",
    HostFormat.VERTEX_EMBEDDINGS: ".embeddings.vertex",
    HostFormat.BEDROCK_EMBEDDINGS: ".embeddings.bedrock",
    HostFormat.BEDROCK_IMAGES: ".bedrock_images",
    HostFormat.BEDROCK_RERANK: ".rerank.bedrock",
}
CODECS: dict[WireFormat, Codec] = {}
ENDPOINT_CODECS: dict[WireFormat, EndpointCodec] = {}


def register(row: Codec) -> None:
    """Add a format of your own, named by a ``FormatName``; raises ``ConfigurationError`` where the name is taken."""
    if row.wire_format.value in WIRE_NAMES:
        raise ConfigurationError(f"wire_format: {row.wire_format.value} is taken", field="wire_format")
    WIRE_NAMES.add(row.wire_format.value)
    CODECS[row.wire_format] = row


def codec(wire_format: WireFormat | ProviderProtocol) -> Codec:
    """Give the codec of a format or protocol of generation; raises ``UnsupportedFeatureError`` where there is none."""
    wire = wire_of(wire_format)
    found = CODECS.get(wire)
    if found is None:
        row = row_of(wire)
        if not isinstance(row, Codec):
            said = f"there is no codec of generation for {wire.value}, only for {_known(generation=True)}"
            raise UnsupportedFeatureError(f"{said}; the *_api_* functions read and write it")
        found = row
    return found


def row_of(given: WireFormat | ProviderProtocol) -> Codec | EndpointCodec:
    """Give the row of any format; raises ``UnsupportedFeatureError`` where there is none."""
    wire = wire_of(given)
    found: Codec | EndpointCodec | None = CODECS.get(wire) or ENDPOINT_CODECS.get(wire)
    if found is None:
        module = _MODULES.get(wire)
        if module is None:
            raise UnsupportedFeatureError(f"there is no codec for {wire.value}, only for {_known()}")
        with importing:
            found = importlib.import_module(module, __name__).CODEC
        if isinstance(found, Codec):
            CODECS[wire] = found
        else:
            ENDPOINT_CODECS[wire] = found
    return found


def endpoint_codec(given: WireFormat | HostFormat, model: str) -> EndpointCodec | None:
    """Give the codec of an endpoint that does not generate text, for the model; ``None`` for a format of generation."""
    if isinstance(given, HostFormat):
        found: EndpointCodec = importlib.import_module(_HOSTED[given], __name__).codec_for(model)
        return found
    row = row_of(given)
    return row if isinstance(row, EndpointCodec) else None


def wire_of(given: WireFormat | ProviderProtocol | str) -> WireFormat:
    """Give the wire format that a format, a protocol or the value of one means; raises ``UnsupportedFeatureError`` else."""
    if isinstance(given, WireFormat | FormatName):
        return given  # type: ignore[return-value]  # a format of the user's stands for one of ours
    if isinstance(given, ProviderProtocol):
        return given.wire_format
    found = _BY_NAME.get(given) if isinstance(given, str) else None
    if found is None and isinstance(given, str) and given in CODECS:
        found = CODECS[given].wire_format  # type: ignore[index]  # formats compare equal to their names
    if found is None:
        raise UnsupportedFeatureError(f"expected a WireFormat or ProviderProtocol, one of {_known()}; got {given!r:.80}")
    return found


_BY_NAME: dict[str, WireFormat] = {
    **{protocol.value: protocol.wire_format for protocol in ProviderProtocol},
    **{wire.value: wire for wire in WireFormat},
}


def _known(*, generation: bool = False) -> str:
    return ", ".join(dict.fromkeys(wire.value for wire in (*_MODULES, *CODECS) if wire.is_generation or not generation))


def _guarded(function: Callable[[Payload], T], payload: Any) -> T:
    try:
        return function(payload_object(payload))
    except RecursionError:
        raise InvalidShapeError("nested too deep") from None
    except ConfigurationError as error:  # a canonical value refused what the payload holds
        raise InvalidShapeError(error.message) from None


def _like(given: Any, value: Payload) -> Any:
    if isinstance(given, str):
        return _json.dumps(value)
    return _json.dump_bytes(value) if isinstance(given, bytes | bytearray) else value


# --- requests and responses ---------------------------------------------------------------------------------------------------


def parse_request(protocol: ProviderProtocol, payload: Payload | str | bytes) -> LlmRequest:
    """Read a request of the protocol; raises ``ProtocolError`` with a pointer where it is none."""
    return _guarded(codec(protocol).parse_request, payload)


def emit_request(protocol: ProviderProtocol, request: LlmRequest, *, stream: bool | None = None) -> Payload:
    """Write a request for the protocol; ``stream`` overrides what the request says of streaming."""
    return _emit_request(wire_of(protocol), request, stream=stream)[0]


def _emit_request(
    wire: WireFormat,
    request: LlmRequest,
    *,
    stream: bool | None = None,
    text_content: str = "string",
    output_cap: str | None = None,
) -> tuple[Payload, tuple[Loss, ...]]:
    row = codec(wire)
    _check_kind(row, request, LlmRequest)
    emission = Emission(wire, stream=stream, text_content=text_content, output_cap=output_cap)
    try:
        return row.emit_request(request, emission), tuple(emission.losses)
    except RecursionError:
        raise InvalidShapeError("nested too deep") from None


def emit_request_with_losses(
    wire: WireFormat,
    request: LlmRequest,
    *,
    stream: bool | None = None,
    text_content: str = "string",
    output_cap: str | None = None,
) -> tuple[Payload, tuple[Loss, ...]]:
    """Write a request and name what the format cannot carry of it; ``text_content`` is how the endpoint wants a lone text.

    ``output_cap`` is the name under which it knows the cap of the output, where that is not the format's own.
    """
    return _emit_request(wire, request, stream=stream, text_content=text_content, output_cap=output_cap)


def parse_response(protocol: ProviderProtocol, payload: Payload | str | bytes) -> LlmResponse:
    """Read a response of the protocol; raises ``ProtocolError`` with a pointer where it is none."""
    return _guarded(codec(protocol).parse_response, payload)


def emit_response(protocol: ProviderProtocol, response: LlmResponse) -> Payload:
    """Write a response of the protocol."""
    return _emit_response(wire_of(protocol), response)[0]


def _emit_response(wire: WireFormat, response: LlmResponse) -> tuple[Payload, tuple[Loss, ...]]:
    row = codec(wire)
    _check_kind(row, response, LlmResponse)
    emission = Emission(wire)
    try:
        return row.emit_response(response, emission), tuple(emission.losses)
    except RecursionError:
        raise InvalidShapeError("nested too deep") from None


def transcode_request(source: ProviderProtocol, target: ProviderProtocol, payload: P) -> P:
    """Rewrite a request of one protocol for another."""
    return _like(payload, emit_request(target, parse_request(source, payload)))  # type: ignore[no-any-return]  # as given


def transcode_response(source: ProviderProtocol, target: ProviderProtocol, payload: P) -> P:
    """Rewrite a response of one protocol for another."""
    return _like(payload, emit_response(target, parse_response(source, payload)))  # type: ignore[no-any-return]  # as given


# --- errors -------------------------------------------------------------------------------------------------------------------


def usage_details(usage: TokenUsage, response: LlmResponse | None = None) -> UsageDetails:
    """Give what else a usage is charged by, as the wire that reported it tells; more is known with its response."""
    if response is not None:
        return codec(response.provider_protocol).usage_details(usage, response)
    for name in usage.vendor_extensions:
        if name in WIRE_NAMES:
            found = codec(wire_of(name)).usage_details(usage, None)
            if found is not NO_DETAILS:
                return found
    return NO_DETAILS


def parse_error(protocol: ProviderProtocol, status: int | None, payload: Any) -> ProviderError:
    """Read a provider's error body, whatever it is, into the error class that fits; never raises for a strange body."""
    found = codec(protocol)
    try:
        return found.parse_error(status, _error_body(payload))
    except RecursionError:
        return found.parse_error(status, "a body nested too deep to be read")


def _error_body(payload: Any) -> Any:
    if isinstance(payload, str | bytes | bytearray):
        try:
            return _json.loads(payload)
        except InvalidJsonError:
            return payload if isinstance(payload, str) else bytes(payload).decode("utf-8", "replace")
    return payload


def emit_error(protocol: ProviderProtocol, error: ProviderError) -> Payload:
    """Write an error in the protocol's own form."""
    row = codec(protocol)
    _check_kind(row, error, ProviderError)
    return row.emit_error(error)


def transcode_error(source: ProviderProtocol, target: ProviderProtocol, status: int | None, payload: P) -> P:
    """Rewrite an error body of one protocol for another."""
    return _like(payload, emit_error(target, parse_error(source, status, payload)))  # type: ignore[no-any-return]  # as given


# --- streams ------------------------------------------------------------------------------------------------------------------


def parse_stream_event(protocol: ProviderProtocol, frame: SseFrame) -> LlmStreamEvent | None:
    """Read one frame by itself; ``None`` where it says nothing. What needs the frames before it is left empty."""
    return codec(protocol).parse_event(frame)


def emit_stream_event(protocol: ProviderProtocol, event: LlmStreamEvent) -> SseFrame | None:
    """Write one event by itself; ``None`` where the protocol has no frame for it."""
    return codec(protocol).emit_event(event)


def transcode_stream_event(source: ProviderProtocol, target: ProviderProtocol, frame: SseFrame) -> SseFrame | None:
    """Rewrite one frame by itself."""
    event = parse_stream_event(source, frame)
    return None if event is None else emit_stream_event(target, event)


class StreamParser:
    """Read a whole stream of the protocol, frame by frame, into events; the last one is ``Completed`` or ``StreamFailed``."""

    __slots__ = ("_decoder", "feed", "finish", "partial")

    def __init__(self, protocol: ProviderProtocol) -> None:
        self._decoder = codec(protocol).stream_decoder()
        self.feed = self._decoder.feed
        self.finish = self._decoder.finish
        self.partial = self._decoder.partial


class StreamEmitter:
    """Write a whole stream of the protocol, event by event, as frames."""

    __slots__ = ("_encoder", "feed", "finish")

    def __init__(self, protocol: ProviderProtocol) -> None:
        self._encoder = codec(protocol).stream_encoder()
        self.feed = self._encoder.feed
        self.finish = self._encoder.finish


class StreamTranscoder:
    """Rewrite a whole stream of one protocol as frames of another."""

    __slots__ = ("_decoder", "_encoder")

    def __init__(self, source: ProviderProtocol, target: ProviderProtocol) -> None:
        self._decoder = codec(source).stream_decoder()
        self._encoder = codec(target).stream_encoder()

    def feed(self, frame: SseFrame) -> list[SseFrame]:
        """Give the target's frames of a source's frame."""
        return [out for event in self._decoder.feed(frame) for out in self._encoder.feed(event)]

    def finish(self) -> list[SseFrame]:
        """Give the frames that close the stream; raises ``IncompleteStreamError`` where the source never ended."""
        frames = [out for event in self._decoder.finish() for out in self._encoder.feed(event)]
        return frames + self._encoder.finish()


# --- with reports -------------------------------------------------------------------------------------------------------------

# The canonical form is nearest to these: a value of theirs crosses nothing. Of images and audio there is one format each.
_OWN_WIRES = frozenset({WireFormat.OPENAI_RESPONSES, WireFormat.OPENAI_EMBEDDINGS, WireFormat.OPENAI_RERANK})
_ALONE = frozenset({WireFormat.OPENAI_IMAGE_GENERATIONS, WireFormat.OPENAI_AUDIO_TRANSCRIPTIONS, WireFormat.OPENAI_AUDIO_SPEECH})


def _report(given: AnyFormat, value: T, losses: tuple[Loss, ...] = (), *, bridged: bool | None = None) -> ConversionReport[T]:
    wire = wire_of(given)
    crossed = wire not in _OWN_WIRES | _ALONE if bridged is None else bridged
    return ConversionReport(value, wire.canonical_endpoint_kind, wire, crossed, bool(losses), losses)


def parse_api_request(wire_format: AnyFormat, payload: Payload | str | bytes) -> ConversionReport[ApiRequest]:
    """Read a request of any format, with a report; raises ``TransportRequiredError`` where requests are no JSON."""
    return _report(wire_format, _guarded(row_of(wire_format).parse_request, payload))


def emit_api_request(wire_format: AnyFormat, api_request: ApiRequest) -> ConversionReport[Payload]:
    """Write a request for any format, with a report.

    Raises ``EndpointMismatchError`` for one of another kind, ``TransportRequiredError`` where requests are no JSON.
    """
    row = row_of(wire_format)
    _check_kind(row, api_request, row.request_type)
    return _report(wire_format, *_emitted(row, row.emit_request, api_request))


def transcode_api_request(source: AnyFormat, target: AnyFormat, payload: P) -> ConversionReport[P]:
    """Rewrite a request of one format for another of the same kind, with a report."""
    read, row = row_of(source), row_of(target)
    _check_pair(read, row)
    value, losses = _emitted(row, row.emit_request, _guarded(read.parse_request, payload))
    return _report(target, _like(payload, value), losses, bridged=read is not row)


def parse_api_response(wire_format: AnyFormat, payload: Payload | str | bytes) -> ConversionReport[ApiResponse]:
    """Read a response of any format, with a report; raises ``TransportRequiredError`` where responses are no JSON."""
    return _report(wire_format, _guarded(row_of(wire_format).parse_response, payload))


def emit_api_response(wire_format: AnyFormat, api_response: ApiResponse) -> ConversionReport[Payload]:
    """Write a response of any format, with a report.

    Raises ``EndpointMismatchError`` for one of another kind, ``TransportRequiredError`` where responses are no JSON.
    """
    row = row_of(wire_format)
    _check_kind(row, api_response, row.response_type)
    return _report(wire_format, *_emitted(row, row.emit_response, api_response))


def transcode_api_response(source: AnyFormat, target: AnyFormat, payload: P) -> ConversionReport[P]:
    """Rewrite a response of one format for another of the same kind, with a report."""
    read, row = row_of(source), row_of(target)
    _check_pair(read, row)
    value, losses = _emitted(row, row.emit_response, _guarded(read.parse_response, payload))
    return _report(target, _like(payload, value), losses, bridged=read is not row)


def _emitted(row: Codec | EndpointCodec, emit: Callable[..., T], value: Any, *more: bool) -> tuple[T, tuple[Loss, ...]]:
    emission = Emission(row.wire_format)
    try:
        return emit(value, emission, *more), tuple(emission.losses)
    except RecursionError:
        raise InvalidShapeError("nested too deep") from None


def _check_kind(row: Codec | EndpointCodec, value: object, expected: type) -> None:
    if not isinstance(value, expected):
        raise EndpointMismatchError(f"{row.wire_format.value} takes {expected.__name__}, not {type(value).__name__}")


def _check_pair(source: Codec | EndpointCodec, target: Codec | EndpointCodec) -> None:
    if source.request_type is not target.request_type:
        raise EndpointMismatchError(
            f"{source.wire_format.value} and {target.wire_format.value} are of different kinds: nothing of one is the other's"
        )


# --- over HTTP ----------------------------------------------------------------------------------------------------------------


def emit_transport_request(wire_format: AnyFormat, api_request: ApiRequest) -> ConversionReport[TransportRequest]:
    """Say what to send for a request: method, path below the provider's base, headers without credentials, body."""
    row = row_of(wire_format)
    _check_kind(row, api_request, row.request_type)
    streamed = bool(getattr(api_request, "stream", None))
    body, losses = _emitted(row, row.write_body, api_request, streamed)
    request = TransportRequest(
        method=HttpMethod.POST,
        path=row.path(api_request, streamed),  # type: ignore[arg-type]  # of the kind that the row takes
        headers={**({"content-type": "application/json"} if isinstance(body, JsonBody) else {}), **row.headers},
        accept=row.accept(api_request, streamed),  # type: ignore[arg-type]  # of the kind that the row takes
        body=body,
    )
    return _report(wire_format, request, losses)


def parse_transport_response(wire_format: AnyFormat, transport_response: TransportResponse) -> ConversionReport[ApiResponse]:
    """Read what came back; raises the ``ProviderError`` that fits a status of failure."""
    row = row_of(wire_format)
    body, kind = transport_response.body, _content_type(transport_response)
    if not 200 <= transport_response.status < 300:
        raise parse_error(row.protocol, transport_response.status, None if body is None else value_of(body))
    try:
        return _report(wire_format, row.read_answer(body, kind))
    except RecursionError:
        raise InvalidShapeError("nested too deep") from None
    except ConfigurationError as error:  # a canonical value refused what the body holds
        raise InvalidShapeError(error.message) from None


def _content_type(response: TransportResponse) -> str:
    said = response.content_type or next((v for name, v in response.headers.items() if name.lower() == "content-type"), None)
    return (said or "").lower()


__all__ = [
    "CODECS",
    "Codec",
    "EndpointCodec",
    "FormatName",
    "SseDecoder",
    "SseFrame",
    "StreamEmitter",
    "StreamParser",
    "StreamTranscoder",
    "codec",
    "emit_api_request",
    "emit_api_response",
    "emit_error",
    "emit_request",
    "emit_request_with_losses",
    "emit_response",
    "emit_stream_event",
    "emit_transport_request",
    "encode_sse",
    "endpoint_codec",
    "parse_api_request",
    "parse_api_response",
    "parse_error",
    "parse_request",
    "parse_response",
    "parse_stream_event",
    "parse_transport_response",
    "register",
    "row_of",
    "transcode_api_request",
    "transcode_api_response",
    "transcode_error",
    "transcode_request",
    "transcode_response",
    "transcode_stream_event",
    "usage_details",
]
