"""A provider on this machine: real HTTP, the real wire formats, deterministic answers, and faults on demand."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

from .. import _json
from .._clock import SYSTEM_CLOCK, Clock, seconds_of
from ..errors import ConfigurationError, ProtocolError
from ..types.enums import EndpointProtocol, ProviderProtocol
from ..types.response import LlmResponse
from ._clouds import TOKEN_PATH, Signatures, Tokens, service_account
from ._endpoint_routes import EndpointRoute, find_endpoint
from ._http import HttpReply, HttpRequest, HttpServer, Switch
from ._limits import RequestLimits
from ._native import MissingError, NativeRoute
from ._native_routes import find_native
from ._native_store import NativeStore
from ._replies import (
    ENDINGS,
    Incoming,
    Served,
    broken_off,
    endpoint_reply,
    error_frame,
    failure,
    frames_of,
    json_reply,
    refusal,
    response_to,
    whole,
)
from ._routes import BY_PROTOCOL, Route, find_route
from ._sessions import Session, find_session
from ._steps import Answer, BreakStream, Delay, Fail, Hang, Malformed, Step

if TYPE_CHECKING:
    from ..providers.endpoint import ProviderEndpoint

_SIGNED = re.compile(r"\s*Credential=([^/,\s]+)/")  # AWS signs instead of showing its key, and names it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """Record one request that reached the provider.

    Header names are lower case. ``json`` is the parsed body, ``None`` where it is no JSON; ``key`` and ``protocol`` are ``None``
    where none was found; ``received_at`` is the provider's monotonic clock; ``connection`` counts connections from 1.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    json: Any
    key: str | None = field(repr=False)
    protocol: ProviderProtocol | None
    received_at: float
    connection: int


@dataclass(slots=True)
class _Scripted:
    step: Step
    left: int
    protocol: ProviderProtocol | None
    key: str | None


class LocalProvider:
    """Serve every wire format on a loopback port, until ``close()`` or the end of ``with``.

    Answers are deterministic: it echoes the last user text (``echo: TEXT``), calls the tools it is told to (``call NAME with
    {json}``), quotes their results, fits the schema of structured output and refuses what starts with ``refuse``; the rest is
    for ``script``. A word is an output token, and a delta of a stream. Texts with words in common have embeddings near each
    other, a ranking goes by shared words, and what was spoken is what its recording's transcript says.

    What native calls make (files, uploads, batches, caches, operations) is kept, numbered by its kind; a job takes one step each
    time it is asked for, and is done at the second.

    ``keys`` are the keys it takes (any, where not given); one of the form ``ACCESS:SECRET`` or ``ACCESS:SECRET:TOKEN`` signs by
    AWS's Signature Version 4, which is verified. Access tokens of Google's are issued to ``service_account()``. ``dead_keys``
    are answered with 401 and ``forbidden`` pairs of key and model with 403; both are sets that may change while it serves.
    ``rpm`` limits the requests per minute of the keys in it, by
    ``clock``. ``latency`` is waited before every answer, ``event_interval`` before every event of a stream.
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] | None = None,
        dead_keys: Iterable[str] = (),
        forbidden: Iterable[tuple[str, str]] = (),
        rpm: Mapping[str, int] | None = None,
        latency: float = 0.0,
        event_interval: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        given = None if keys is None else _texts(keys, "keys")
        self._keys = None if given is None else frozenset(key.split(":")[0] for key in given)
        self.dead_keys: set[str] = set(_texts(dead_keys, "dead_keys"))
        self.forbidden: set[tuple[str, str]] = set(forbidden)
        self._limits = RequestLimits(_rpm(rpm), clock)
        self._latency = seconds_of(latency, "latency", allow_zero=True)
        self._event_interval = seconds_of(event_interval, "event_interval", allow_zero=True)
        self._clock = clock
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._requests: list[ReceivedRequest] = []
        self._script: list[_Scripted] = []
        self._numbers = itertools.count(1)
        self._store = NativeStore()
        self._turn = threading.Lock()
        self._server = HttpServer(self._exchange)
        self._signatures = Signatures(given or (), self.base_url, clock)
        self._tokens = Tokens(self.base_url + TOKEN_PATH, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LocalProvider {self.base_url}>"

    def close(self) -> None:
        """End every connection, waits included; calling it again does nothing more."""
        self._closing.set()
        self._server.close()

    @property
    def base_url(self) -> str:
        """Give the root of all paths, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.port}"

    def endpoint(self, protocol: ProviderProtocol | EndpointProtocol | str) -> ProviderEndpoint:
        """Give the endpoint at which this provider speaks a protocol; raises ``ConfigurationError`` for what is none."""
        from ..providers.endpoint import ProviderEndpoint

        spoken = EndpointProtocol.parse(protocol)
        route = BY_PROTOCOL[spoken.wire_protocol]
        return ProviderEndpoint(spoken, self.base_url + route.base + (route.path if spoken.is_compat else ""))

    def service_account(self) -> dict[str, Any]:
        """Give a service account's key file, as JSON, for which this provider issues tokens; needs the extra ``vertex``."""
        return service_account(self.base_url + TOKEN_PATH)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Give the access tokens that were issued, oldest first."""
        return self._tokens.issued

    @property
    def token_life(self) -> float:
        """Be how long the next access tokens are good (seconds)."""
        return self._tokens.life

    @token_life.setter
    def token_life(self, seconds: float) -> None:
        self._tokens.life = seconds_of(seconds, "token_life")

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Give what was received so far, oldest first."""
        with self._lock:
            return tuple(self._requests)

    def wait_requests(self, at_least: int = 1, *, timeout: float = 5.0) -> bool:
        """Wait, in real time, until that many requests were received; give whether that is so."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self._requests) >= at_least, timeout)

    @property
    def connections(self) -> int:
        """Count the connections ever accepted."""
        return self._server.connections

    @property
    def open_connections(self) -> int:
        """Count the connections that are open now."""
        return self._server.open_connections

    def wait_open_connections(self, at_most: int = 0, *, timeout: float = 5.0) -> bool:
        """Wait, in real time, until no more than that many connections are open; give whether that is so.

        A connection is open from when it was accepted: first ``wait_requests`` where no answer tells that it was.
        """
        return self._server.wait_open(at_most, timeout)

    def script(self, *steps: Step, protocol: ProviderProtocol | str | None = None, key: str | None = None) -> None:
        """Say how the next requests are treated, one step each: of any protocol and key, or of the given ones only.

        Steps queue up behind those scripted before. A request takes the first one that fits it, once its key and its body were
        found good and its limit left room.
        """
        spoken = None if protocol is None else EndpointProtocol.parse(protocol).wire_protocol
        scripted = [_Scripted(step, step.times, spoken, key) for step in steps]
        with self._lock:
            self._script.extend(scripted)

    @property
    def steps_left(self) -> int:
        """Count the scripted steps that no request has taken yet."""
        with self._lock:
            return sum(scripted.left for scripted in self._script)

    # --- one exchange ---------------------------------------------------------------------------------------------------------

    def _exchange(self, http: HttpRequest) -> HttpReply | Switch | None:
        path, _, query = http.target.partition("?")
        if path == TOKEN_PATH:
            return self._tokens.answer(http)
        route = _route_of(path, http.body) or find_session(path) or find_native(http.method, path, http.headers)
        received = self._record(http, route, query)
        if route is None:
            return json_reply(404, {"error": {"message": f"no such path: {path}", "type": "not_found_error"}})
        self._wait(self._latency)
        try:
            return self._routed(route, received)
        except Exception as error:  # noqa: BLE001  # the boundary of a server: a fault of its own is an answer, not a dead thread
            said = f"the local provider failed: {type(error).__name__}: {error}"
            return json_reply(500, {"error": {"message": said, "type": "local_provider_error"}})

    def _routed(self, route: Served, received: ReceivedRequest) -> HttpReply | Switch | None:
        number = next(self._numbers)
        headers = {route.id_header: f"req_{number}"}
        allowed = route.method if isinstance(route, NativeRoute | Session) else "POST"
        if received.method != allowed:
            return refusal(route, 405, f"{received.method} is not allowed here", headers | {"allow": allowed})
        resumed = isinstance(route, NativeRoute) and "upload_id=" in received.path  # the URL of an upload is its own key
        refused = None if resumed else self._refused_key(route, received, headers)
        if refused is not None:
            return refused
        path, _, query = received.path.partition("?")
        if isinstance(route, NativeRoute):
            asked = route.asked(received, parse_qs(query), self.base_url)
            return self._answer(Incoming(route, asked, received, headers, number))
        lacking = route.lacks(path, parse_qs(query), received.json)
        if lacking is not None:
            return refusal(route, 400, lacking, headers)
        try:
            kind = received.headers.get("content-type", "")
            request: Any = (
                route.open(received.headers, parse_qs(query))
                if isinstance(route, Session)
                else route.read(received.body, kind, path)
            )
        except ProtocolError as error:
            return refusal(route, 400, f"{error.message} at {error.pointer or '/'}", headers)
        call: Incoming[Any] = Incoming(route, request, received, headers, number)
        return self._answer(call)

    def _record(self, http: HttpRequest, route: Served | None, query: str) -> ReceivedRequest:
        try:
            value = _json.loads(http.body) if http.body else None
        except ProtocolError:
            value = None
        received = ReceivedRequest(
            method=http.method,
            path=http.target,
            headers=MappingProxyType(http.headers),
            body=http.body,
            json=value,
            key=_key_of(http.headers, query),
            protocol=None if route is None else route.protocol,
            received_at=self._clock.monotonic(),
            connection=http.connection,
        )
        with self._arrived:
            self._requests.append(received)
            self._arrived.notify_all()
        return received

    def _refused_key(self, route: Served, received: ReceivedRequest, headers: dict[str, str]) -> HttpReply | None:
        key = received.key
        if key is None:
            return refusal(route, 401, "no API key was given", headers)
        if key in self.dead_keys or (self._keys is not None and key not in self._keys):
            return refusal(route, 401, "the API key is not valid", headers)
        if not self._tokens.is_good(key):
            return refusal(route, 401, "the access token is not valid", headers)
        if self._signatures.knows(key) and (fault := self._signatures.fault(received)) is not None:
            return refusal(route, 403, fault, headers | {"x-amzn-errortype": "InvalidSignatureException"})
        standing = self._limits.take(key)
        if standing is not None:
            headers |= route.limit_headers(standing)
            if not standing.allowed:
                return refusal(route, 429, f"more than {standing.limit} requests per minute", headers)
        return None

    def _answer(self, call: Incoming[Any]) -> HttpReply | Switch | None:
        if (call.received.key, call.request.model) in self.forbidden:
            return refusal(call.route, 403, f"the key may not use the model {call.request.model}", call.headers)
        step = self._next_step(call)
        while isinstance(step, Delay):
            self._wait(step.seconds)
            step = step.then
        if isinstance(step, Hang):
            return None
        if isinstance(step, Fail):
            return failure(call, step)
        if isinstance(step, Malformed):
            return HttpReply(200, {"content-type": step.content_type, **call.headers}, step.body)
        broken = step if isinstance(step, BreakStream) else None
        if isinstance(call.route, Session):
            said = step.answer if isinstance(step, Answer) and isinstance(step.answer, str) else None
            return call.route.switch(call.request, call.number, call.headers, scripted=said, broken=broken)
        if isinstance(call.route, NativeRoute):
            return self._native(call, call.route, step.answer if isinstance(step, Answer) else None, broken)
        if isinstance(call.route, EndpointRoute):
            return endpoint_reply(call, call.route, step.answer if isinstance(step, Answer) else None, broken)
        response = response_to(call, step)
        return self._streamed(call, response, broken) if call.streams else whole(call, response, broken)

    def _native(self, call: Incoming[Any], route: NativeRoute, scripted: Any, broken: BreakStream | None) -> HttpReply:
        """Answer a native request, in turn: what is kept changes by one at a time."""
        if isinstance(scripted, dict | list):
            return json_reply(200, scripted, call.headers)
        try:
            with self._turn:
                reply = route.answer(self._store, call.request)
        except ProtocolError as error:
            return refusal(route, 400, f"{error.message} at {error.pointer or '/'}", call.headers)
        except MissingError as error:
            return refusal(route, 404, str(error), call.headers)
        headers = {"content-type": reply.media_type, **call.headers, **reply.headers}
        return broken_off(call, HttpReply(reply.status, headers, reply.body()), broken)

    def _next_step(self, call: Incoming[Any]) -> Step | None:
        # Critical section: find a step and count it as taken, so that no two requests take the same one.
        with self._lock:
            for scripted in self._script:
                if scripted.protocol in (None, call.route.protocol) and scripted.key in (None, call.received.key):
                    scripted.left -= 1
                    if not scripted.left:
                        self._script.remove(scripted)
                    return scripted.step
        return None

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._clock.wait(self._closing, seconds)

    def _streamed(self, call: Incoming[Route], response: LlmResponse, broken: BreakStream | None) -> HttpReply:
        headers = {"content-type": call.route.stream_type, "cache-control": "no-cache", **call.headers}
        content, terminal = frames_of(call, response)
        if broken is None:
            return HttpReply(200, headers, self._paced(content + terminal))
        frames = content[: broken.after_events]
        if broken.how == "error_event":
            frames.append(error_frame(call.route))
        return HttpReply(200, headers, self._paced(frames), ENDINGS.get(broken.how, "end"))

    def _paced(self, frames: Iterable[bytes]) -> Iterator[bytes]:
        for frame in frames:
            self._wait(self._event_interval)
            yield frame


def _route_of(path: str, body: bytes) -> Route | EndpointRoute | None:
    """Give the row that serves a request; what AWS invokes is told by its body alone."""
    invoked = find_endpoint(path, body) if path.endswith("/invoke") else None
    return invoked or find_route(path) or find_endpoint(path, body)


def _key_of(headers: Mapping[str, str], query: str) -> str | None:
    """Give the key of a request, wherever a provider would look for it."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    signed = _SIGNED.match(token) if scheme == "AWS4-HMAC-SHA256" else None
    found = token.strip() if scheme.lower() == "bearer" else signed[1] if signed else ""
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        found = found or headers.get(name, "")
    return found or parse_qs(query).get("key", [""])[0] or None


# --- what the caller gave -----------------------------------------------------------------------------------------------------


def _texts(values: Iterable[str], name: str) -> list[str]:
    given = [] if isinstance(values, str) else list(values)
    if isinstance(values, str) or not all(isinstance(value, str) and value for value in given):
        raise ConfigurationError(f"{name}: expected an iterable of keys", field=name)
    return given


def _rpm(limits: Mapping[str, int] | None) -> dict[str, int]:
    given = dict(limits or {})
    for limit in given.values():
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise ConfigurationError(f"rpm: expected a count, got {limit!r}", field="rpm")
    return given
