"""Reading a native stream: what came is given as it came, and beside it the usage is read and the end is looked for.

Rules: a stream that generates text has ended where its protocol says so, any other where its last event came, or, where none is
known, where HTTP says that the body is whole. An error that the provider puts into the stream is raised. What the codecs cannot
read is still given; then the usage is looked for in the events themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import _json
from ..errors import GatewayError, IncompleteStreamError, InvalidJsonError, ProtocolError, ProviderError, StreamInterruptedError
from ..gateway.call import utf8_size
from ..gateway.reading import Frames, media_type, stream_decoder
from ..providers.envelope import STREAM_TYPES
from ..types.events import Completed, ReasoningDelta, RefusalDelta, StreamFailed, TextDelta, ToolCallDelta, UsageUpdated
from ..types.response import LlmResponse
from ..types.transport import BinaryBody, JsonBody, ResponseBody
from ..types.usage import TokenUsage
from ..wire import SseFrame, StreamParser
from .budget import Generation, Measure, told_usage
from .formats import format_of
from .stream import PrimitiveBinaryChunk, PrimitiveCompleted, PrimitiveSseFrame, PrimitiveStreamEvent, PrimitiveUsageReported

if TYPE_CHECKING:
    from ..gateway.attempt import Attempt
    from .call import PrimitiveCall

MAX_EVENT = 64 << 20  # an image in base64
MAX_KEPT = 32 << 20  # of an answer that came whole where a stream was asked for
_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta, RefusalDelta)
_USAGES = ("usage", "usageMetadata")
_LAST = ("response.completed", "response.incomplete", "response.failed", "message_stop", "messageStop")
_FINISHED = re.compile(r'"(?:finish_reason|finishReason|stop_reason)"\s*:\s*"')
_WITHIN = ("response", "message")


@dataclass(frozen=True, slots=True)
class Failed(PrimitiveStreamEvent):
    """End a stream that failed; the stream raises what it holds, and never gives it."""

    _tag: ClassVar[str | None] = "failed"
    error: GatewayError


class NativeReader:
    """Turn chunks of bytes into native events."""

    def __init__(self, attempt: Attempt, call: PrimitiveCall) -> None:
        assert attempt.http is not None
        self._attempt = attempt
        self._call = call
        self._http = attempt.http
        self._type = attempt.http.headers.get("content-type") or None
        kind = media_type(self._type or "")
        meter = call.meter
        self._decoder: Frames | None = stream_decoder(attempt.http, MAX_EVENT) if kind in STREAM_TYPES else None
        self._generates = isinstance(meter, Generation) and self._decoder is not None
        self._parser = StreamParser(meter.row.protocol) if isinstance(meter, Generation) and self._generates else None
        self._is_ended = False  # by a last word of the protocol's, where the parser could not follow
        self._kept: bytearray | None = bytearray() if kind.endswith("json") and meter.is_metered else None
        self._ends = format_of(call.native).ends if self._decoder is not None else ()
        self._raw: dict[str, Any] | None = None
        self._answer: LlmResponse | None = None
        self._over = False
        self.size = 0  # bytes of generated text
        self.usage: TokenUsage | None = None
        self.has_content = False  # whether what was fed last was more than a sign of life

    def feed(self, chunk: bytes) -> list[PrimitiveStreamEvent]:
        """Give the events that the chunk completes."""
        self.has_content = False
        if self._decoder is None:
            self.has_content = True
            return self._chunk(chunk)
        events: list[PrimitiveStreamEvent] = []
        try:
            for frame in self._decoder.feed(chunk):
                events += self._of_frame(frame)
        except (ProtocolError, ProviderError) as error:  # of what carries the stream
            events.append(Failed(self._error(error)))
        return events

    def finish(self) -> list[PrimitiveStreamEvent]:
        """Give the last events, the bytes being over."""
        events: list[PrimitiveStreamEvent] = []
        try:
            for frame in self._decoder.finish() if self._decoder is not None else ():
                events += self._of_frame(frame)
            if self._parser is not None and not self._over:
                for event in self._parser.finish():
                    events += self._noted(event)
        except (ProtocolError, ProviderError) as error:
            events.append(Failed(self._error(error)))
        if events and isinstance(events[-1], Failed | PrimitiveCompleted):
            return events
        failure = self._failure_in_whole()
        if failure is None and not self._over and (self._ends or (self._generates and not self._is_ended)):
            failure = self._interrupted()
        if failure is not None:
            return [*events, Failed(failure)]
        if self._kept:
            events.append(PrimitiveBinaryChunk(bytes(self._kept), self._type))
        return [*events, *self._reported(), self._completed()]

    def measure(self) -> Measure | None:
        """Give what the stream is settled by, where it told."""
        meter = self._call.meter
        if self._kept is not None:
            return meter.measure(self._whole(), self._headers(), self.size, self._attempt.core)
        if isinstance(meter, Generation):
            usage = self.usage if self._answer is None else self._answer.usage
            return None if usage is None else meter.of_usage(usage, self._answer, self._raw, self.size)
        return None if self._raw is None else meter.of_raw(self._raw)

    def partial(self) -> None:
        """Give nothing: what had arrived was given as it came."""

    def _chunk(self, chunk: bytes) -> list[PrimitiveStreamEvent]:
        """Give some bytes; those of a JSON value that came in the place of a stream when it is whole, as it may be an error."""
        if self._kept is not None:
            self._kept += chunk
            if len(self._kept) <= MAX_KEPT:
                return []
            chunk, self._kept = bytes(self._kept), None
        return [PrimitiveBinaryChunk(chunk, self._type)]

    # --- within ---------------------------------------------------------------------------------------------------------------

    def _of_frame(self, frame: SseFrame) -> list[PrimitiveStreamEvent]:
        events: list[PrimitiveStreamEvent] = [PrimitiveSseFrame(frame.data, frame.event, frame.id)]
        if self._over:
            return events
        self._look(frame)
        if self._parser is None:
            self.has_content = True
            self._is_ended = self._is_ended or (self._generates and _is_last(frame))
            return events
        try:
            for event in self._parser.feed(frame):
                events += self._noted(event)
        except ProtocolError:
            self._parser = None  # from here on its own words are all there is
            self.has_content = True
            self._is_ended = _is_last(frame)
            if self._raw is not None:
                self.usage = told_usage(self._raw).usage
        return events

    def _look(self, frame: SseFrame) -> None:
        """Find the usage, as it is written, and the end where the format names it."""
        if '"usage' not in frame.data and not self._ends:
            return
        try:
            payload = _json.loads(frame.data, max_bytes=MAX_EVENT)
        except InvalidJsonError:
            return
        if not isinstance(payload, dict):
            return
        for place in (payload, *(payload.get(name) for name in _WITHIN)):
            found = (
                next((place[name] for name in _USAGES if isinstance(place.get(name), dict)), None)
                if isinstance(place, dict)
                else None
            )
            if found is not None:
                self._raw = {**(self._raw or {}), **found}
                if self._parser is None:
                    self.usage = told_usage(self._raw).usage
        self._over = self._over or (bool(self._ends) and (payload.get("type") or frame.event) in self._ends)

    def _noted(self, event: Any) -> list[PrimitiveStreamEvent]:
        """Note what an event of the house's own says; gives what the caller is told beside the frame."""
        if isinstance(event, _DELTAS):
            self.size += utf8_size(event.delta)
        self.has_content = self.has_content or not isinstance(event, UsageUpdated)
        if isinstance(event, UsageUpdated):
            self.usage = event.usage
        elif isinstance(event, StreamFailed):
            self._over = True
            return [Failed(self._error(event.error if event.error is not None else self._interrupted(event.message)))]
        elif isinstance(event, Completed):
            self._over, self._answer = True, event.response
            return [*self._reported(), self._completed()]
        return []

    def _reported(self) -> list[PrimitiveStreamEvent]:
        measure = self.measure()
        return [] if measure is None or measure.telemetry is None else [PrimitiveUsageReported(measure.telemetry)]

    def _completed(self) -> PrimitiveCompleted:
        measure = self.measure()
        return PrimitiveCompleted(None if measure is None else measure.telemetry)

    def _whole(self) -> ResponseBody | None:
        data = bytes(self._kept or b"")
        try:
            return JsonBody(_json.loads(data, max_bytes=MAX_KEPT)) if data else None
        except InvalidJsonError:
            return BinaryBody(data, self._type)

    def _failure_in_whole(self) -> GatewayError | None:
        """Give the error that came with a status of success, where the answer came whole."""
        body = self._whole() if self._kept is not None else None
        payload = body.value if isinstance(body, JsonBody) else None
        found = self._attempt.route.codec.embedded_error(payload) if isinstance(payload, dict) else None
        return None if found is None else self._attempt.described(found, self._http)

    def _headers(self) -> dict[str, str]:
        return {"content-type": self._type or ""}

    def _interrupted(self, message: str = "the stream ended without its terminal event") -> StreamInterruptedError:
        return StreamInterruptedError(message, phase="no_terminal", sent="yes")

    def _error(self, error: Exception) -> GatewayError:
        if isinstance(error, ProviderError):
            return self._attempt.described(error, self._http)
        if isinstance(error, GatewayError):
            return error
        if isinstance(error, IncompleteStreamError):
            return self._interrupted()
        message = error.message if isinstance(error, ProtocolError) else type(error).__name__
        return self._attempt.malformed(f"the stream is not its protocol's: {message}")


def _is_last(frame: SseFrame) -> bool:
    """Tell whether a frame is the last one of a stream that generates text, by its looks alone."""
    return frame.event in _LAST or frame.data == "[DONE]" or _FINISHED.search(frame.data) is not None
