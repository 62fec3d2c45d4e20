"""Reading a stream's bytes into events: one place for the stream that was asked for and the one that was not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ..errors import (
    GatewayError,
    IncompleteStreamError,
    ProtocolError,
    ProviderError,
    StreamInterruptedError,
)
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
from ..wire import SseDecoder, StreamParser

if TYPE_CHECKING:
    from .attempt import Attempt

Phase = Literal["idle", "cut", "error", "no_terminal"]


class Reader:
    """Turn chunks of bytes into events; a failure becomes the gateway's error, with what had arrived."""

    __slots__ = ("_attempt", "_decoder", "_parser", "partial")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._decoder = SseDecoder()
        self._parser = StreamParser(attempt.route.endpoint.protocol.wire_protocol)
        self.partial = self._parser.partial

    def feed(self, chunk: bytes) -> list[LlmStreamEvent]:
        """Give the events that the chunk completes; what breaks the protocol is a ``StreamFailed`` behind those before it."""
        events: list[LlmStreamEvent] = []
        try:
            for frame in self._decoder.feed(chunk):
                events += self._parser.feed(frame)
        except ProtocolError as error:
            events.append(self._failed(error))
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


def gather(attempt: Attempt, body: bytes) -> LlmResponse:
    """Give the response that a whole stream adds up to."""
    reader = Reader(attempt)
    for event in (*reader.feed(body), *reader.finish()):
        if isinstance(event, Completed):
            return event.response
        if isinstance(event, StreamFailed):
            raise reader.failure(event)
    raise attempt.malformed("the stream has no terminal event")


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
    return content_type.split(";", 1)[0].strip().lower() in ("application/json", "text/html")
