"""A session with a model, both ways at once: OpenAI's Realtime, Gemini's Live, and what is like them.

It is a stream that also listens: key, windows, budget and connection are held as a stream's are, and come back however it is
left. What it costs is known turn by turn; a session that has cost more than it reserved, and more than the budgets have left, is
closed. It is opened again, with another key, only while nothing was said in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .. import _json
from .._clock import Deadline
from ..errors import BudgetExceededError, ClosedError, ConfigurationError, GatewayError, InvalidJsonError, ProviderError
from ..gateway.attempt import Attempt
from ..gateway.call import Emitted
from ..gateway.route import Walk
from ..gateway.stream import OwnedStream
from ..policy.budget import PICO
from ..state import Ask
from ..transport.websocket import NORMAL as NORMAL_CLOSE
from ..transport.websocket import Handshake, WebSocketConnection, require
from ..types.enums import HttpMethod
from ..types.primitive import (
    PrimitiveEndpointKind,
    PrimitiveProviderKind,
    PrimitiveStreamMode,
    ProviderPrimitiveWireFormat,
)
from ..types.transport import BinaryBody, JsonBody, TextBody
from .call import PrimitiveCall, routes_of
from .closing import NORMAL, closed_by
from .formats import url_of
from .request import PrimitiveRequest
from .response import PrimitiveResponse
from .stream import PrimitiveCompleted, PrimitiveStreamEvent, PrimitiveUsageReported, PrimitiveWebSocketMessage
from .tally import Tally

if TYPE_CHECKING:
    from ..gateway.core import Core, Route
    from ..transport.body import HttpResponse

Message = str | bytes | Mapping[str, Any]


class RealtimeCall(PrimitiveCall):
    """Be the call that a session is; ``first`` is what is said in it before anything else."""

    __slots__ = ("first",)

    def __init__(self, core: Core, native: PrimitiveRequest, routes: tuple[Route, ...], **options: Any) -> None:
        super().__init__(core, native, routes, **options)
        self.first = _first_of(native)

    def reader(self, _attempt: Attempt) -> _Silent:  # type: ignore[override]  # messages need no reading
        """Give what reads the answer's bytes: here, nothing."""
        return _SILENT

    def handshake(self) -> Handshake:
        """Give what asks for the session."""
        return Handshake()

    def connected(self, attempt: Attempt, http: HttpResponse, handshake: Handshake) -> WebSocketConnection:
        """Open the session, and say what is to be said first."""
        connection = WebSocketConnection(http, handshake, stall=attempt.core.config.timeouts.idle)
        if self.first is not None:
            connection.send(self.first)
        return connection

    def _emit(self, core: Core, route: Route) -> Emitted:
        native, endpoint = self.native, route.primitive
        assert endpoint is not None
        if core.strict:
            self.meter.check_strict()
        endpoint.check_headers(native.headers)
        headers = {**native.headers, "Accept": "*/*"}
        return Emitted(None, url_of(native, endpoint), headers=headers, method=HttpMethod.GET.value)


def _first_of(native: PrimitiveRequest) -> str | bytes | None:
    body = native.body
    if body is None:
        return None
    if isinstance(body, JsonBody):
        return _json.dumps(body.value)
    if isinstance(body, TextBody):
        return body.text
    if isinstance(body, BinaryBody) and isinstance(body.data, bytes):
        return body.data.decode("utf-8", "replace") if body.media_type == "application/json" else body.data
    raise ConfigurationError("body: a session begins with JSON, a text or bytes", field="body")


class _Silent:
    """Read nothing, and hold nothing of an answer."""

    def partial(self) -> None:
        """Give what has arrived of an answer: a session has none."""


_SILENT = _Silent()


class PrimitiveRealtimeSession(OwnedStream[PrimitiveStreamEvent, PrimitiveResponse]):
    """Talk with a model: ``send`` what is said, iterate over what comes, ``close`` it in the end, or use it in ``with``.

    Each message is a ``PrimitiveWebSocketMessage``; behind one that reports usage stands a ``PrimitiveUsageReported``, and
    ``PrimitiveCompleted`` is the last event where the provider closes. One thread iterates, any may send and close. ``response``
    has usage and cost once it is over, however it ended. A provider that closes with a code of failure raises the error that it
    means; what breaks off raises ``StreamInterruptedError``: in phase ``idle`` where nothing was said by either side for
    ``timeouts(idle=…)``.
    """

    __slots__ = ("_tally",)

    _tally: Tally

    def _take(self, attempt: Attempt) -> None:
        native = cast(RealtimeCall, self._walk.call).native
        self._tally = Tally(attempt, native)
        if native.json_body() is not None:
            self._tally.said(native.json_body())
        super()._take(attempt)

    # --- speaking ---------------------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send a message: a JSON object, or a text or bytes as they are; raises ``ClosedError`` where the session is over."""
        if self._over or self._pid != os.getpid() or self._pid != self._core.pid:
            raise ClosedError("the session is over" if self._pid == os.getpid() else "the session belongs to another process")
        written = message if isinstance(message, str | bytes) else _written(message)
        self._given = True  # what was said is not said again in another session
        self._tally.said(_read(message))
        try:
            self._connection.send(written)
        except BaseException as error:  # something is held: whatever it is, it is settled and raised again
            if not self._turn:  # else the thread that reads is told, too
                self._fail(self._goodbye() or error)
            raise
        self._waits_since = self._core.clock.monotonic()
        self._connection.wait_until(self._idle_until())

    @property
    def _connection(self) -> WebSocketConnection:
        connection = self._attempt.connection
        assert connection is not None
        return connection

    def _idle_until(self) -> Deadline:
        idle = Deadline(self._core.clock.monotonic() + self._core.config.timeouts.idle, self._core.clock)
        total = self._walk.call.deadline
        return total if total.at <= idle.at else idle

    # --- listening --------------------------------------------------------------------------------------------------------------

    def _comes_whole(self, _http: HttpResponse) -> bool:
        return False

    def _events_of(self, _answer: PrimitiveResponse, /) -> Iterable[PrimitiveStreamEvent]:
        return ()

    def _up_to_terminal(self, events: list[PrimitiveStreamEvent]) -> list[PrimitiveStreamEvent]:
        return events

    def _receive(self, deadline: Deadline) -> list[PrimitiveStreamEvent]:
        received = self._connection.receive(deadline)
        if received is None:
            return [self._closed_by_peer()]
        text, data = (received, None) if isinstance(received, str) else (None, received)
        events: list[PrimitiveStreamEvent] = [PrimitiveWebSocketMessage(text, data)]
        told = self._tally.read(_read(received))
        if told is not None:
            events.append(PrimitiveUsageReported(told))
        return events

    def _goodbye(self) -> ProviderError | None:
        """Give the error that the provider's close is; ``None`` where it did not close, or has no complaint."""
        code, protocol = self._connection.close_code, self._attempt.route.endpoint.protocol.wire_protocol
        if code is None or code in NORMAL:
            return None
        return self._attempt.described(closed_by(code, self._connection.close_reason, protocol), self._http())

    def _closed_by_peer(self) -> PrimitiveCompleted:
        error = self._goodbye()
        if error is not None:
            raise error
        return PrimitiveCompleted(self._tally.measure().telemetry)

    def _accept(self, events: list[PrimitiveStreamEvent]) -> None:
        if self._first_at is None:
            self._first_at = self._walk.call.first_at = self._core.clock.monotonic()
        self._waited = 0.0
        for event in events:
            self._queue.append(event)
            if isinstance(event, PrimitiveCompleted):
                self._finish(self._answer())
            elif isinstance(event, PrimitiveUsageReported):
                self._check_budget()

    def _check_budget(self) -> None:
        """End a session that has cost more than it reserved, and more than is left."""
        core, attempt = self._core, self._attempt
        spent = self._tally.cost
        beyond = 0 if spent is None else spent.total_pico - attempt.estimate.charge
        if beyond <= 0 or not core.config.budgets:
            return
        own = [budget for budget in core.store.snapshot().budgets if budget.scope == "gateway"]
        left = min((budget.limit - budget.used - budget.reserved for budget in own), default=beyond)
        tightest = core.store.budget_left(Ask(attempt.route.pool.name, attempt.model, 0, 0, self._walk.call.tenant))
        if left < beyond or tightest <= 0:
            raise BudgetExceededError(
                f"the session has cost {(beyond + attempt.estimate.charge) / PICO:.6f} USD, more than the budget has left",
                needed_usd=beyond / PICO,
                sent="yes",
            )

    def _fail(self, error: BaseException) -> None:
        try:
            super()._fail(error)
        finally:
            if self._over and self._response is None:
                response = self._answer()
                self._attempt.tell(response)
                self._response = response

    def _translated(self, error: GatewayError) -> GatewayError:
        if isinstance(error, ProviderError):
            return error  # it says itself what broke off
        return super()._translated(error)

    def _end_of_it(self) -> BaseException:
        failure, self._failure = self._failure, None
        return StopIteration() if failure is None else failure

    @property
    def provider(self) -> PrimitiveProviderKind:
        """Tell whose the session is."""
        return cast(RealtimeCall, self._walk.call).native.provider

    @property
    def endpoint(self) -> PrimitiveEndpointKind:
        """Tell of which kind it is."""
        return cast(RealtimeCall, self._walk.call).native.endpoint

    @property
    def wire_format(self) -> ProviderPrimitiveWireFormat:
        """Tell in which format it is held."""
        return cast(RealtimeCall, self._walk.call).native.wire_format

    @property
    def stream_mode(self) -> PrimitiveStreamMode:
        """Tell how its messages come: over a WebSocket."""
        return PrimitiveStreamMode.WEB_SOCKET

    # --- the end ----------------------------------------------------------------------------------------------------------------

    def _answer(self) -> PrimitiveResponse:
        call = cast(RealtimeCall, self._walk.call)
        return call.response(self._http(), None, self._tally.measure(), self._attempt, 0)

    def close(self, code: int = NORMAL_CLOSE, reason: str = "") -> None:
        """Say good bye, wait a moment for the provider to say so too, and close; what was used is settled.

        From another thread it ends the reader too, with ``ClosedError``. Closing again does nothing.
        """
        if not self._over and self._pid == os.getpid():
            if self._turn:  # the thread that reads is told why it wakes
                self._walk.call.leave()
            self._connection.close(code, reason)
        super().close()

    def _leave(self, *, hang_up: bool = True) -> None:
        if hang_up:
            self._attempt.hang_up()
        if self._response is None:
            self._response = self._attempt.settle(self._answer(), first_event=self._first_at)
        self._end("closed")


def _written(message: Any) -> str:
    if not isinstance(message, Mapping):
        raise ConfigurationError(f"message: expected an object, a text or bytes, got {type(message).__name__}", field="message")
    try:
        return _json.dumps(message)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"message: no JSON: {error}", field="message") from None


def _read(message: Message) -> Any:
    """Read a message as JSON, where it is some."""
    if isinstance(message, Mapping):
        return message
    try:
        return _json.loads(message)
    except InvalidJsonError:
        return None


def primitive_realtime(
    core: Core, native: PrimitiveRequest, *, key_label: str | None = None, **options: Any
) -> PrimitiveRealtimeSession:
    """Open a session; raises for all that is wrong with the request before a key is asked for."""
    require()
    if native.stream is PrimitiveStreamMode.NONE:
        native = replace(native, stream=PrimitiveStreamMode.WEB_SOCKET)
    if native.stream is not PrimitiveStreamMode.WEB_SOCKET:
        raise ConfigurationError(f"stream: a session is a WebSocket, not {native.stream.value}", field="stream")
    routes = routes_of(core, native, key_label)
    call = RealtimeCall(core, native, routes, key_label=key_label, **options)
    try:
        call.emitted(core, routes[0])
        return PrimitiveRealtimeSession(core, Walk(core, call))
    except BaseException:
        call.ended(core, "failed")
        raise
