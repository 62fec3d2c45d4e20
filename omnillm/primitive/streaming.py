"""A native stream handed to the caller: it owns its attempt as every stream does, and gives what came as it came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from ..gateway.route import Walk
from ..gateway.stream import OwnedStream
from .budget import Generation
from .call import PrimitiveCall
from .reading import Failed, NativeReader
from .response import PrimitiveResponse
from .stream import PrimitiveCompleted, PrimitiveStreamEvent

if TYPE_CHECKING:
    from ..gateway.core import Core
    from ..transport.body import HttpResponse


class PrimitiveStream(OwnedStream[PrimitiveStreamEvent, PrimitiveResponse]):
    """Iterate over a native stream's events; the last one is ``PrimitiveCompleted``, and ``response`` is there then.

    Use it in ``with``, or read it to its end, or ``close()`` it: the connection is closed, the key is free and what was received
    is paid for. Raises ``StreamInterruptedError`` where the stream breaks off, and the provider's error where it sends one.
    """

    __slots__ = ()

    def _comes_whole(self, _http: HttpResponse) -> bool:
        return False  # it is given as it comes

    def _events_of(self, _answer: PrimitiveResponse, /) -> Iterable[PrimitiveStreamEvent]:
        return ()

    def _up_to_terminal(self, events: list[PrimitiveStreamEvent]) -> list[PrimitiveStreamEvent]:
        if len(events) > 1 and isinstance(events[-1], PrimitiveCompleted):
            self._terminal = events.pop()
        return events

    def _accept(self, events: list[PrimitiveStreamEvent]) -> None:
        clock, reader = self._core.clock, cast(NativeReader, self._reader)
        if not events:
            if reader.has_content:
                self._waits_since = clock.monotonic()
            return
        if self._first_at is None:
            self._first_at = self._walk.call.first_at = clock.monotonic()
        for event in events:
            if isinstance(event, Failed):
                self._observe(reader)
                failure = event.error
                del event, events  # which may show a key to who reports the locals of a traceback
                raise failure
            if isinstance(event, PrimitiveCompleted):
                self._finish(self._answer(reader))
            self._queue.append(event)
        if self._response is None:
            self._waited = 0.0 if reader.has_content else clock.monotonic() - self._waits_since
            self._observe(reader)

    def _observe(self, reader: NativeReader) -> None:
        """Note what was received: text by its length, anything else as the whole that was asked for."""
        call, attempt = cast(PrimitiveCall, self._walk.call), self._attempt
        if isinstance(call.meter, Generation):
            attempt.observe(reader.size, reader.usage)
        elif call.meter.is_metered:
            reservation, estimate = attempt.lease.reservation, attempt.estimate
            reservation.observed_tokens, reservation.observed_charge = estimate.tokens, estimate.charge

    def _answer(self, reader: NativeReader) -> PrimitiveResponse:
        call = cast(PrimitiveCall, self._walk.call)
        return call.response(self._http(), None, reader.measure(), self._attempt, reader.size)


def primitive_stream(core: Core, call: PrimitiveCall) -> PrimitiveStream:
    """Send the request and give its stream, the status already read."""
    try:
        return PrimitiveStream(core, Walk(core, call))
    except BaseException:
        call.ended(core, "failed")
        raise
