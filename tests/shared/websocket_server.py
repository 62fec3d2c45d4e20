"""A server of WebSockets for tests: what a handshake is answered with, and what is said then, are functions."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any

from omnillm.testing._http import HttpReply, HttpRequest, HttpServer, Switch
from omnillm.testing._websocket import Peer, accepting

Talk = Callable[[Peer], None]


@dataclass(slots=True)
class Served:
    """Hold what a server saw."""

    base_url: str
    requests: list[HttpRequest] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    codes: list[int | None] = field(default_factory=list)


@contextmanager
def serving(talk: Talk, answer: Callable[[HttpRequest], HttpReply | Switch | None] | None = None) -> Iterator[Served]:
    """Serve on loopback; ``answer`` may answer a handshake otherwise than with 101."""

    def handle(request: HttpRequest) -> HttpReply | Switch | None:
        served.requests.append(request)
        if answer is not None:
            return answer(request)
        return Switch(accepting(request.headers) or {}, speak)

    def speak(sock: socket.socket, reader: BufferedReader) -> None:
        peer = Peer(sock, reader)
        try:
            talk(peer)
        finally:
            served.codes.append(peer.close_code)
            served.left.set()

    server = HttpServer(handle)
    served = Served(f"http://127.0.0.1:{server.port}")
    try:
        yield served
    finally:
        server.close()


def echo(peer: Peer) -> None:
    """Say everything back."""
    for message in peer:
        peer.send(message)


@contextmanager
def forwarding(port: int, context: ssl.SSLContext | None = None, *, connect: list[bytes] | None = None) -> Iterator[int]:
    """Forward connections to a port of this machine, by TLS where there is a context; gives the port to connect to.

    With ``connect`` it is a proxy: the heads of the requests for a tunnel are put there, and whatever they name is that port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                outer, _ = listener.accept()
                outer = outer if context is None else context.wrap_socket(outer, server_side=True)
            except OSError:
                return
            inner = socket.create_connection(("127.0.0.1", port))
            ends.extend((outer, inner))
            if connect is not None:
                connect.append(outer.recv(1 << 16))
                outer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for one, other in ((outer, inner), (inner, outer)):
                threads.append(threading.Thread(target=_pump, args=(one, other), daemon=True))
                threads[-1].start()

    threads = [threading.Thread(target=accept, daemon=True)]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        for end in ends:
            end.close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
