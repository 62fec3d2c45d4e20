"""The scripted server does what its scripts say, records what it is asked, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading

import pytest

from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import (
    Step,
    dribble,
    expect,
    half_close,
    hang,
    repeat,
    reset,
    respond,
    send,
    signal,
    sse,
    stall,
    wait,
)
from omnillm.wire.sse import SseFrame

GET = b"GET /a?b HTTP/1.1\r\nX-Name: value\r\n\r\n"
POST = b"POST /c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


def connected(server: ScriptedServer) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def test_requests_are_recorded() -> None:
    """Method, path, headers, body and connection of each request, two in one packet or one in many."""
    with ScriptedServer([expect(), expect(), expect()]) as server, connected(server) as sock:
        sock.sendall(GET + POST[:10])
        for byte in POST[10:] + GET:
            sock.sendall(bytes([byte]))
        assert read_all(sock) == b""
        first, second, third = server.requests
        assert (first.method, first.path, first.headers, first.body) == ("GET", "/a?b", {"x-name": "value"}, b"")
        assert (second.method, second.path, second.body, second.connection) == ("POST", "/c", b"hello", 1)
        assert third.path == "/a?b"


@pytest.mark.parametrize("data", [b"GET /", POST[:-1]], ids=["in the head", "in the body"])
def test_a_client_that_leaves_ends_its_script(data: bytes) -> None:
    """A request that is not whole is none."""
    after = threading.Event()
    with ScriptedServer([expect(), signal(after)]) as server:
        with connected(server) as sock:
            sock.sendall(data)
        with connected(server) as sock:
            sock.sendall(GET)
            assert read_all(sock) == b""
        assert after.is_set()
        assert len(server.requests) == 1


EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"9\r\ndata: a\n\n\r\n12\r\nevent: e\ndata: b\n\n\r\n5\r\n: c\n\n\r\n0\r\n\r\n"
)
ANSWERS: list[tuple[Step, bytes]] = [
    (send(b"raw"), b"raw"),
    (respond(), b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"),
    (
        respond(529, {"Content-Type": "text/plain"}, b"busy"),
        b"HTTP/1.1 529 Unknown\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbusy",
    ),
    (sse("a", SseFrame("e", "b"), b": c\n\n"), EVENTS),
    (dribble(b"abc", 0.0), b"abc"),
    (half_close(), b""),
]


@pytest.mark.parametrize(("step", "data"), ANSWERS)
def test_what_a_step_sends(step: Step, data: bytes) -> None:
    """Each step sends its bytes, and the end of the script closes the connection."""
    with ScriptedServer([expect(), step]) as server, connected(server) as sock:
        sock.sendall(GET)
        assert read_all(sock) == data


def test_each_connection_plays_its_script_and_the_last_repeats() -> None:
    """The n-th connection plays the n-th script."""
    with ScriptedServer([send(b"1")], [send(b"2")]) as server:
        for data in (b"1", b"2", b"2"):
            with connected(server) as sock:
                assert read_all(sock) == data
        assert server.connections == 3


def test_a_script_waits_for_the_test_and_tells_it() -> None:
    """``wait`` holds a script until the test sets its event; ``signal`` sets one for the test."""
    go_on, there = threading.Event(), threading.Event()
    with ScriptedServer([signal(there), wait(go_on), send(b"x")]) as server, connected(server) as sock:
        assert there.wait(5)
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        go_on.set()
        sock.settimeout(5)
        assert read_all(sock) == b"x"


def test_reset_is_a_reset() -> None:
    """The client sees a broken connection, not an end."""
    with ScriptedServer([expect(), reset(), send(b"never")]) as server, connected(server) as sock:
        sock.sendall(GET)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_repeat_goes_on_until_the_client_leaves() -> None:
    """The same steps serve every request of a connection."""
    with ScriptedServer([repeat(expect(), send(b"x"))]) as server, connected(server) as sock:
        for _ in range(3):
            sock.sendall(GET)
            assert sock.recv(1) == b"x"
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
        assert len(server.requests) == 3


@pytest.mark.parametrize("step", [stall(), hang(), wait(threading.Event()), dribble(b"x" * 1000, 60), repeat(expect())])
def test_closing_ends_every_script(step: Step) -> None:
    """Whatever a script waits for, ``close`` ends it, its connection and its thread; a second time does nothing."""
    before = set(threading.enumerate())
    server = ScriptedServer([step])
    with connected(server) as sock:
        sock.sendall(b"x")
        server.close()
        server.close()
        assert set(threading.enumerate()) <= before


def test_a_reset_is_a_leave_too() -> None:
    """A client that leaves with bytes unread resets the connection; the script goes on behind ``stall``."""
    said, left = threading.Event(), threading.Event()
    with ScriptedServer([send(b"unread"), signal(said), stall(), signal(left)]) as server:
        with connected(server):
            assert said.wait(5)
        assert left.wait(5)


def test_no_script_is_an_end() -> None:
    """A server without scripts accepts and closes; its URLs name its port and scheme."""
    with ScriptedServer(scheme="https") as server, connected(server) as sock:
        assert read_all(sock) == b""
        assert (server.base_url, server.url) == (f"https://127.0.0.1:{server.port}", f"https://127.0.0.1:{server.port}/")
