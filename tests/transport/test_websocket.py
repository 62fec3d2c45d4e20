"""WebSockets over real sockets: messages both ways, and every way in which a connection may end."""

from __future__ import annotations

import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import own_process
import pytest
from websocket_server import Peer, Served, echo, forwarding, serving

from omnillm import CancellationToken
from omnillm._clock import SYSTEM_CLOCK, Deadline
from omnillm.errors import (
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    MalformedResponseError,
)
from omnillm.testing._http import Switch
from omnillm.testing._websocket import accepting
from omnillm.transport import HttpRequest, HttpTransport
from omnillm.transport.websocket import Handshake, WebSocketConnection

CERTS = Path(__file__).parent / "certs"
Connect = Callable[..., WebSocketConnection]


def within(seconds: float) -> Deadline:
    return Deadline.after(seconds, SYSTEM_CLOCK)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make connections that are closed in the end."""
    with ExitStack() as stack:

        def connect(
            served: Served | str,
            *,
            transport: HttpTransport | None = None,
            cancel: CancellationToken | None = None,
            **options: Any,
        ) -> WebSocketConnection:
            own = stack.enter_context(_open(HttpTransport())) if transport is None else transport
            url = f"{served}/x" if isinstance(served, str) else f"{served.base_url}/x"
            handshake = Handshake()
            http = own.send(
                HttpRequest("GET", url, {"Authorization": "Bearer k"}),
                deadline=within(30),
                connect=5,
                first_byte=5,
                stream=True,
                cancel=cancel,
                upgrade=handshake.headers,
            )
            made = WebSocketConnection(http, handshake, **{"stall": 5, **options})
            stack.callback(made.close)
            return made

        yield connect


@contextmanager
def _open(transport: HttpTransport) -> Iterator[HttpTransport]:
    try:
        yield transport
    finally:
        transport.close()


# --- messages -----------------------------------------------------------------------------------------------------------------

MESSAGES = ["hello", "", "ünïcode 🦊", b"\0\1\2", b"", "x" * 200, "y" * 70_000, bytes(300_000)]


def test_messages_go_both_ways(connect: Connect) -> None:
    """Texts and bytes of every length that a frame writes otherwise, as they are; the handshake shows the key in its header."""
    with serving(echo) as served:
        connection = connect(served)
        for message in MESSAGES:
            connection.send(message)
            assert connection.receive(within(5)) == message
        connection.close()
        assert served.left.wait(5)
    (request,) = served.requests
    assert (request.method, request.target, request.headers["authorization"]) == ("GET", "/x", "Bearer k")
    assert request.headers["connection"] == "Upgrade"
    assert served.codes == [1000]


def test_what_comes_with_the_handshake_is_not_lost(connect: Connect) -> None:
    """A server may speak first, in the same breath."""

    def talk(peer: Peer) -> None:
        for n in range(3):
            peer.send(f"first {n}")
        echo(peer)

    with serving(talk) as served:
        connection = connect(served)
        assert [connection.receive(within(5)) for _ in range(3)] == ["first 0", "first 1", "first 2"]


def frame(first: int, payload: bytes) -> bytes:
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([first]) + length + payload


def raw(*frames: bytes) -> Callable[[Peer], None]:
    """Send bytes as they are, then hear the client out."""

    def talk(peer: Peer) -> None:
        for data in frames:
            peer._sock.sendall(data)
        for message in peer:
            peer.send(message)

    return talk


def test_a_message_in_pieces_is_one(connect: Connect) -> None:
    """However many, with a ping in between, which is answered; a letter may be cut in two."""
    text = "ü" * 50
    pieces = [text.encode()[n : n + 1] for n in range(100)]
    frames = [frame(0x01, pieces[0]), frame(0x89, b"are you there")]
    frames += [frame(0x00, piece) for piece in pieces[1:-1]] + [frame(0x80, pieces[-1])]
    with serving(raw(*frames)) as served:
        connection = connect(served)
        assert connection.receive(within(5)) == text
        connection.send("still here")
        assert connection.receive(within(5)) == "still here"


def test_many_threads_may_send_while_one_receives(connect: Connect, server_context: Callable[[str], ssl.SSLContext]) -> None:
    """By TLS, too: no message is torn, none is lost."""
    wanted = {f"{thread} {n} {'z' * 3000}" for thread in range(4) for n in range(50)}
    with serving(echo) as served, forwarding(_port(served), server_context("loopback")) as port:
        transport = HttpTransport(ca_bundle=CERTS / "ca.pem")
        with _open(transport):
            connection = connect(f"https://127.0.0.1:{port}", transport=transport)
            threads = [
                threading.Thread(target=lambda t=thread: [connection.send(f"{t} {n} {'z' * 3000}") for n in range(50)])
                for thread in range(4)
            ]
            for thread in threads:
                thread.start()
            assert {connection.receive(within(10)) for _ in wanted} == wanted
            for thread in threads:
                thread.join()
            connection.close()


def _port(served: Served) -> int:
    return int(served.base_url.rpartition(":")[2])


def test_a_proxy_gives_a_tunnel(connect: Connect, server_context: Callable[[str], ssl.SSLContext]) -> None:
    """The proxy sees the host, and its own credentials; neither the key nor a word that is said."""
    asked: list[bytes] = []
    with (
        serving(echo) as served,
        forwarding(_port(served), server_context("loopback")) as inner,
        forwarding(inner, connect=asked) as port,
    ):
        proxy = f"http://me:secret@127.0.0.1:{port}"
        transport = HttpTransport(ca_bundle=CERTS / "ca.pem", proxies={"https": proxy}, allow_http=True)
        with _open(transport):
            connection = connect(f"https://127.0.0.1:{inner}", transport=transport)
            connection.send("hello")
            assert connection.receive(within(5)) == "hello"
            connection.close()
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{inner} ".encode())
    assert b"Bearer k" not in asked[0]


# --- ends ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going away"), (1008, "no such key"), (1011, "ünwell"), (4401, "x")]
)
def test_a_close_of_the_peer_is_told(connect: Connect, code: int, reason: str) -> None:
    """With its code and its reason, once what was said before was heard; nothing can be said after it."""

    def talk(peer: Peer) -> None:
        peer.send("before")
        peer.close(code, reason)

    with serving(talk) as served:
        connection = connect(served)
        assert [connection.receive(within(5)) for _ in range(3)] == ["before", None, None]
        assert (connection.close_code, connection.close_reason) == (code, reason)
        with pytest.raises(ClosedError):
            connection.send("after")


@pytest.mark.parametrize(
    ("talk", "kind", "said"),
    [
        (lambda peer: peer.cut(), ConnectionLostError, "closed the connection"),
        (lambda peer: peer.cut(reset=True), ConnectionLostError, "closed the connection"),
        (raw(frame(0xC1, b"x")), MalformedResponseError, "no WebSocket message"),
        (raw(frame(0x83, b"x")), MalformedResponseError, "no WebSocket message"),
        (raw(frame(0x80, b"x")), MalformedResponseError, "no WebSocket message"),
        (raw(frame(0x81, b"\xff\xfe")), MalformedResponseError, "no WebSocket message"),
        (raw(frame(0x88, b"\x03")), MalformedResponseError, "no WebSocket message"),
        (raw(b"\x81\x7f" + (1 << 40).to_bytes(8, "big")), MalformedResponseError, "at most 1000 are held"),
        (raw(frame(0x01, bytes(600)), frame(0x80, bytes(600))), MalformedResponseError, "at most 1000 are held"),
    ],
    ids=["cut", "reset", "reserved bit", "opcode", "a lone piece", "UTF-8", "half a code", "huge", "huge in pieces"],
)
def test_what_goes_wrong_ends_it(connect: Connect, talk: Callable[[Peer], None], kind: type[GatewayError], said: str) -> None:
    """With the error that fits, which has no cause: the library quotes what it received."""
    with serving(talk) as served:
        connection = connect(served, max_message=1000)
        with pytest.raises(kind, match=said) as caught:
            connection.receive(within(5))
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        with pytest.raises(GatewayError):
            connection.send("after")
        connection.close()
        assert served.left.wait(5)


def test_a_message_that_is_too_long_is_told_the_peer(connect: Connect) -> None:
    """By its code."""
    with serving(raw(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))) as served:
        with pytest.raises(MalformedResponseError):
            connect(served).receive(within(5))
        assert served.left.wait(5)
    assert served.codes == [1009]


def flood(peer: Peer) -> None:
    try:
        while True:
            peer.ping(b"x")
    except OSError:
        pass


@pytest.mark.parametrize("talk", [lambda peer: peer.hang(), flood], ids=["silence", "pings"])
def test_silence_is_waited_for_no_longer_than_asked(connect: Connect, talk: Callable[[Peer], None]) -> None:
    """Pings are none of what is waited for."""
    with serving(talk) as served:
        with pytest.raises(DeadlineExceededError) as caught:
            connect(served).receive(within(0.2))
        assert caught.value.phase == "idle"


def test_a_peer_that_does_not_listen_is_not_waited_for(connect: Connect) -> None:
    """Whoever sends waits for room for a while only."""
    done = threading.Event()
    with serving(lambda peer: done.wait(10)) as served:
        connection = connect(served, stall=0.2)
        with pytest.raises(DeadlineExceededError):
            for _ in range(1000):
                connection.send(bytes(1 << 20))
        done.set()


@pytest.mark.parametrize("how", ["abort", "token", "transport", "close"])
def test_another_thread_ends_it(connect: Connect, how: str) -> None:
    """At once, whoever waits; the peer sees it."""
    token, transport = CancellationToken(), HttpTransport()
    with serving(lambda peer: peer.hang()) as served, _open(transport):
        connection = connect(served, cancel=token, transport=transport)
        end = {"abort": connection.abort, "token": token.cancel, "transport": transport.abort, "close": connection.close}[how]
        timer = threading.Timer(0.1, end)
        timer.start()
        with pytest.raises(CallCancelledError):
            connection.receive(within(20))
        timer.join()
        with pytest.raises(CallCancelledError):
            connection.send("after")
        assert served.left.wait(5)


def test_closing_does_not_wait_for_a_peer_without_manners(connect: Connect) -> None:
    """Longer than a moment; closing again does nothing."""
    with serving(lambda peer: peer.hang()) as served:
        connection = connect(served)
        connection.close()
        connection.close()
        with pytest.raises(ClosedError):
            connection.send("after")
        with pytest.raises(ClosedError):
            connection.receive(within(1))
        assert served.left.wait(5)


# --- handshakes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [{"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, {"upgrade": "h2c"}])
def test_a_handshake_that_was_not_answered_is_none(connect: Connect, changed: dict[str, str]) -> None:
    """It is held against the key that was sent."""
    with (
        serving(echo, lambda request: Switch({**(accepting(request.headers) or {}), **changed}, lambda *_: None)) as served,
        pytest.raises(MalformedResponseError, match="not asked for"),
    ):
        connect(served)


def test_without_the_library_it_is_said_what_to_install(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its extra."""
    monkeypatch.setitem(sys.modules, "websocket", None)
    with serving(echo) as served, pytest.raises(ConfigurationError, match=r"pip install 'omnillm\[realtime\]'"):
        connect(served)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_leaves_its_parents_connection_alone() -> None:
    """It can neither speak nor hear, and closing it there does not end it here."""
    out = own_process.run(
        f"""
        sys.path.insert(0, {str(Path(__file__).parents[1] / "shared")!r})
        from websocket_server import echo, serving
        from omnillm._clock import SYSTEM_CLOCK, Deadline
        from omnillm.transport import HttpRequest, HttpTransport
        from omnillm.transport.websocket import Handshake, WebSocketConnection

        def soon():
            return Deadline.after(5, SYSTEM_CLOCK)

        with serving(echo) as served:
            transport, handshake = HttpTransport(), Handshake()
            request = HttpRequest("GET", served.base_url + "/x", {{}})
            http = transport.send(
                request, deadline=soon(), connect=5, first_byte=5, stream=True, upgrade=handshake.headers
            )
            connection = WebSocketConnection(http, handshake, stall=5)

            def child():
                for step in (lambda: connection.send("x"), lambda: connection.receive(soon())):
                    try:
                        step()
                    except ClosedError as error:
                        assert "another process" in str(error)
                    else:
                        raise AssertionError("it went on")
                connection.close()

            in_child(child)
            connection.send("hello")
            print(connection.receive(soon()))
            connection.close()
            transport.close()
        """
    )
    assert out.strip() == "hello"
