"""Reading a stream's bytes into events: one place for the stream that was asked for and the one that was not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import (
    GatewayError,
    IncompleteStreamError,
    MalformedResponseError,
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


class Reader:
    """Turn chunks of bytes into events; a failure becomes the gateway's error, with what had arrived."""

    __slots__ = ("_decoder", "_parser", "partial")

    def __init__(self, attempt: Attempt) -> None:
        self._decoder = SseDecoder()
        self._parser = StreamParser(attempt.route.endpoint.protocol.wire_protocol)
        self.partial = self._parser.partial

    def feed(self, chunk: bytes) -> list[LlmStreamEvent]:
        """Give the events that the chunk completes."""
        try:
            frames = self._decoder.feed(chunk)
            if len(frames) == 1:
                return self._parser.feed(frames[0])
            return [event for frame in frames for event in self._parser.feed(frame)]
        except ProtocolError as error:
            raise MalformedResponseError(f"the stream is not its protocol's: {error.message}", sent="yes") from None

    def finish(self) -> list[LlmStreamEvent]:
        """Give the last events, the bytes being over; raises ``StreamInterruptedError`` where the terminal mark never came."""
        try:
            events = [event for frame in self._decoder.finish() for event in self._parser.feed(frame)]
            return events + self._parser.finish()
        except IncompleteStreamError:
            raise StreamInterruptedError(
                "the stream ended without its terminal event", partial_response=self.partial(), phase="no_terminal", sent="yes"
            ) from None
        except ProtocolError as error:
            raise MalformedResponseError(f"the stream is not its protocol's: {error.message}", sent="yes") from None


def failure(event: StreamFailed, partial: LlmResponse | None) -> GatewayError:
    """Give the error that a stream's own error event means."""
    error = event.error
    if isinstance(error, ProviderError):
        return error
    return StreamInterruptedError(event.message, partial_response=partial, phase="error", sent="yes")


def gather(attempt: Attempt, body: bytes) -> LlmResponse:
    """Give the response that a whole stream adds up to."""
    reader = Reader(attempt)
    for event in (*reader.feed(body), *reader.finish()):
        if isinstance(event, Completed):
            return event.response
        if isinstance(event, StreamFailed):
            raise failure(event, reader.partial())
    raise StreamInterruptedError("the stream has no terminal event", partial_response=reader.partial(), phase="no_terminal")


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


def is_json(content_type: str) -> bool:
    """Tell whether a body is one JSON value rather than a stream."""
    return content_type.split(";", 1)[0].strip().lower() == "application/json"
