"""The loopback HTTP server under the local provider."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from omnillm.testing._http import HttpReply, HttpRequest, HttpServer

GREETING = b"0123456789"


class Echo:
    """Reply by path, and keep what was asked."""

    def __init__(self) -> None:
        self.seen: list[HttpRequest] = []
        self.asked = threading.Event()
        self.server = HttpServer(self.reply)

    def reply(self, request: HttpRequest) -> HttpReply | None:
        self.seen.append(request)
        self.asked.set()
        name = request.target.removeprefix("/")
        if name == "silence":
            return None
        if name == "broken":
            raise OSError("gone")
        if name.startswith("chunks"):
            ending = name.removeprefix("chunks-")
            return HttpReply(200, {}, iter([b"one", b"two"]), "end" if name == "chunks" else ending)  # type: ignore[arg-type]  # by the tests
        if name in ("cut", "reset", "hang"):
            return HttpReply(200, {}, GREETING, name)  # type: ignore[arg-type]  # one of the three
        status = int(name) if name.isdigit() else 200
        return HttpReply(status, {"content-type": "text/plain"}, request.body or GREETING)


@pytest.fixture
def echo() -> Iterator[Echo]:
    before = threading.active_count()
    it = Echo()
    yield it
    it.server.close()
    assert threading.active_count() == before
    assert it.server.open_connections == 0


def dial(echo: Echo) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", echo.server.port, timeout=10)


def raw(echo: Echo, data: bytes) -> bytes:
    """Send bytes and give everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", echo.server.port), 10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_connection_is_kept_alive(echo: Echo) -> None:
    """Many requests are served over one connection, in order, and counted as one connection."""
    with closing(dial(echo)) as connection:
        for text in (b"first", b"second", b""):
            connection.request("POST", "/", text)
            assert connection.getresponse().read() == (text or GREETING)
    assert echo.server.connections == 1
    assert [request.connection for request in echo.seen] == [1, 1, 1]
    assert echo.server.wait_open(0, 5)


@pytest.mark.parametrize(("status", "phrase"), [(200, "OK"), (429, "Too Many Requests"), (529, "Unknown")])
def test_status_line(echo: Echo, status: int, phrase: str) -> None:
    """A status is sent with its phrase, one that HTTP does not know too."""
    with closing(dial(echo)) as connection:
        connection.request("GET", f"/{status}")
        response = connection.getresponse()
        assert (response.status, response.reason, response.read()) == (status, phrase, GREETING)


def test_chunks(echo: Echo) -> None:
    """An iterable is sent in chunks, and the connection serves on."""
    with closing(dial(echo)) as connection:
        for _ in range(2):
            connection.request("GET", "/chunks")
            response = connection.getresponse()
            assert response.getheader("transfer-encoding") == "chunked"
            assert response.read() == b"onetwo"
    assert echo.server.connections == 1


def test_chunked_request(echo: Echo) -> None:
    """A request body in chunks, with extensions and trailers, is read whole."""
    answer = raw(
        echo,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
    )
    assert answer.endswith(b"\r\n\r\nabcde")


def test_expect_continue(echo: Echo) -> None:
    """Who waits to be asked for the body is asked."""
    answer = raw(echo, b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_headers_are_lower_case_and_joined(echo: Echo) -> None:
    """Header names are lower case, and a header sent twice has both values."""
    raw(echo, b"GET / HTTP/1.1\r\nX-One: 1\r\nx-one:  2 \r\n\r\n")
    assert echo.seen[0].headers == {"x-one": "1, 2"}


def test_connection_close_is_honoured(echo: Echo) -> None:
    """A client that says close is answered once and left."""
    answer = raw(echo, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1",
        b"",
    ],
)
def test_what_is_no_http_is_left(echo: Echo, data: bytes) -> None:
    """Bytes that are no whole request end the connection without an answer, and the server serves on."""
    assert raw(echo, data) == b""
    assert raw(echo, b"GET / HTTP/1.1\r\n\r\n").endswith(GREETING)


@pytest.mark.parametrize("path", ["/cut", "/chunks-cut"])
def test_cut_ends_in_mid_body(echo: Echo, path: str) -> None:
    """A cut reply ends before its body does."""
    with closing(dial(echo)) as connection:
        connection.request("GET", path)
        with pytest.raises(http.client.IncompleteRead) as caught:
            connection.getresponse().read()
    assert caught.value.partial == (GREETING[:5] if path == "/cut" else b"onetwo")


@pytest.mark.parametrize("path", ["/reset", "/chunks-reset"])
def test_reset_is_a_reset(echo: Echo, path: str) -> None:
    """A reset reply ends with a connection reset."""
    with closing(dial(echo)) as connection, pytest.raises(ConnectionResetError):
        connection.request("GET", path)
        connection.getresponse().read()


@pytest.mark.parametrize("path", ["/silence", "/hang", "/chunks-hang"])
def test_silence_ends_when_the_client_leaves(echo: Echo, path: str) -> None:
    """A connection that the server keeps silent is given up as soon as the client leaves."""
    with socket.create_connection(("127.0.0.1", echo.server.port), 10) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        assert echo.asked.wait(10)
        if path != "/silence":
            assert sock.recv(12) == b"HTTP/1.1 200"
        assert not echo.server.wait_open(0, 0.05)
    assert echo.server.wait_open(0, 5)


def test_close_wakes_everybody() -> None:
    """Closing ends idle and silent connections and every thread, and is idempotent."""
    echo = Echo()
    with socket.create_connection(("127.0.0.1", echo.server.port), 10) as idle, closing(dial(echo)) as silent:
        silent.request("GET", "/hang")
        silent.sock.recv(12)  # the handler is at it
        echo.server.close()
        echo.server.close()
        assert idle.recv(1) == b""
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("local-provider")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", echo.server.port), 10)


def test_connection_dies_alone(echo: Echo) -> None:
    """A connection that fails under the handler ends; the next one is served."""
    assert raw(echo, b"GET /broken HTTP/1.1\r\n\r\n") == b""
    assert raw(echo, b"GET / HTTP/1.1\r\n\r\n").endswith(GREETING)
