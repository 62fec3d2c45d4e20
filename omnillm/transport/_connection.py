"""Connections of urllib3's pools that write a request at once and read the head of an answer with bounds.

Purpose. urllib3 keeps the pools, the proxies and TLS. What goes over a connection is done here, because http.client takes an
interim 103 for the answer, headers that were cut for whole ones, two lengths for one, and counts time per read.

Contract. ``ConnectionPool.urlopen`` is one request and one answer: no retry, no redirect, no line in a log. Every failure, and
every exception that is none of ours, closes the connection; only one whose answer was read to its end is kept.

Rules.
- Every socket call is bounded by the exchange's deadline, however the peer dribbles.
- The head is at most 100 lines of 64 KiB; at most 8 interim answers go before it.
- A connection with bytes behind the answer, or with bytes while it was idle, is not used again.
- Names are resolved by the system, which nothing can interrupt.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
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
from ..errors import ClosedError, ConfigurationError
from ._chunks import CHUNK_SIZE, whole_chunks
from ._exchange import GLANCE, Exchange, StoppedError, current, running

MAX_LINE = 64 << 10
MAX_HEADERS = 100
MAX_INTERIM = 8
_BUFFER = 16 << 10
_WORTH_IT = 16  # chunks
_SMALL = 64 << 10
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\0]*?)[ \t]*\r?\n", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class _Inflow(io.RawIOBase):
    """Receive from a socket by the exchange's deadline."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange
        self.count = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.count

    def readinto(self, buffer: Any) -> int:
        exchange = self._exchange
        while True:
            self._sock.settimeout(exchange.glance())
            try:
                count = self._sock.recv_into(buffer)
                break
            except TimeoutError:
                continue
            except OSError:
                raise StoppedError(exchange.lost()) from None
        if count:
            exchange.started = True
            self.count += count
        elif exchange.aborted:
            raise StoppedError(exchange.cancelled())
        return count


class Answer(http.client.HTTPResponse):
    """Read an answer: the head here, the framing of the body in http.client."""

    fp: io.BufferedReader | None  # type: ignore[assignment]  # http.client sets it to None where the body has ended
    owner: Connection | None = None

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None) -> None:
        self._exchange = current()
        self._inflow = _Inflow(sock, self._exchange)
        self.fp = io.BufferedReader(self._inflow, _BUFFER)
        self.debuglevel = debuglevel
        self._method = method
        self.fields = urllib3.HTTPHeaderDict()
        self.chunked = False
        self.chunk_left: int | None = None
        self.length: int | None = None
        self.will_close = True

    def begin(self) -> None:
        for _ in range(MAX_INTERIM + 1):
            minor = self._read_status_line()
            lines = self._read_lines()
            if self.status >= 200:
                break
            if self.status == 101:
                raise StoppedError(self._exchange.malformed("it switched protocols unasked"))
        else:
            raise StoppedError(self._exchange.malformed("no end of interim answers"))
        self.fields = self._parsed(lines)
        self._frame(keep_alive=minor != b"0")

    def _read_status_line(self) -> bytes:
        assert self.fp is not None
        line = self.fp.readline(MAX_LINE + 1)
        if not line.endswith(b"\n") and len(line) <= MAX_LINE:
            raise StoppedError(self._exchange.lost())
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise StoppedError(self._exchange.malformed("the answer is not HTTP/1"))
        minor, status, reason = match.groups()
        self.status = self.code = int(status)
        self.reason = (reason or b"").decode("latin-1")
        self.version = 10 if minor == b"0" else 11
        return minor

    def _read_lines(self) -> list[str]:
        assert self.fp is not None
        lines: list[str] = []
        while (line := self.fp.readline(MAX_LINE + 1)) not in (b"\r\n", b"\n"):
            if len(line) > MAX_LINE:
                raise StoppedError(self._exchange.malformed("a header is too long"))
            if not line.endswith(b"\n"):
                raise StoppedError(self._exchange.lost())
            if len(lines) == MAX_HEADERS:
                raise StoppedError(self._exchange.malformed("too many headers"))
            lines.append(line.decode("latin-1"))
        return lines

    def _parsed(self, lines: list[str]) -> urllib3.HTTPHeaderDict:
        fields = urllib3.HTTPHeaderDict()
        for line in lines:
            match = _HEADER.fullmatch(line)
            if match is None:  # a folded line too: RFC 9112 section 5.2 lets us refuse it
                raise StoppedError(self._exchange.malformed("a header is malformed"))
            fields.add(*match.groups())
        return fields

    def _frame(self, *, keep_alive: bool) -> None:
        """Find where the body ends: RFC 9112 section 6.3."""
        fields = self.fields
        connection = fields.get("connection", "").lower()
        self.will_close = "close" in connection or not (keep_alive or "keep-alive" in connection)
        coding = fields.get("transfer-encoding")
        lengths = (
            {length.strip() for length in fields.get("content-length", "").split(",")} if "content-length" in fields else None
        )
        if self._method == "HEAD" or self.status in (204, 304):
            self.length = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise StoppedError(self._exchange.malformed("an unknown transfer encoding"))
            self.chunked = True
        elif lengths is not None:
            length = lengths.pop()
            if lengths or not _DIGITS.fullmatch(length):
                raise StoppedError(self._exchange.malformed("the length is not one number"))
            self.length = int(length)
        else:
            self.will_close = True
        if coding is not None and lengths is not None:  # section 6.1: whoever sends both may be smuggling
            del fields["content-length"]
            self.will_close = True

    def read1(self, n: int = -1) -> bytes:
        """Give what has come of the body: of chunks all that lie whole in the buffer, for http.client would give one by one."""
        return self._chunks_at_hand(n) or super().read1(n)

    def _chunks_at_hand(self, most: int) -> bytes:
        """Take the whole chunks from the buffer, without waiting; nothing where the general way has to say what comes.

        That saves each chunk but the first of a buffer the way through http.client and urllib3, which costs more than its event.
        """
        fp = self.fp
        if fp is None or not self.chunked or self.chunk_left or self._inflow.count == fp.tell():
            return b""
        data = fp.peek()
        # the line end of the chunk before is still there where that one was read in the general way
        taken = 0 if self.chunk_left is None else 2 if data.startswith(b"\r\n") else len(data)
        found, taken = whole_chunks(data, taken, most)
        if len(found) < _WORTH_IT:
            return b""  # who reads a short stream sees it chunk by chunk, as it was sent
        fp.read(taken)
        self.chunk_left = None
        return b"".join(found)

    def _read_next_chunk_size(self) -> int:
        assert self.fp is not None
        line = self.fp.readline(MAX_LINE + 1)
        match = CHUNK_SIZE.fullmatch(line)
        if match is None:
            whole = line.endswith(b"\n") or len(line) > MAX_LINE
            raise StoppedError(self._exchange.malformed("a chunk is malformed") if whole else self._exchange.lost())
        return int(match[1], 16)

    def _close_conn(self) -> None:
        """Let go of the connection at the end of the body, or for good where it cannot carry another answer."""
        fp, owner = self.fp, self.owner
        if fp is None:
            return
        self.fp = None
        spent = self.will_close or fp.tell() != self._inflow.count  # bytes that nobody asked for
        fp.close()
        if owner is not None:
            owner.let_go()
            if spent:
                owner.close()


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
        why = "no address"
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
            if exchange.watch is None:
                sock.settimeout(None if left is None else left / share)
                sock.connect(place)
            else:
                _connect_watched(sock, place, exchange, math.inf if left is None else left / share)
            sock.settimeout(exchange.timeout())
            return sock
        except BaseException:
            exchange.socket = None
            sock.close()
            raise

    def ask(self, method: str, head: bytes, body: bytes) -> None:
        """Write the request, with one call where it is small."""
        exchange = self._exchange = current()
        self._asked = method
        exchange.to_send(self.sock)
        try:
            if len(body) <= _SMALL:
                self.send(head + body)
            else:
                self.send(head)
                self.send(body)
        except TimeoutError:
            raise StoppedError(exchange.late()) from None
        except OSError:
            pass  # it may have answered before it closed (413, 429): reading will tell

    def send(self, data: Any) -> None:
        exchange = current()
        if exchange.watch is None:
            self.sock.settimeout(exchange.timeout())
            self.sock.sendall(data)
            return
        rest = memoryview(data)
        while rest:
            self.sock.settimeout(exchange.glance())
            with contextlib.suppress(TimeoutError):
                rest = rest[self.sock.send(rest) :]

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
            raise StoppedError(exchange.unreachable(_refusal(error))) from None
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
        current().socket = self._twin = sock.dup()
        return sock


class WatchedSocket(ssl.SSLSocket):
    """A socket whose handshake is waited for in short steps where somebody watches for the first byte."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT002  # ssl's signature
        exchange = running()
        watch = None if exchange is None else exchange.watch
        if exchange is None or watch is None:
            super().do_handshake(block)
            return
        deadline = exchange.deadline
        while (left := deadline.remaining()) > 0:
            self.settimeout(min(left, GLANCE, watch.until_late(deadline.clock.monotonic())))
            with contextlib.suppress(TimeoutError):
                super().do_handshake(block)
                return
        raise TimeoutError


def _connect_watched(sock: socket.socket, place: Any, exchange: Exchange, seconds: float) -> None:
    """Connect in short steps; raises ``TimeoutError`` after so many seconds, and what the system says."""
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
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **_: object
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


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()], "", ""]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text or not text.isascii():
        raise ConfigurationError("a header holds a line end, a NUL or a non-ASCII character", field="headers")
    return text.encode("ascii")


def _refusal(error: Exception) -> str:
    """Give the status with which a proxy refused a tunnel, if that is what happened."""
    match = re.search("failed: ([0-9]{3})", str(error))
    return f"the proxy answered {match[1]}" if match else "the connection was closed"


def _said(error: Exception) -> str:
    """Give OpenSSL's own words: of the certificate or the handshake, never of what was sent."""
    for name in ("verify_message", "reason"):
        said = getattr(error, name, None)
        if isinstance(said, str) and said:
            return said
    return "the handshake failed"
