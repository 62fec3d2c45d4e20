"""An exchange that is watched: told of a late first byte in every phase, once, by who waits; and ended from outside."""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from omnillm.errors import CallCancelledError, ConnectError, DeadlineExceededError, GatewayError, TlsError
from omnillm.testing.scripted import Peer, ScriptedServer, Step, expect, hang, respond, stall, tls, wait
from omnillm.testing.scripted import send as send_bytes
from omnillm.transport import HttpResponse, Watch

Send = Callable[..., HttpResponse]
Context = Callable[[str], ssl.SSLContext]
SHORT, AFTER = 0.3, 0.05


class Told:
    """What a watch was told, and by which thread."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.at: list[float] = []
        self.threads: list[threading.Thread] = []
        self._then = then
        self.began = time.monotonic()
        self.watch = Watch(self.began + AFTER, self._late)

    def _late(self) -> None:
        self.at.append(time.monotonic() - self.began)
        self.threads.append(threading.current_thread())
        self._then()

    def once(self) -> bool:
        return len(self.at) == 1 and AFTER <= self.at[0] < SHORT and self.threads == [threading.current_thread()]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_headers_that_are_late(send: Send, server_context: Context, scheme: str) -> None:
    """Where the request is out and no byte comes back, the watch is told in time, and the answer is read all the same."""
    go = threading.Event()
    secure = [tls(server_context("loopback"))] if scheme == "https" else []
    with ScriptedServer([*secure, expect(), wait(go), respond(body=b"late")], scheme=scheme) as server:
        told = Told(go.set)
        assert send(server.url, watch=told.watch).read() == b"late"
        assert told.once()


def test_a_connection_that_is_late(send: Send, tarpit: str) -> None:
    """A peer that does not even answer the first packet is late too; the connect timeout stays what it was."""
    told = Told()
    with pytest.raises(ConnectError, match=r"within 0\.3 s") as caught:
        send(tarpit, connect=SHORT, watch=told.watch)
    assert told.once()
    assert (caught.value.sent, told.watch.sent) == ("no", "no")


def test_a_connection_that_is_late_for_its_deadline(send: Send, tarpit: str) -> None:
    """The deadline of the call, too."""
    with pytest.raises(DeadlineExceededError) as caught:
        send(tarpit, total=SHORT, watch=Told().watch)
    assert caught.value.phase == "connect"


def test_a_connection_that_is_refused(send: Send) -> None:
    """What refuses a connection is told as it is without a watch."""
    with ScriptedServer([]) as server:
        url = server.url
    with pytest.raises(ConnectError, match="refused"):
        send(url, watch=Told().watch)


@pytest.mark.parametrize(("limit", "error"), [({"connect": SHORT}, TlsError), ({"total": SHORT}, DeadlineExceededError)])
def test_a_handshake_that_is_late(send: Send, limit: dict[str, float], error: type[GatewayError]) -> None:
    """A peer that accepts and keeps silent is late; the time of the handshake stays what it was."""
    told = Told()
    with ScriptedServer([stall()], scheme="https") as server, pytest.raises(error) as caught:
        send(server.url, watch=told.watch, **limit)
    assert told.once()
    assert caught.value.sent == "no"


def test_a_handshake_that_comes_in_pieces(send: Send, server_context: Context) -> None:
    """A handshake that is interrupted to tell of the lateness is taken up again."""
    go = threading.Event()
    with ScriptedServer([wait(go), tls(server_context("loopback")), expect(), respond(body=b"1")], scheme="https") as server:
        told = Told(go.set)
        assert send(server.url, watch=told.watch).read() == b"1"
        assert told.once()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_upload_that_is_late(send: Send, server_context: Context, scheme: str) -> None:
    """A peer that does not read what it is sent is late; once it reads, every byte arrives once and in order."""
    body = bytes(range(256)) * 40_000
    go, read = threading.Event(), []

    def take(peer: Peer) -> None:
        peer.receive_until(b"\r\n\r\n")
        read.append(peer.receive_exactly(len(body)))

    secure = [tls(server_context("loopback"))] if scheme == "https" else []
    with ScriptedServer([*secure, wait(go), take, respond(body=b"1")], scheme=scheme) as server:
        told = Told(go.set)
        assert send(server.url, body=body, watch=told.watch).read() == b"1"
        assert told.once()
    assert read == [body]


def test_a_body_is_never_late(send: Send) -> None:
    """After the first byte nothing is late."""
    told, go = Told(), threading.Event()
    timer = threading.Timer(2 * AFTER, go.set)
    with ScriptedServer(
        [expect(), send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1"), wait(go), send_bytes(b"2")]
    ) as server:
        timer.start()
        assert send(server.url, watch=told.watch).read() == b"12"
        timer.join()
    assert told.at == []


PLACES: dict[str, list[Step]] = {"headers": [expect(), stall()], "upload": [hang()]}


@pytest.mark.parametrize("place", ["connect", "handshake", "headers", "upload"])
def test_it_is_ended_wherever_it_is(send: Send, tarpit: str, place: str) -> None:
    """``abort`` ends the exchange in every phase, at once; it may come from the very call that tells of the lateness."""
    told = Told()
    told._then = told.watch.abort
    body = b"x" * (10 << 20) if place == "upload" else b"{}"
    scheme = "https" if place == "handshake" else "http"
    with ScriptedServer(PLACES.get(place, [stall()]), scheme=scheme) as server:
        with pytest.raises(CallCancelledError) as caught:
            send(tarpit if place == "connect" else server.url, body=body, watch=told.watch, connect=5.0)
        assert time.monotonic() - told.began < 1
    assert told.once()
    assert caught.value.sent == ("no" if place in ("connect", "handshake") else "maybe")


def test_what_was_ended_before_it_began(send: Send) -> None:
    """An exchange whose watch was ended first sends nothing."""
    watch = Watch()
    watch.abort()
    with ScriptedServer([expect(), respond()]) as server:
        with pytest.raises(CallCancelledError) as caught:
            send(server.url, watch=watch)
        assert (caught.value.sent, server.requests) == ("no", [])


def test_what_it_raises_comes_out(send: Send) -> None:
    """What is raised while the lateness is told ends the exchange, and comes out as it is."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with ScriptedServer([expect(), stall()]) as server, pytest.raises(KeyboardInterrupt):
        send(server.url, watch=Told(interrupt).watch)


def test_a_watch_that_nobody_needs() -> None:
    """Before it begins nothing was sent; without a time it is never late."""
    watch = Watch()
    assert (watch.sent, watch.until_late(0.0)) == ("no", math.inf)
