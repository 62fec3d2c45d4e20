"""Requests over HTTP/1.1, through requests' adapter and never its session.

Purpose. A ``requests.Session`` replaces a key by a line of ``.netrc``, takes one tenant's cookie to the next, follows redirects
with custom key headers, reads proxies and certificates from the environment and counts its timeout per read. Its adapter does
none of that: it takes a prepared request, asks a pool of urllib3 and gives back a response.

Contract. ``send`` gives the status and the headers of whatever the origin answered, 3xx included, with the body unread. Where
there is no answer it raises a ``GatewayError`` that says whether the request was sent, and has no cause and no context: what
lies below keeps the request with its key. A call ends by its deadline, except within the system's name resolver.

Rules.
- A key goes to the origin of the URL that came with it. https, or http to loopback, or http by ``allow_http``.
- TLS is always verified, with certifi's authorities or those of ``ca_bundle``; there is no switch.
- Nothing is read from the environment, but for the proxies with ``trust_proxy_env``.
- A kept connection that dies before a byte of the answer is replaced, once; nothing else is tried twice.
- A child of ``fork`` has pools of its own, before any thread of it can run; where it forked behind Python's back, at its first
  exchange. Those of its parent it only drops, and so closes its copies of their descriptors.
- No lock is held while anything goes over a socket.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from weakref import WeakSet, WeakValueDictionary

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import Url, parse_url

from .._cancel import CancellationToken
from .._clock import SYSTEM_CLOCK, Clock, Deadline, seconds_of
from .._loopback import is_loopback_host
from .._secret import Sealed, sealed
from ..errors import (
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    TlsError,
)
from ._connection import POOLS, WatchedSocket
from ._exchange import Exchange, StoppedError, Turn, Watch
from .body import HttpResponse
from .upload import Upload

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_PORTS = {"http": 80, "https": 443}
_MAX_ROUTES = 256
_NO_LIMIT: Any = urllib3.Timeout(connect=None, read=None)  # time is the exchange's business
_FRAMING = ("Content-Length", "Transfer-Encoding", "Connection")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Say how long the steps of a call may take, in seconds (a ``timedelta`` is taken too); no limit is ``math.inf``.

    ``total`` bounds a call with all its attempts; ``first_byte`` and ``idle`` are for streams, which have a total only
    where the call gives one.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, seconds_of(getattr(self, field.name), field.name))


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """Be a request, ready to go: its headers hold the key."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | Upload | None = None

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method}>"


class HttpTransport:
    """Send requests from any number of threads, over kept connections.

    ``pool_size`` is how many idle connections are kept per origin; more may be open at once.
    """

    def __init__(
        self,
        *,
        allow_http: bool = False,
        ca_bundle: str | os.PathLike[str] | None = None,
        trust_proxy_env: bool = False,
        proxies: Mapping[str, str] | None = None,
        pool_size: int = 64,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._allow_http = allow_http
        self._ca_bundle = _checked_bundle(ca_bundle)
        self._trust_proxy_env = trust_proxy_env
        self._proxies = _checked_proxies(proxies)
        self._pool_size = pool_size
        self._clock = clock
        self._closed = False
        self._open()
        _TRANSPORTS.add(self)

    def send(
        self,
        request: HttpRequest,
        *,
        deadline: Deadline,
        connect: float,
        first_byte: float,
        cancel: CancellationToken | None = None,
        stream: bool = False,
        watch: Watch | None = None,
        begun: Callable[[], object] = bool,
        upgrade: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send a request and read the head of the answer; close what comes back, or read it to its end.

        ``connect`` and ``first_byte`` are seconds, within the deadline; ``watch`` is told where the first byte is late,
        ``begun`` before a byte of the request goes out. With the headers of an ``upgrade`` the answer may be 101.
        Raises ``ConnectError``, ``TlsError``, ``ConnectionLostError``, ``MalformedResponseError``, ``DeadlineExceededError``,
        ``CallCancelledError``, ``ClosedError``.
        """
        self._check(cancel)
        route = self._route(request.url)
        prepared = _Prepared(request, route, stream=stream, upgrade=upgrade)
        exchange = Exchange(
            route.where, deadline, connect=connect, first_byte=first_byte, stream=stream, watch=watch, begun=begun
        )
        exchange.is_here, exchange.switches = route.is_here, upgrade is not None
        self._running[id(exchange)] = exchange
        if self._closed:  # meanwhile: ``abort`` may have looked before this one was there
            raise ClosedError("the transport is closed")
        subscription = None if cancel is None else (cancel, cancel.subscribe(exchange.abort))
        try:
            answer = self._exchange(prepared, exchange)
            return HttpResponse(answer.raw, exchange, clock=self._clock, subscription=subscription)
        except BaseException:
            if subscription is not None:
                subscription[0].unsubscribe(subscription[1])
            exchange.shut()
            raise

    def close(self) -> None:
        """Close the idle connections and send no more; those in use close when they are done."""
        self._closed = True
        if self._pid != os.getpid():
            return
        for route in list(self._routes.values()):
            if route.pool is not None:
                route.pool.close()  # urllib3's manager only forgets its pools
        self._routes.clear()
        self._adapter.close()

    def abort(self) -> None:
        """End every exchange that runs, from any thread: whoever waits for one raises ``CallCancelledError``."""
        for found in self._running.valuerefs():
            exchange = found()
            if exchange is not None:
                exchange.abort()

    def _open(self) -> None:
        self._running: WeakValueDictionary[int, Exchange] = WeakValueDictionary()  # an entry goes with its exchange
        self._routes: dict[str, _Route] = {}
        self._adapter = _Adapter(self._ca_bundle, self._pool_size)
        self._pid = os.getpid()  # last: until then every thread of a child knows that what is here is its parent's

    def _check(self, cancel: CancellationToken | None) -> None:
        if self._closed:
            raise ClosedError("the transport is closed")
        if self._pid != os.getpid():
            self._open()
        if cancel is not None:
            cancel.raise_if_cancelled()

    def _exchange(self, prepared: _Prepared, exchange: Exchange) -> requests.Response:
        while True:
            failure: GatewayError
            try:
                exchange.timeout()
                with Turn(exchange):
                    return self._adapter.send(prepared, stream=True, timeout=_NO_LIMIT)
            except StoppedError as stop:
                failure = stop.error
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failure = _failure(error, exchange)
            if isinstance(failure, ConnectionLostError) and exchange.again():
                continue
            try:
                raise failure  # here, where no exception is being handled: it must not become its context
            finally:
                del failure  # its traceback holds this frame, and what its callers are making

    def _route(self, url: str) -> _Route:
        route = self._routes.get(url)
        if route is None:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            proxies = self._proxies or (_sealed(get_environ_proxies(url)) if self._trust_proxy_env else {})
            route = self._routes[url] = _Route(url, allow_http=self._allow_http, proxies=proxies)
        return route


class _Route:
    """What one URL says, parsed once."""

    __slots__ = ("address", "host", "is_here", "pool", "proxy", "target", "url", "where")

    def __init__(self, url: str, *, allow_http: bool, proxies: Mapping[str, str]) -> None:
        parsed = _parsed(url)
        self.is_here = parsed.scheme == "http" and not allow_http  # nowhere but on this machine, so by no proxy either
        if self.is_here and not is_loopback_host(parsed.host or ""):
            raise ConfigurationError(f"url: plain http to {parsed.host} needs allow_http", field="url")
        self.url = Sealed(parsed.url)  # its query may hold the key
        self.address = (parsed.host, parsed.port, parsed.scheme)
        self.host = parsed.netloc or ""
        self.where = f"{parsed.host}:{parsed.port or _PORTS[str(parsed.scheme)]}"
        proxy = None if self.is_here else select_proxy(url, dict(proxies))
        self.proxy = _parsed_proxy(proxy) if proxy else None
        if self.proxy is not None:
            self.where += f" by the proxy {self.proxy.netloc}"
        self.target = Sealed(parsed.url if self.proxy is not None and parsed.scheme == "http" else parsed.request_uri)
        self.pool: Any = None


class _Headers(CaseInsensitiveDict[str]):
    """Headers whose repr, which a report of a traceback's locals may show, has no key."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


class _Prepared(requests.PreparedRequest):
    """A prepared request made at once: the parts are ready, ``prepare`` would take them apart and check them again."""

    def __init__(self, request: HttpRequest, route: _Route, *, stream: bool, upgrade: Mapping[str, str] | None) -> None:
        super().__init__()
        self.method = request.method
        self.url = route.url
        self.body: Any = request.body
        self.route = route
        headers = _Headers(request.headers)
        for name in _FRAMING:
            headers.pop(name, None)
        headers.setdefault("Host", route.host)
        if stream:
            headers["Accept-Encoding"] = "identity"  # events come when they are sent, and nothing is to be inflated
        else:
            headers.setdefault("Accept-Encoding", "gzip, deflate")
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(request.body or b""))
        if upgrade is not None:
            headers.update(upgrade)
        self.headers = headers


class _Response(requests.Response):
    """A response without its cookie jar: nothing here keeps a cookie."""

    def __init__(self, request: requests.PreparedRequest, raw: Any) -> None:
        self.request = request
        self.raw = raw
        self.url = str(request.url)
        self.status_code = raw.status
        self.reason = raw.reason
        self.headers = raw.headers
        self.history = []


class _Adapter(HTTPAdapter):
    """An adapter whose pools are ours, and know what to trust."""

    def __init__(self, ca_bundle: str | None, pool_size: int) -> None:
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        super().__init__(pool_connections=_MAX_ROUTES, pool_maxsize=pool_size)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> Any:
        route: _Route = request.route
        if route.pool is None:
            trust = {"ssl_context": self._trust()} if route.address[2] == "https" else {}
            proxy = None if route.proxy is None else Sealed(route.proxy.url)
            manager = self.poolmanager if proxy is None else self.proxy_manager_for(proxy, proxy_ssl_context=self._trust())
            route.pool = manager.connection_from_host(*route.address, pool_kwargs=trust)
        return route.pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave the pool as it is: its context verifies."""

    def request_url(self, request: Any, *_: Any, **__: Any) -> str:
        target: str = request.route.target
        return target

    def build_response(self, request: requests.PreparedRequest, response: Any) -> requests.Response:
        return _Response(request, response)

    def _trust(self) -> ssl.SSLContext:
        # Not ssl.create_default_context(): it reads SSLKEYLOGFILE, and the system's authorities by SSL_CERT_FILE.
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the host name and requires a certificate
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.sslsocket_class = WatchedSocket
            bundle = self._ca_bundle or certifi.where()
            if Path(bundle).is_dir():
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(cafile=bundle)
            self._context = context
        return self._context


_TRANSPORTS: WeakSet[HttpTransport] = WeakSet()


def _after_fork() -> None:
    """Open the transports of a forked child anew."""
    for transport in list(_TRANSPORTS):
        transport._open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _failure(error: Exception, exchange: Exchange) -> GatewayError:
    """Say in our words what did not come from our connections: what a double of ``HTTPAdapter.send`` raised."""
    if exchange.aborted:
        return exchange.cancelled()
    if isinstance(error, requests.exceptions.SSLError):
        return TlsError(f"no TLS with {exchange.where}")
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return ConnectError(f"cannot connect to {exchange.where}")
    exchange.phase = "first_byte"
    if isinstance(error, requests.Timeout):
        return DeadlineExceededError(f"time ran out with {exchange.where} (first_byte)", phase="first_byte", sent="maybe")
    return exchange.lost()


def _parsed(url: object) -> Url:
    if not isinstance(url, str) or _FORBIDDEN.search(url) or "#" in url:
        raise ConfigurationError("url: expected a URL without blanks, controls, backslashes and fragment", field="url")
    parsed = _try_parse(url)
    if parsed is None or not parsed.host or parsed.scheme not in _PORTS:
        raise ConfigurationError("url: expected an http or https URL with a host", field="url")
    if parsed.auth is not None:
        raise ConfigurationError(f"url: holds credentials for {parsed.host}: give them as a key", field="url")
    return parsed


def _parsed_proxy(url: str) -> Url:
    parsed = _try_parse(url if "://" in url else f"http://{url}")
    if parsed is None or not parsed.host or parsed.scheme not in _PORTS:
        raise ConfigurationError("proxies: expected the URL of an http or https proxy", field="proxies")
    return parsed


def _try_parse(url: str) -> Url | None:
    """Give a URL's parts, those that may hold a secret sealed; ``None`` where it is none."""
    try:
        parsed = parse_url(url)
    except urllib3.exceptions.LocationParseError:
        return None
    return parsed._replace(**_sealed({"auth": parsed.auth, "query": parsed.query}))


def _checked_bundle(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike) or not path or not Path(path).exists():
        raise ConfigurationError("ca_bundle: expected the path of a file or folder of certificates", field="ca_bundle")
    return os.fspath(path)


def _checked_proxies(proxies: Mapping[str, str] | None) -> dict[str, str]:
    checked = _sealed(proxies or {})
    for url in checked.values():
        _parsed_proxy(url)
    return checked


def _sealed(texts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sealed(text) for name, text in texts.items()}
