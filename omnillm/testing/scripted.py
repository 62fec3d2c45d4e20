"""A server on loopback that does to each connection what a script says, byte by byte: for tests of what can go wrong.

    with ScriptedServer([expect(), send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\n1"), reset()]) as server:
        ...  # server.url; server.requests; server.connections

The n-th connection plays the n-th script, later ones the last. A script that has come to its end closes its connection, as
does a client that leaves. Steps are made by the functions of this module; any callable that takes a ``Peer`` is one.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Self

from .._dataclass import dataclass
from ..wire.sse import SseFrame, encode_sse

_LINGER_NOTHING = struct.pack("ii", 1, 0)  # close() sends RST
_GLANCE = 0.02  # seconds between looks at whether the server was closed
_JOIN = 5.0


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """Be a request as the server read it; header names are lower case, ``connection`` counts from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


class EndOfScript(Exception):  # noqa: N818  # it is no error
    """Raised by a step to leave the rest of its script out."""


class Peer:
    """Be the server's side of one connection, as steps see it."""

    def __init__(self, server: ScriptedServer, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self._read = b""

    def receive(self) -> bytes:
        """Give the bytes that come next, none where the client has left."""
        read, self._read = self._read, b""
        return read or self.sock.recv(65536)

    def receive_until(self, mark: bytes) -> bytes:
        """Give the bytes up to and with the mark; ends the script where the client leaves first."""
        read = b""
        while mark not in read:
            more = self.receive()
            if not more:
                raise EndOfScript
            read += more
        read, _, self._read = read.partition(mark)
        return read + mark

    def receive_exactly(self, count: int) -> bytes:
        """Give that many bytes; ends the script where the client leaves first."""
        read = b""
        while len(read) < count:
            more = self.receive()
            if not more:
                raise EndOfScript
            read += more
        self._read = read[count:] + self._read
        return read[:count]

    def pause(self, event: threading.Event | None = None, seconds: float | None = None) -> None:
        """Let the time pass, or the event happen; ends the script where the server is closed first."""
        stopped = self.server.stopped
        if event is None:
            if stopped.wait(seconds):
                raise EndOfScript
            return
        while not event.wait(_GLANCE):
            if stopped.is_set():
                raise EndOfScript


Step = Callable[[Peer], object]


# --- steps --------------------------------------------------------------------------------------------------------------------


def expect() -> Step:
    """Read a request and record it; ends the script where the client leaves instead."""

    def step(peer: Peer) -> None:
        head = peer.receive_until(b"\r\n\r\n").decode("latin-1")
        line, *fields = head.split("\r\n")[:-2]
        method, path, _ = line.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body = peer.receive_exactly(int(headers.get("content-length", 0)))
        peer.server.requests.append(ScriptedRequest(method, path, headers, body, peer.number))

    return step


def send(data: bytes) -> Step:
    """Send bytes."""
    return lambda peer: peer.sock.sendall(data)


def respond(status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Step:
    """Send a whole answer, with its length."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    return send(_head(status, fields) + body)


def sse(*frames: SseFrame | bytes | str) -> Step:
    """Send a whole event stream in chunks, one for each frame; a ``str`` is the data of one, ``bytes`` go as they are."""

    def chunk(frame: SseFrame | bytes | str) -> bytes:
        data = frame if isinstance(frame, bytes) else encode_sse(SseFrame(None, frame) if isinstance(frame, str) else frame)
        return b"%x\r\n%b\r\n" % (len(data), data)

    head = _head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    return send(head + b"".join(map(chunk, frames)) + b"0\r\n\r\n")


def dribble(data: bytes, interval: float) -> Step:
    """Send bytes one at a time, that many seconds apart."""

    def step(peer: Peer) -> None:
        for byte in data:
            peer.sock.sendall(bytes([byte]))
            peer.pause(seconds=interval)

    return step


def wait(event: threading.Event) -> Step:
    """Wait until the test sets the event."""
    return lambda peer: peer.pause(event)


def signal(event: threading.Event) -> Step:
    """Set an event, for the test to wait for."""
    return lambda _: event.set()


def stall() -> Step:
    """Do nothing until the client leaves or the server is closed."""

    def step(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):  # a client that leaves bytes unread leaves by a reset
            while peer.receive():
                pass

    return step


def hang() -> Step:
    """Do not even read, until the server is closed."""
    return lambda peer: peer.pause()


def half_close() -> Step:
    """Send FIN, and go on reading."""
    return lambda peer: peer.sock.shutdown(socket.SHUT_WR)


def reset() -> Step:
    """Break the connection with RST."""

    def step(peer: Peer) -> None:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        raise EndOfScript

    return step


def tls(context: ssl.SSLContext) -> Step:
    """Go over to TLS, with the certificate of a context that the test made."""

    def step(peer: Peer) -> None:
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        peer.server._replace(peer.number, peer.sock)

    return step


def repeat(*steps: Step) -> Step:
    """Play the steps again and again, until the client leaves."""

    def step(peer: Peer) -> None:
        while True:
            for each in steps:
                each(peer)

    return step


# --- the server -----------------------------------------------------------------------------------------------------------------


class ScriptedServer:
    """Listen on loopback and play a script to each connection; to be closed, or used as a context manager."""

    def __init__(self, *scripts: Sequence[Step], scheme: str = "http") -> None:
        self._scripts: list[Sequence[Step]] = list(scripts) or [[]]
        self._scheme = scheme
        self.requests: list[ScriptedRequest] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="omnillm-scripted", daemon=True)
        self._acceptor.start()

    @property
    def base_url(self) -> str:
        """Give the URL without a path."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Give the URL of the root."""
        return f"{self.base_url}/"

    def close(self) -> None:
        """End every script and connection, and the threads that played them."""
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        self._acceptor.join(_JOIN)
        # Critical section: take what is open; a connection that is just ending has taken itself out.
        with self._lock:
            for sock in self._open.values():
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's: the script's thread may be within it
        for thread in self._threads:
            thread.join(_JOIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            number = self.connections
            self._replace(number, sock)
            thread = threading.Thread(target=self._play, args=(sock, number), name=f"omnillm-scripted-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, sock: socket.socket, number: int) -> None:
        peer = Peer(self, sock, number)
        try:
            for step in self._scripts[min(number, len(self._scripts)) - 1]:
                step(peer)
        except (EndOfScript, OSError):
            pass  # the client left, or the script says so
        finally:
            # Critical section: forget the socket before its descriptor can be another's.
            with self._lock:
                self._open.pop(number, None)
            peer.sock.close()

    def _replace(self, number: int, sock: socket.socket) -> None:
        # Critical section: what close() shuts down is what the script uses now.
        with self._lock:
            self._open[number] = sock


def _head(status: int, fields: Mapping[str, str]) -> bytes:
    reason = HTTPStatus(status).phrase if status in _STATUSES else "Unknown"
    lines: Iterable[str] = (f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {reason}\r\n{''.join(lines)}\r\n".encode("latin-1")


_STATUSES = frozenset(status.value for status in HTTPStatus)
