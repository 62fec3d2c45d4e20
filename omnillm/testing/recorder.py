"""Recording a gateway's exchanges to a file, sanitised, and playing them back without a network."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from requests.structures import CaseInsensitiveDict

from .._cancel import CancellationToken
from .._secret import Secret
from ..errors import ConfigurationError, OmniLLMError
from ..gateway.core import Core
from ..gateway.gateway import Gateway
from ..replay import ReplayFixture, sanitize_transport_request
from ..replay.scrubbing import Scrubber
from ..transport.body import HttpResponse
from ..transport.http import HttpRequest, HttpTransport
from ..types.transport import TransportRequest, TransportResponse
from ._tape import as_body, as_sent, bytes_of, difference, read_tape, write_tape

MatchOn = Literal["method", "path", "body"]
_PARTS: tuple[MatchOn, ...] = ("method", "path", "body")
_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})  # of bytes that are not kept


class UnrecordedRequestError(OmniLLMError, AssertionError):
    """Raised when a request is played that is not in the recording; says what the nearest one has otherwise."""


# --- what the caller holds ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tape:
    """Hold the exchanges of a recording; ``unused`` are those that were not played yet."""

    exchanges: tuple[ReplayFixture, ...] = ()
    unused: tuple[ReplayFixture, ...] = ()
    missed: list[UnrecordedRequestError] = field(default_factory=list)


@contextmanager
def record(path: str | os.PathLike[str], gateway: Gateway, *, secrets: Iterable[Secret | str] = ()) -> Iterator[Tape]:
    """Record what the gateway exchanges in the block, and write it at the end, sanitised, to a JSON file.

    The gateway's own keys and ``secrets`` are searched for everywhere; where one is found even so, nothing is written and
    ``ConfigurationError`` raised. Nothing is written either where the block is left by an exception.
    """
    core = _core_of(gateway)
    recorder, tape = _Recorder(core), Tape()
    with _in_place_of(core, recorder):
        yield tape
    known = (*core.secrets, *secrets)
    tape.exchanges = tuple(exchange.fixture(core).sanitized(secrets=known) for exchange in recorder.exchanges)
    write_tape(Path(path), tape.exchanges, Scrubber(known))


@contextmanager
def replay(
    path: str | os.PathLike[str],
    gateway: Gateway,
    *,
    match_on: Iterable[MatchOn] = _PARTS,
    secrets: Iterable[Secret | str] = (),
) -> Iterator[Tape]:
    """Answer the gateway's requests in the block from a recording: each exchange once, without a network.

    A request is answered by the first unused exchange that is like it in all of ``match_on``, keys and ``secrets`` apart.
    One that was not recorded raises ``UnrecordedRequestError``, at the end of the block too, where it was swallowed.
    """
    parts = tuple(match_on)
    if not parts or not set(parts) <= set(_PARTS):
        raise ConfigurationError(f"match_on: expected some of {', '.join(_PARTS)}", field="match_on")
    core = _core_of(gateway)
    tape = Tape(exchanges := read_tape(Path(path)), exchanges)
    with _unsigned(core), _in_place_of(core, _Player(core, tape, parts, (*core.secrets, *secrets))):
        yield tape
    if tape.missed:
        raise tape.missed[0]


def _core_of(gateway: Gateway) -> Core:
    if not isinstance(gateway, Gateway):
        raise ConfigurationError(f"gateway: expected a Gateway, got {type(gateway).__name__}", field="gateway")
    return gateway._core


@contextmanager
def _in_place_of(core: Core, transport: _Recorder | _Player) -> Iterator[None]:
    real = core.transport
    core.transport = cast("HttpTransport", transport)
    try:
        yield
    finally:
        core.transport = real


@contextmanager
def _unsigned(core: Core) -> Iterator[None]:
    """Let no key sign: that may ask for credentials or tokens, which are not there, or over the network."""
    real, natives = core.routes, core.native
    core.routes, core._natives = (tuple(replace(route, signers={}) for route in routes) for routes in (real, natives))
    try:
        yield
    finally:
        core.routes, core._natives = real, natives


def _refuse_session(options: Mapping[str, Any]) -> None:
    if options.get("upgrade") is not None:
        raise ConfigurationError("a session is neither recorded nor played: LocalProvider serves them", field="request")


# --- recording ----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Exchange:
    request: HttpRequest
    status: int
    headers: Mapping[str, str]
    body: bytearray = field(default_factory=bytearray)

    def fixture(self, core: Core) -> ReplayFixture:
        wire_format, request = as_sent(self.request, core)
        kept = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _FRAMING}
        content_type = kept.get("content-type")
        body = as_body(bytes(self.body), content_type or "")
        return ReplayFixture(wire_format, request, TransportResponse(self.status, kept, content_type, body))


class _Recorder:
    """Be the transport below a gateway, and remember what goes through."""

    def __init__(self, core: Core) -> None:
        self._real = core.transport
        self._lock = threading.Lock()
        self.exchanges: list[_Exchange] = []

    def send(self, request: HttpRequest, **options: Any) -> HttpResponse:
        _refuse_session(options)
        response = self._real.send(request, **options)
        exchange = _Exchange(request, response.status, dict(response.headers.items()))
        with self._lock:
            self.exchanges.append(exchange)
        return cast("HttpResponse", _Noted(response, exchange.body))

    def close(self) -> None:
        self._real.close()

    def abort(self) -> None:
        self._real.abort()


class _Noted:
    """Be a response whose body is noted as it is read."""

    __slots__ = ("__weakref__", "_body", "_real", "abort", "close", "finish", "headers", "status")

    def __init__(self, real: HttpResponse, body: bytearray) -> None:
        self._real = real
        self._body = body
        self.status, self.headers = real.status, real.headers
        self.close, self.finish, self.abort = real.close, real.finish, real.abort

    @property
    def deadline(self) -> Any:
        return self._real.deadline

    @deadline.setter
    def deadline(self, deadline: Any) -> None:
        self._real.deadline = deadline

    def read(self, *limit: int) -> bytes:
        data = self._real.read(*limit)
        self._body += data
        return data

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._real.chunks():
            self._body += chunk
            yield chunk


# --- playing ------------------------------------------------------------------------------------------------------------------


class _Player:
    """Be the transport below a gateway, and answer from a tape."""

    def __init__(self, core: Core, tape: Tape, parts: tuple[MatchOn, ...], secrets: tuple[Secret | str, ...]) -> None:
        self._core = core
        self._secrets = secrets
        self._tape = tape
        self._parts = parts
        self._lock = threading.Lock()

    def send(self, request: HttpRequest, *, cancel: CancellationToken | None = None, **options: Any) -> HttpResponse:
        _refuse_session(options)
        if cancel is not None:
            cancel.raise_if_cancelled()
        asked = sanitize_transport_request(as_sent(request, self._core)[1], secrets=self._secrets)
        # Critical section: find an exchange and take it, so that it answers once.
        with self._lock:
            unused = self._tape.unused
            found = next((n for n, fixture in enumerate(unused) if self._is_like(fixture.request, asked)), None)
            if found is not None:
                self._tape.unused = unused[:found] + unused[found + 1 :]
                return cast("HttpResponse", _Played(unused[found].response))
        error = UnrecordedRequestError(self._missing(asked))
        self._tape.missed.append(error)
        raise error

    def close(self) -> None:
        """Have nothing to close."""

    abort = close

    def _is_like(self, recorded: TransportRequest, asked: TransportRequest) -> bool:
        return all(getattr(recorded, part) == getattr(asked, part) for part in self._parts)

    def _missing(self, asked: TransportRequest) -> str:
        said = f"{asked.method} {asked.path} was not recorded"
        if any(self._is_like(fixture.request, asked) for fixture in self._tape.exchanges):
            return f"{said} as often as it is made: every exchange is played once"
        alike = [fixture.request for fixture in self._tape.unused if fixture.request.path == asked.path]
        if not alike:
            paths = sorted({fixture.request.path for fixture in self._tape.unused})
            return f"{said}: there {'is' if paths else 'are none left'} {', '.join(paths)}".rstrip()
        return f"{said} with this body: the next one differs at {difference(alike[0].body, asked.body)}"


class _Played:
    """Be a recorded response."""

    __slots__ = ("__weakref__", "_body", "deadline", "headers", "status")

    def __init__(self, response: TransportResponse) -> None:
        self.status = response.status
        self.headers = CaseInsensitiveDict(response.headers)
        self.deadline: Any = None
        self._body = bytes_of(response.body, response.content_type or "")

    def read(self, *_limit: int) -> bytes:
        body, self._body = self._body, b""
        return body

    def chunks(self) -> Iterator[bytes]:
        yield self.read()

    def close(self) -> None:
        """Have nothing to close."""

    finish = abort = close


__all__ = ["Tape", "UnrecordedRequestError", "record", "replay"]
