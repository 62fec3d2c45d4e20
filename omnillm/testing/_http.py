"""HTTP/1.1 on loopback: a port, a daemon thread per connection, and replies that may break off as they are told.

The accept loop and every connection end with ``close()``: it shuts the sockets down, which wakes whoever reads from or writes to
them, and joins the threads. What a reply says is none of this file's business.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from io import BufferedReader
from typing import Literal

Ending = Literal["end", "cut", "reset", "hang"]

MAX_LINE = 64 << 10
MAX_HEADERS = 200
BACKLOG = 512
JOIN_SECONDS = 5.0
_LINGER_NOTHING = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close() sends RST


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Be a request as read; header names are lower case, ``connection`` counts connections from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Say what to send: bytes with their length, or an iterable of bytes as chunks, each sent at once.

    ``ending`` is what follows: a proper end, a close or a reset in mid-body (after half of the bytes, after the last of the
    chunks), or silence until the client leaves.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | Iterable[bytes]
    ending: Ending = "end"


@dataclass(frozen=True, slots=True)
class Switch:
    """Switch to another protocol: send the head, and leave the connection to ``talk``, whose end is the connection's."""

    headers: Mapping[str, str]
    talk: Callable[[socket.socket, BufferedReader], None]


class HttpServer:
    """Serve a loopback port in daemon threads.

    ``handle`` is called in them; ``None`` from it is silence until the client leaves.
    """

    def __init__(self, handle: Callable[[HttpRequest], HttpReply | Switch | None]) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._accepted = 0
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, name=f"local-provider-{self.port}", daemon=True)
        self._acceptor.start()

    @property
    def connections(self) -> int:
        """Count the connections ever accepted."""
        return self._accepted

    @property
    def open_connections(self) -> int:
        """Count the connections that are open now."""
        return len(self._open)

    def wait_open(self, at_most: int, timeout: float) -> bool:
        """Wait until no more than that many connections are open; give whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._open) <= at_most, timeout)

    def close(self) -> None:
        """End every connection and thread; calling it again does nothing more."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
        _wake(self.port)
        self._acceptor.join(JOIN_SECONDS)
        self._listener.close()
        # Critical section: what is open now; a connection that is just ending has taken itself out.
        with self._changed:
            for sock in self._open.values():
                _shutdown(sock)
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._closing:
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accepted += 1
            number = self._accepted
            with self._changed:
                self._open[number] = sock
            name = f"local-provider-{self.port}-{number}"
            thread = threading.Thread(target=self._serve, args=(sock, number), name=name, daemon=True)
            self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        reader = sock.makefile("rb")
        try:
            while (request := _read_request(reader, sock, number)) is not None:
                reply = self._handle(request)
                if reply is None:
                    _await_leave(sock)
                    break
                if isinstance(reply, Switch):
                    sock.sendall(_lines(101, reply.headers))
                    reply.talk(sock, reader)
                    break
                if not _send(sock, reply) or request.headers.get("connection", "").lower() == "close":
                    break
        except (OSError, ValueError):
            pass  # the client left, or does not speak HTTP: nobody is there to be told
        finally:
            # Critical section: forget the socket before its descriptor can be another's.
            with self._changed:
                del self._open[number]
                self._changed.notify_all()
            reader.close()
            sock.close()


def _wake(port: int) -> None:
    with suppress(OSError):  # the accept loop may have ended already
        socket.create_connection(("127.0.0.1", port), JOIN_SECONDS).close()


def _await_leave(sock: socket.socket) -> None:
    sock.recv(1, socket.MSG_PEEK)  # returns when the client leaves, or close() shuts the socket down


def _shutdown(sock: socket.socket) -> None:
    with suppress(OSError):  # it may be gone already
        sock.shutdown(socket.SHUT_RDWR)


# --- reading ------------------------------------------------------------------------------------------------------------------


def _read_request(reader: BufferedReader, sock: socket.socket, connection: int) -> HttpRequest | None:
    """Read the next request, or give ``None`` at the end of the connection; raises ``ValueError`` for what is no HTTP."""
    line = _line(reader)
    if not line:
        return None
    method, target, _version = line.split(" ")
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = _line(reader)
        if not line:
            break
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("expect", "").lower() == "100-continue":
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join(iter(lambda: _chunk(reader), b""))
    else:
        body = _exactly(reader, int(headers.get("content-length", "0")))
    return HttpRequest(method, target, headers, body, connection)


def _line(reader: BufferedReader) -> str:
    line = reader.readline(MAX_LINE)
    if line and not line.endswith(b"\n"):
        raise ValueError("a line without an end")
    return line.rstrip(b"\r\n").decode("latin-1")


def _exactly(reader: BufferedReader, size: int) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise ValueError("a body without an end")
    return data


def _chunk(reader: BufferedReader) -> bytes:
    data = _exactly(reader, int(_line(reader).partition(";")[0], 16))
    while _line(reader):
        pass  # the end of the chunk, or the trailers
    return data


# --- writing ------------------------------------------------------------------------------------------------------------------


def _send(sock: socket.socket, reply: HttpReply) -> bool:
    """Send a reply; give whether the connection may take another request."""
    if isinstance(reply.body, bytes):
        whole = reply.ending == "end"
        body = reply.body if whole else reply.body[: len(reply.body) // 2]
        sock.sendall(_head(reply, f"content-length: {len(reply.body)}") + body)
    else:
        sock.sendall(_head(reply, "transfer-encoding: chunked"))
        for piece in reply.body:
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        if reply.ending == "end":
            sock.sendall(b"0\r\n\r\n")
    if reply.ending == "hang":
        _await_leave(sock)
    elif reply.ending == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
    return reply.ending == "end"


def _head(reply: HttpReply, framing: str) -> bytes:
    return _lines(reply.status, reply.headers, framing)


def _lines(status: int, headers: Mapping[str, str], *more: str) -> bytes:
    said = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([f"HTTP/1.1 {status} {_phrase(status)}", *more, *said, "", ""]).encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"  # 529 and its like
