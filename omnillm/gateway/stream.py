"""A stream handed to the caller: it owns its attempt, and gives back key, money and connection however it is left.

Rules: an error before the first event is the walk's to retry; after it, it is raised with what had arrived. What a stream holds
is closed first and forgotten last, so that a ``close()`` that was interrupted can be done again. The finaliser takes no lock: it
shuts the socket down, and the stream's entry in ``Core.reading`` leaves the rest to the gateway's next operation.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .._cancel import is_from_outside
from .._clock import Deadline, spoken
from ..errors import (
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    MalformedResponseError,
    ProviderError,
    StreamInterruptedError,
    TransportError,
)
from ..hooks import Hook, dispatch
from ..types.events import (
    AnnotationAdded,
    Completed,
    ContentPartAdded,
    LlmStreamEvent,
    OutputItemAdded,
    ReasoningDelta,
    RefusalDelta,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    ToolResultAdded,
    UsageUpdated,
)
from ..types.hooks import ChunkReceived
from ..types.response import LlmResponse, Metered
from ..types.usage import TokenUsage
from .attempt import Attempt
from .call import utf8_size
from .core import Reading
from .reading import Phase, events_of, is_whole
from .route import Walk

if TYPE_CHECKING:
    from ..transport.body import HttpResponse
    from .core import Core

E = TypeVar("E")
R = TypeVar("R", bound=Metered)

_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta, RefusalDelta)
_CONTENT = (*_DELTAS, OutputItemAdded, ContentPartAdded, ToolResultAdded, AnnotationAdded)  # what ends an idle time


class OwnedStream(Generic[E, R]):
    """Hold a stream that is being read: what its bytes mean is its reader's, what its events are is a subclass's.

    Use it in ``with``, or read it to its end, or ``close()`` it: the connection is closed, the key is free and what was received
    is paid for.
    """

    __slots__ = (
        "__weakref__",
        "_attempt",
        "_chunks",
        "_core",
        "_failure",
        "_first_at",
        "_given",
        "_left",
        "_mark",
        "_over",
        "_pid",
        "_queue",
        "_reader",
        "_response",
        "_size",
        "_terminal",
        "_turn",
        "_usage",
        "_waited",
        "_waits_since",
        "_walk",
    )

    def __init__(self, core: Core, walk: Walk) -> None:
        self._mark: weakref.ref[object] | None = None  # its entry in Core.reading
        self._over = True  # until there is an attempt to leave
        self._core = core
        self._walk = walk
        self._pid = os.getpid()
        self._queue: deque[E] = deque()
        self._response: R | None = None
        self._failure: BaseException | None = None  # to be raised behind what is queued
        self._given = False
        self._left = False  # it was closed before its reader had all of it
        self._turn: dict[str, int] = {}  # the thread that is within _pump
        self._take(walk.run(Attempt.open))

    def _take(self, attempt: Attempt) -> None:
        """Own an attempt whose status was read."""
        self._attempt = attempt
        http = self._http()
        self._reader = self._walk.call.reader(attempt)
        self._chunks: Iterator[bytes] | None = None if self._comes_whole(http) else http.chunks()
        if self._core.chunk_hooks and self._chunks is not None:
            self._chunks = _told(self._chunks, self._core.chunk_hooks, self._walk.call.id)
        self._first_at: float | None = None
        self._walk.call.first_at = None
        self._size = 0  # bytes of output so far
        self._terminal: E | None = None  # it came with what goes before it, and waits for its turn
        self._usage: TokenUsage | None = None  # as last reported
        self._waits_since = self._core.clock.monotonic()
        self._waited = 0.0  # seconds without content before that
        self._over = False
        core, lease = self._core, attempt.lease
        mark = self._mark = weakref.ref(self, core.lost.append)
        call, id = self._walk.call, lease.reservation.id
        core.reading[mark] = Reading(http, call, attempt.route.name, attempt.model, lease.label, attempt.started, id)

    def _http(self) -> HttpResponse:
        http = self._attempt.http
        if http is None:
            raise ClosedError("the stream was never opened")
        return http

    # --- what a subclass says ---------------------------------------------------------------------------------------------------

    def _comes_whole(self, http: HttpResponse) -> bool:
        """Tell whether the answer is no stream."""
        return is_whole(http.headers.get("content-type", ""))

    @abstractmethod
    def _events_of(self, answer: R, /) -> Iterable[E]:
        """Give the events of an answer that came whole."""

    @abstractmethod
    def _up_to_terminal(self, events: list[E]) -> list[E]:
        """Hold the end back where content came with it: a stream is over when its reader is, not its provider."""

    @abstractmethod
    def _accept(self, events: list[E]) -> None:
        """Queue the events, note what they say of the usage, and finish with the last one."""

    # --- iterating ------------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        queue = self._queue
        if self._pid != self._core.pid or (not queue and self._pid != os.getpid()):  # no system call for what is here already
            raise ClosedError("the stream belongs to another process", sent="yes")
        if not queue and not self._over:
            # the time that the caller took is not the provider's
            self._waits_since = self._core.clock.monotonic() - self._waited
        while not queue:
            if self._over:
                raise self._end_of_it()
            self._pump()
        try:
            event = queue.popleft()
        except IndexError:  # another thread closed it
            return self.__next__()
        self._given = True
        return event

    def _end_of_it(self) -> BaseException:
        """Give what a reader is told behind the last event."""
        failure, self._failure = self._failure, None
        if failure is not None:
            return failure
        if not self._left:
            return StopIteration()
        self._leave()  # what was opened while another thread closed it
        return ClosedError("the stream is closed", sent="yes")

    def _pump(self) -> None:
        """Read until there is at least one event, or the stream is over."""
        me = threading.get_ident()
        if self._turn.setdefault("thread", me) != me:
            raise ConfigurationError("a stream is read by one thread at a time")
        try:
            held, self._terminal = self._terminal, None
            self._accept(self._up_to_terminal(self._read()) if held is None else [held])
        except BaseException as error:  # noqa: BLE001  # something is held: whatever it is, it is settled and raised again
            self._fail(error)
        finally:
            self._turn.clear()

    def _read(self) -> list[E]:
        call = self._walk.call
        if call.left or self._core.closed:  # perhaps while it was being opened
            raise CallCancelledError("the stream was closed", sent="yes")
        if call.cancel is not None:
            call.cancel.raise_if_cancelled()
        total = call.deadline
        idle_at = self._waits_since + self._core.config.timeouts.idle
        return self._receive(total if total.at <= idle_at else Deadline(idle_at, self._core.clock))

    def _receive(self, deadline: Deadline) -> list[E]:
        """Wait for what comes next, until then."""
        http = self._http()
        http.deadline = deadline
        if self._chunks is None:
            return list(self._events_of(self._attempt.whole(http)))
        chunk = next(self._chunks, None)
        events: list[E] = self._reader.finish() if chunk is None else self._reader.feed(chunk)
        return events

    def _finish(self, response: R) -> None:
        """Settle a stream that came to its end, and give its connection back."""
        self._response = self._attempt.settle(response, first_event=self._first_at)
        self._http().finish()
        self._end("ok")
        self._over = True

    def _fail(self, error: BaseException) -> None:
        """Give the attempt up; goes on with another where no event was handed over, or raises behind what is queued."""
        self._attempt.hang_up()
        self._forget()
        self._attempt.fail(error)
        call = self._walk.call
        if call.left and not is_from_outside(error):
            error = ClosedError("the stream was closed while it was read", sent="yes")
        elif isinstance(error, GatewayError):
            final = error if self._given else self._went_on(error)
            if final is None:
                return
            error = self._translated(error) if final is error else self._of_another(final)
        if isinstance(error, GatewayError):
            call.account(error)
        self._end("failed", error)
        self._over = True
        if self._queue and isinstance(error, GatewayError):
            self._failure = error
            return
        raise error from None

    def _went_on(self, error: GatewayError) -> BaseException | None:
        """Give the error that is final, or ``None`` where another attempt was opened."""
        try:
            final = self._walk.failed(self._attempt, error)
            if final is None:
                self._walk.call.obey()
                attempt = self._walk.run(Attempt.open)
                self._queue.clear()
                self._take(attempt)
        except BaseException as other:  # noqa: BLE001  # the caller of this raises it
            return other
        return final

    def _translated(self, error: GatewayError) -> GatewayError:
        """Say of a transport's error what it means for a stream."""
        given = self._given or bool(self._queue)
        if self._core.closed and isinstance(error, TransportError | CallCancelledError):
            return ClosedError("the gateway was closed", sent="yes")
        if isinstance(error, ProviderError):
            return self._interrupted(error, "error") if given else error
        if isinstance(error, DeadlineExceededError):
            if not self._walk.call.deadline.expired:
                idle = spoken(self._core.config.timeouts.idle)
                return self._interrupted(error, "idle", f"nothing came within {idle}, which is timeouts(idle=…)")
            error.partial_response = self._attempt.as_charged(self._reader.partial())
            return error
        if isinstance(error, TransportError) and (given or not isinstance(error, MalformedResponseError)):
            return self._interrupted(error, "cut")
        return error

    def _of_another(self, error: BaseException) -> BaseException:
        """Say of an error that another attempt of the call ended with, or kept from beginning, what it means for a stream."""
        if self._walk.call.left and isinstance(error, CallCancelledError):
            return ClosedError("the stream was closed while it was opened again", sent=error.sent)
        if isinstance(error, ConnectionLostError) and error.phase == "body":
            return StreamInterruptedError(f"the stream broke off: {error.message}", phase="cut", sent="yes")
        return error

    def _interrupted(self, error: GatewayError, phase: Phase, why: str | None = None) -> StreamInterruptedError:
        return StreamInterruptedError(
            f"the stream broke off: {why or error.message}",
            partial_response=self._attempt.as_charged(self._reader.partial()),
            phase=phase,
            sent="yes",
            retry_after=error.retry_after,
        )

    # --- the caller's -----------------------------------------------------------------------------------------------------------

    @property
    def response(self) -> R:
        """Give the whole answer; raises ``ClosedError`` before the stream has come to its end."""
        if self._response is None:
            raise ClosedError("the stream has not come to its end: there is no response")
        return self._response

    def close(self) -> None:
        """Leave the stream: its connection is closed, its key is free, what was received is paid for.

        From another thread it ends the reader too, with ``ClosedError``; so does reading on what was not read to its end.
        """
        if self._pid != os.getpid():
            self._queue.clear()
            self._over = True
            return
        if self._response is None or self._queue or self._failure is not None:
            self._left = True
        self._queue.clear()
        self._failure = None
        reading = bool(self._turn)
        if self._over and not reading:
            return
        self._walk.call.leave()
        self._http().abort()
        self._leave(hang_up=not reading)  # the thread that reads wakes, and closes what it reads
        self._over = True

    def _leave(self, *, hang_up: bool = True) -> None:
        if hang_up:
            self._attempt.hang_up()
        self._attempt.fail(CallCancelledError("the stream was closed by its reader", sent="yes"))
        self._end("closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if self._mark is not None and self._pid == os.getpid():
            self._http().abort()  # at once; ``Core.drain`` does the rest

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._walk.call.request.model!r} {'over' if self._over else 'open'}>"

    def _forget(self) -> None:
        """Take the closed connection from those that are read."""
        mark = self._mark
        if mark is not None:
            self._core.reading.pop(mark, None)
            self._mark = None

    def _end(self, outcome: str, error: BaseException | None = None) -> None:
        self._forget()
        self._walk.call.ended(self._core, outcome, self._response, error)


class GatewayStream(OwnedStream[LlmStreamEvent, LlmResponse]):
    """Iterate over a stream's events; ``response`` is the whole answer after the last one, which is ``Completed``.

    Use it in ``with``, or read it to its end, or ``close()`` it: the connection is closed, the key is free and what was received
    is paid for. Raises ``StreamInterruptedError``, with ``partial_response``, where the stream breaks off.
    """

    __slots__ = ()

    def _events_of(self, answer: LlmResponse, /) -> Iterable[LlmStreamEvent]:
        return events_of(answer)

    def _finish(self, response: LlmResponse) -> None:
        super()._finish(response)
        target = self._walk.call.target
        if target is not None:
            try:
                target.fill(response)
            except Exception as error:  # of the caller's own type too: it is raised behind the last event
                if is_from_outside(error):
                    raise
                self._failure = error

    def _up_to_terminal(self, events: list[LlmStreamEvent]) -> list[LlmStreamEvent]:
        if len(events) > 1 and isinstance(events[-1], Completed) and any(isinstance(e, _DELTAS) for e in events):
            self._terminal = events.pop()
        return events

    def _accept(self, events: list[LlmStreamEvent]) -> None:
        if not events:
            return
        if self._first_at is None:
            self._first_at = self._walk.call.first_at = self._core.clock.monotonic()
        content = False
        for event in events:
            if type(event) is TextDelta:  # nearly all are
                content = True
                delta = event.delta
                self._size += len(delta) if delta.isascii() else utf8_size(delta)
            elif isinstance(event, _CONTENT):
                content = True
                if isinstance(event, _DELTAS):
                    self._size += utf8_size(event.delta)
            elif isinstance(event, UsageUpdated):
                self._usage = event.usage
            elif isinstance(event, StreamFailed):
                self._attempt.observe(self._size, self._usage)
                failure = self._reader.failure(event)
                del event, events  # which may show a key to who reports the locals of a traceback
                raise failure
            elif isinstance(event, Completed):
                self._finish(event.response)
            self._queue.append(event)
        if self._response is None:
            self._waited = 0.0 if content else self._core.clock.monotonic() - self._waits_since
            self._attempt.observe(self._size, self._usage)

    def text(self) -> TextStream:
        """Iterate over the visible text alone."""
        return TextStream(self)


def _told(chunks: Iterator[bytes], hooks: tuple[Hook, ...], call_id: str) -> Iterator[bytes]:
    """Tell those hooks that want it of each chunk; holds nothing of the stream, which may be lost any time."""
    for chunk in chunks:
        dispatch(hooks, ChunkReceived(call_id, len(chunk)))
        yield chunk


class TextStream:
    """Iterate over a stream's visible text; leaving it is leaving the stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: GatewayStream) -> None:
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        for event in self._stream:
            if isinstance(event, TextDelta):
                return event.delta
        raise StopIteration

    def close(self) -> None:
        """Leave the stream."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
