"""Connections of urllib3's pools that write a request at once; ``_answer`` reads what comes back, with bounds.

Purpose. urllib3 keeps the pools, the proxies and TLS. What goes over a connection is done here, because http.client takes an
interim 103 for the answer, headers that were cut for whole ones, two lengths for one, and counts time per read.

Contract. ``ConnectionPool.urlopen`` is one request and one answer: no retry, no redirect, no line in a log. Every failure, and
every exception that is none of ours, closes the connection; only one whose answer was read to its end is kept.

Rules.
- Every socket call is bounded by the exchange's deadline, however the peer dribbles.
- A connection with bytes behind the answer, or with bytes while it was idle, is not used again.
- Names are resolved by the system, which nothing can interrupt.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import math
import os
import queue
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.wait import wait_for_write

from .._clock import Deadline
from .._loopback import is_loopback_host
from .._secret import Sealed
from ..errors import ClosedError, ConfigurationError
from ._answer import Answer
from ._exchange import GLANCE, Exchange, StoppedError, current, running, twin_of
from .upload import Upload

_SMALL = 64 << 10
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EINTR)


class Connection(HTTPConnection):
    """Carry one exchange after another."""

    response_class: type[Answer] = Answer
    _exchange: Exchange | None = None
    _asked: str | None = None

    @property
    def is_connected(self) -> bool:
        """Tell whether a kept connection is still good: open, silent, and not known to be dead."""
        return not current().fresh and super().is_connected

    def connect(self) -> None:
        exchange = self._exchange = current()
        exchange.to_connect()
        super().connect()

    def _new_conn(self) -> socket.socket:
        exchange = current()
        try:
            addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise StoppedError(exchange.unreachable("the name does not resolve")) from None
        if exchange.is_here:  # whatever the resolver makes of a name below localhost
            addresses = [address for address in addresses if is_loopback_host(str(address[4][0]))]
        why = "no address of this machine" if exchange.is_here else "no address"
        for place, address in enumerate(addresses):
            try:
                return self._dial(exchange, address, share=len(addresses) - place)
            except TimeoutError:
                why = "no answer"
                if place == len(addresses) - 1:
                    raise StoppedError(exchange.late()) from None
            except OSError as error:
                why = error.strerror or type(error).__name__
        raise StoppedError(exchange.unreachable(why))

    def _dial(self, exchange: Exchange, address: Any, *, share: int) -> socket.socket:
        """Open a socket; an address of several gets its share of the time, so that a dead one leaves some to the next."""
        family, kind, proto, _, place = address
        left = exchange.timeout()
        sock = socket.socket(family, kind, proto)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            exchange.socket = sock
            _connect(sock, place, exchange, math.inf if left is None else left / share)
            sock.settimeout(exchange.timeout())
            return sock
        except BaseException:
            exchange.socket = None
            sock.close()
            raise

    def ask(self, method: str, head: memoryview, body: bytes | Upload) -> None:
        """Write the request, with one call where it is small; an upload as it is read."""
        exchange = self._exchange = current()
        self._asked = method
        exchange.to_send(self.sock)
        try:
            if body.__class__ is Upload:
                self.send(head)
                for chunk in body.chunks():
                    self.send(chunk)
            elif len(body) <= _SMALL:
                self.send(memoryview(b"".join((head, body))))  # type: ignore[arg-type]  # bytes: asked by its class, which costs less
            else:
                self.send(head)
                self.send(body)
        except OSError:
            pass  # it may have answered before it closed (413, 429): reading will tell

    def send(self, data: Any) -> None:
        exchange = current()
        rest = memoryview(data)
        while rest:
            self.sock.settimeout(exchange.glance())
            try:
                rest = rest[self.sock.send(rest) :]
            except TimeoutError:
                continue  # a glance is over

    def answer(self) -> urllib3.HTTPResponse:
        """Read the head of the answer."""
        exchange = current()
        answer = Answer(self.sock, method=self._asked)
        answer.begin()
        exchange.to_read()
        answer.owner = self
        return urllib3.HTTPResponse(
            body=answer,
            headers=answer.fields,
            status=answer.status,
            version=answer.version,
            version_string=f"HTTP/1.{answer.version - 10}",
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method=self._asked,
        )

    def let_go(self) -> None:
        """Keep the exchange from ending a connection that is no longer its own."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.socket = None

    def close(self) -> None:
        self.let_go()
        super().close()


class SecureConnection(Connection, HTTPSConnection):
    """The same over TLS."""

    _twin: socket.socket | None = None  # for abort(): a handshake takes the descriptor out of the socket object

    @property
    def is_connected(self) -> bool:
        pending = getattr(self.sock, "pending", None)  # missing where TLS runs within a proxy's TLS
        return super().is_connected and not (pending is not None and pending())

    def connect(self) -> None:
        exchange = self._exchange = current()
        exchange.to_connect()
        try:
            HTTPSConnection.connect(self)
            exchange.timeout()
        except TimeoutError:
            late = exchange.deadline is exchange.total
            raise StoppedError(exchange.late() if late else exchange.untrusted("no answer to the handshake")) from None
        except (ssl.SSLError, ssl.CertificateError, HTTPError) as error:
            raise StoppedError(exchange.untrusted(_said(error))) from None
        except (OSError, http.client.HTTPException) as error:
            status = _refused_tunnel(error)
            why = f"the proxy answered {status}" if status else "the connection was closed"
            raise StoppedError(exchange.unreachable(why, final=status == "407")) from None  # its credentials stay as they are
        except BaseException:
            exchange.shut()
            raise
        finally:
            exchange.socket = None
            twin, self._twin = self._twin, None
            if twin is not None:
                twin.close()

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        current().socket = self._twin = twin_of(sock)
        return sock


class WatchedSocket(ssl.SSLSocket):
    """A socket whose handshake is waited for in short steps, for interrupts and for who watches for the first byte."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT002  # ssl's signature
        exchange = running()
        if exchange is None:
            super().do_handshake(block)
            return
        deadline, watch = exchange.deadline, exchange.watch
        while (left := deadline.remaining()) > 0:
            until_late = GLANCE if watch is None else watch.until_late(deadline.clock.monotonic())
            self.settimeout(min(left, GLANCE, until_late))
            with contextlib.suppress(TimeoutError):
                super().do_handshake(block)
                return
        raise TimeoutError


def _connect(sock: socket.socket, place: Any, exchange: Exchange, seconds: float) -> None:
    """Connect in short steps; raises ``TimeoutError`` after so many seconds, and what the system says.

    Who aborts, or is interrupted, just before the system's wait begins does not end it: so no wait is long.
    """
    until = Deadline.after(seconds, exchange.total.clock)
    sock.setblocking(False)
    failure = sock.connect_ex(place)
    while failure in _UNDER_WAY:
        if until.expired:
            raise TimeoutError
        if wait_for_write(sock, min(exchange.glance(), until.remaining())):
            failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failure:
        raise OSError(failure, os.strerror(failure))


class _Shelf:
    """Keep idle connections, the last used on top; without a lock, for ``fork`` would copy a held one."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._idle: deque[Connection] = deque()

    def get(self, **_: object) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Connection | None, **_: object) -> None:
        if item is None or item.is_closed:
            return
        if len(self._idle) < self._maxsize:
            self._idle.append(item)
        else:
            item.close()

    def qsize(self) -> int:
        return len(self._idle)


class ConnectionPool(HTTPConnectionPool):
    """Exchange a request for an answer, without the retries, the redirects and the log lines of its parent."""

    ConnectionCls = Connection
    QueueCls: Any = _Shelf

    def urlopen(  # type: ignore[override]  # urllib3's own has options that no exchange uses
        self, method: str, url: str, body: bytes | Upload | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> urllib3.HTTPResponse:
        """Exchange a request for an answer, whose body is to be read."""
        tunnel = connection_requires_http_tunnel(self.proxy, self.proxy_config, self.scheme)
        head = _head(method, url, {**(headers or {}), **({} if tunnel else self.proxy_headers)})
        try:
            connection: Any = self._get_conn()
        except ClosedPoolError:
            raise StoppedError(ClosedError("the transport is closed")) from None
        try:
            if connection.is_closed:
                if tunnel:
                    self._prepare_proxy(connection)
                else:
                    connection.connect()
            connection.ask(method, head, body or b"")
            response: Any = connection.answer()
            response._connection, response._pool = connection, self
            return response  # type: ignore[no-any-return]  # an attribute of urllib3's that has no setter made it Any
        except BaseException:
            connection.close()
            raise


class SecureConnectionPool(ConnectionPool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = SecureConnection


POOLS: dict[str, Callable[..., Any]] = {"http": ConnectionPool, "https": SecureConnectionPool}


def _head(method: str, target: str, headers: Mapping[str, str]) -> memoryview:
    """Give the head of a request, as what shows its bytes nowhere: a report of a traceback's locals has this one."""
    ends = len(headers) + 2
    text = Sealed("\r\n".join([f"{method} {target} HTTP/1.1", *[f"{name}: {headers[name]}" for name in headers], "", ""]))
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text or not text.isascii():
        raise ConfigurationError("a header holds a line end, a NUL or a non-ASCII character", field="headers")
    return memoryview(text.encode("ascii"))


def _refused_tunnel(error: Exception) -> str | None:
    """Give the status with which a proxy refused a tunnel, if that is what happened."""
    match = re.search("failed: ([0-9]{3})", str(error))
    return match[1] if match else None


def _said(error: Exception) -> str:
    """Give OpenSSL's own words: of the certificate or the handshake, never of what was sent."""
    for name in ("verify_message", "reason"):
        said = getattr(error, name, None)
        if isinstance(said, str) and said:
            return said
    return "the handshake failed"
