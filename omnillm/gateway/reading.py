"""Reading a stream's bytes into events: one place for the stream that was asked for and the one that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

from .._late import importing
from ..errors import (
    GatewayError,
    IncompleteStreamError,
    ProtocolError,
    ProviderError,
    StreamInterruptedError,
)
from ..providers.envelope import AMAZON_EVENT_STREAM
from ..types.events import (
    Completed,
    LlmStreamEvent,
    ReasoningDelta,
    RefusalDelta,
    ResponseStarted,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    UsageUpdated,
)
from ..types.message import Message
from ..types.parts import ReasoningPart, RefusalPart, TextPart, ToolCallPart
from ..types.response import LlmResponse
from ..wire import SseDecoder, SseFrame, StreamParser

if TYPE_CHECKING:
    from ..transport.body import HttpResponse
    from .attempt import Attempt


class Frames(Protocol):
    """Turn bytes into frames, however they are cut."""

    def feed(self, data: bytes, /) -> Iterable[SseFrame]:
        """Give the frames that these bytes complete."""

    def finish(self) -> Iterable[SseFrame]:
        """Give what an end leaves."""


Phase = Literal["idle", "cut", "error", "no_terminal"]


class Reader:
    """Turn chunks of bytes into events; a failure becomes the gateway's error, with what had arrived."""

    __slots__ = ("_attempt", "_decoder", "_parser")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._decoder = stream_decoder(attempt.http)
        self._parser = StreamParser(attempt.route.endpoint.protocol.wire_protocol)

    def partial(self) -> LlmResponse | None:
        """Give what has arrived so far, ``None`` where that is nothing, or no answer in its protocol."""
        try:
            return self._parser.partial()
        except ProtocolError:
            return None

    def feed(self, chunk: bytes) -> list[LlmStreamEvent]:
        """Give the events that the chunk completes; what breaks the protocol is a ``StreamFailed`` behind those before it."""
        events: list[LlmStreamEvent] = []
        try:
            for frame in self._decoder.feed(chunk):
                events += self._parser.feed(frame)
        except ProtocolError as error:
            events.append(self._failed(error))
        except ProviderError as error:  # of what carries the stream, beside the protocol
            events.append(StreamFailed(error.message, error))
        return events

    def finish(self) -> list[LlmStreamEvent]:
        """Give the last events, the bytes being over: a ``StreamFailed`` where the terminal mark never came."""
        events: list[LlmStreamEvent] = []
        try:
            for frame in self._decoder.finish():
                events += self._parser.feed(frame)
            events += self._parser.finish()
        except ProtocolError as error:
            events.append(self._failed(error))
        return events

    def failure(self, event: StreamFailed) -> GatewayError:
        """Give the error that a failed stream is."""
        error, http = event.error, self._attempt.http
        if isinstance(error, ProviderError) and http is not None:
            return self._attempt.described(error, http)
        return error if isinstance(error, GatewayError) else self._interrupted(event.message, "error")

    def _failed(self, error: ProtocolError) -> StreamFailed:
        if isinstance(error, IncompleteStreamError):
            message = "the stream ended without its terminal event"
            return StreamFailed(message, self._interrupted(message, "no_terminal"))
        failure = self._attempt.malformed(f"the stream is not its protocol's: {error.message}", final=error.beyond)
        return StreamFailed(failure.message, failure)

    def _interrupted(self, message: str, phase: Phase) -> StreamInterruptedError:
        return StreamInterruptedError(message, partial_response=self.partial(), phase=phase, sent="yes")


class MessageDecoder:
    """Turn the bytes of AWS's event stream into frames; raises ``ProviderError`` where a message is an exception."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        with importing:
            from ..transport.aws import MessageReader

        self._reader = MessageReader()

    def feed(self, data: bytes, /) -> Iterator[SseFrame]:
        """Give the frames that these bytes complete."""
        with importing:
            from ..wire.bedrock.messages import read_message

        return (read_message(headers, payload) for headers, payload in self._reader.feed(data))

    def finish(self) -> tuple[SseFrame, ...]:
        """Give nothing: what is left of a message is none."""
        return ()


_DECODERS: dict[str, Callable[[], Frames]] = {AMAZON_EVENT_STREAM: MessageDecoder}


def stream_decoder(http: HttpResponse | None, max_event_bytes: int = 1 << 20) -> Frames:
    """Give the decoder of what a stream came as."""
    kind = "" if http is None else media_type(http.headers.get("content-type", ""))
    return _DECODERS[kind]() if kind in _DECODERS else SseDecoder(max_event_bytes)


def check_stream_type(kind: str) -> None:
    """Refuse a kind of stream that could not be read when it came; raises ``ConfigurationError`` that says what to install.

    What reads it is imported here, and not in the midst of a call.
    """
    if kind in _DECODERS:
        with importing:
            from ..transport.aws import require
            from ..wire.bedrock import messages  # noqa: F401

        require()


def gather(attempt: Attempt, body: bytes) -> LlmResponse | GatewayError:
    """Give the response that a whole stream adds up to, or its error."""
    reader = Reader(attempt)
    for event in (*reader.feed(body), *reader.finish()):
        if isinstance(event, Completed):
            return event.response
        if isinstance(event, StreamFailed):
            return reader.failure(event)
    return attempt.malformed("the stream has no terminal event")


def events_of(response: LlmResponse) -> Iterable[LlmStreamEvent]:
    """Give the events of an answer that came whole where a stream was asked for."""
    yield ResponseStarted(response.response_id, response.model, response.provider_protocol)
    for index, item in enumerate(response.output):
        for part in item.parts if isinstance(item, Message) else (item,):
            if isinstance(part, TextPart):
                yield TextDelta(part.text, index)
            elif isinstance(part, RefusalPart):
                yield RefusalDelta(part.text, index)
            elif isinstance(part, ReasoningPart):
                yield ReasoningDelta(part.text, index, signature=part.signature, encrypted_content=part.encrypted_content)
            elif isinstance(part, ToolCallPart):
                yield ToolCallDelta(part.call_id, part.name, part.arguments_text(), index)
    yield UsageUpdated(response.usage)
    yield Completed(response)


def is_whole(content_type: str) -> bool:
    """Tell whether a body is no stream: one JSON value, or a page of HTML."""
    return media_type(content_type) in ("application/json", "text/html")


def media_type(content_type: str) -> str:
    """Give the type that a header says, without its parameters."""
    return content_type.split(";", 1)[0].strip().lower()
