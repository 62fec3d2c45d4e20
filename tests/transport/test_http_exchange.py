"""An exchange that goes well: what is sent, what is given back, and what of the environment has no say."""

from __future__ import annotations

import gzip
import math
import threading
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import responses

from omnillm._clock import Deadline
from omnillm.errors import (
    ClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    MalformedResponseError,
    TlsError,
)
from omnillm.testing.scripted import (
    Peer,
    ScriptedServer,
    dribble,
    expect,
    half_close,
    repeat,
    respond,
    signal,
    sse,
    stall,
    wait,
)
from omnillm.testing.scripted import send as send_bytes
from omnillm.transport import HttpRequest, HttpResponse, HttpTransport, Timeouts

Send = Callable[..., HttpResponse]


def test_a_request_arrives_as_it_was_given(send: Send) -> None:
    """Method, target with its query, headers and body are those of the request; host and length are right."""
    with ScriptedServer([expect(), respond()]) as server:
        send(server.base_url + "/v1/x?a=b%20c", headers={"x-api-key": "k", "Content-Type": "application/json"}, body=b'{"a":1}')
        (request,) = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/v1/x?a=b%20c", b'{"a":1}')
        assert request.headers == {
            "x-api-key": "k",
            "content-type": "application/json",
            "host": f"127.0.0.1:{server.port}",
            "accept-encoding": "gzip, deflate",
            "content-length": "7",
        }


def test_an_answer_is_given_as_it_came(send: Send) -> None:
    """Status, headers in any case, repeated ones joined, and body."""
    with ScriptedServer([expect(), send_bytes(b"HTTP/1.1 429 \r\nX-A: 1\r\nx-a:2 \r\nContent-Length: 2, 2\r\n\r\nno")]) as server:
        answer = send(server.url)
        assert (answer.status, answer.headers["X-a"], answer.headers.get("none"), answer.read()) == (429, "1, 2", None, b"no")
        assert answer.read() == b""
        assert repr(answer) == f"<HttpResponse 429 of 127.0.0.1:{server.port}>"


def test_the_callers_framing_headers_do_not_count(send: Send) -> None:
    """A length, a coding or a connection header of the caller's is not sent beside ours."""
    given = {"content-length": "999", "Transfer-encoding": "chunked", "CONNECTION": "close", "host": "other"}
    with ScriptedServer([expect(), respond()]) as server:
        send(server.url, headers=given, body=b"12")
        headers = server.requests[0].headers
        assert headers["content-length"] == "2"
        assert headers["host"] == "other"
        assert not {"transfer-encoding", "connection"} & headers.keys()


@pytest.mark.parametrize(("method", "body", "length"), [("GET", None, None), ("POST", None, "0"), ("DELETE", b"x", "1")])
def test_length_goes_with_a_body(send: Send, method: str, body: bytes | None, length: str | None) -> None:
    """A length is sent with a body and with the methods that are expected to have one."""
    with ScriptedServer([expect(), respond()]) as server:
        send(server.url, method=method, body=body)
        assert server.requests[0].headers.get("content-length") == length


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "ключ"])
def test_no_header_can_be_forged(send: Send, value: str) -> None:
    """A header value with a line end is refused before anything is opened, and not quoted."""
    with ScriptedServer([]) as server:
        with pytest.raises(ConfigurationError) as caught:
            send(server.url, headers={"Authorization": value})
        assert value not in str(caught.value)
        assert caught.value.__context__ is None
        assert server.connections == 0


BODIES: list[tuple[str, bytes]] = [
    ("length", b"Content-Length: 5\r\n\r\nhello"),
    ("chunked", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n"),
    ("closed", b"\r\nhello"),
    ("closed by name", b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
    ("both framings", b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("gzip", b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello")),
    ("deflate", b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello")),
]


@pytest.mark.parametrize("rest", [row[1] for row in BODIES], ids=[row[0] for row in BODIES])
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("stream", [True, False], ids=["chunks", "read"])
def test_every_framing_gives_the_body(send: Send, rest: bytes, whole: bool, stream: bool) -> None:
    """However the body is framed and cut, it is given whole, to a reader of the whole and of the parts."""
    data = b"HTTP/1.1 200 OK\r\n" + rest
    with ScriptedServer([expect(), send_bytes(data) if whole else dribble(data, 0.0), half_close(), stall()]) as server:
        answer = send(server.url, stream=stream)
        assert (b"".join(answer.chunks()) if stream else answer.read()) == b"hello"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_a_body_has_none(send: Send, method: str, status: int) -> None:
    """A length that speaks of a body which does not come is not waited for, and the connection is kept."""
    head = f"HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n".encode()
    with ScriptedServer([repeat(expect(), send_bytes(head))]) as server:
        for _ in range(2):
            assert send(server.url, method=method, body=None).read() == b""
        assert server.connections == 1


def test_chunks_are_given_when_they_arrive(send: Send) -> None:
    """A part of a stream is in the reader's hands while the server holds back the next."""
    more = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    script = [expect(), send_bytes(head + b"3\r\none\r\n"), wait(more), send_bytes(b"3\r\ntwo\r\n0\r\n\r\n")]
    with ScriptedServer(script) as server:
        chunks = send(server.url, stream=True).chunks()
        assert next(chunks) == b"one"
        more.set()
        assert list(chunks) == [b"two"]
        assert server.requests[0].headers["accept-encoding"] == "identity"


def test_parts_of_a_compressed_stream_are_given_when_they_arrive(send: Send) -> None:
    """An upstream that compresses although it was asked not to, and flushes, does not delay its events."""
    more, packer = threading.Event(), zlib.compressobj(9, zlib.DEFLATED, 31)
    one = packer.compress(b"one") + packer.flush(zlib.Z_SYNC_FLUSH)
    two = packer.compress(b"two") + packer.flush()
    script = [expect(), send_bytes(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + one), wait(more), send_bytes(two)]
    with ScriptedServer(script) as server:
        chunks = send(server.url, stream=True).chunks()
        assert next(chunks) == b"one"
        more.set()
        assert b"".join(chunks) == b"two"


def test_an_answer_is_a_context_manager(send: Send) -> None:
    """Leaving the block closes the answer, and a closed answer is not taken for one that has ended."""
    with ScriptedServer([expect(), sse("1", "2"), stall()]) as server:
        with send(server.url, stream=True) as answer:
            chunks = answer.chunks()
            next(chunks)
        with pytest.raises(ClosedError):
            next(chunks)
        answer.close()


def test_interim_answers_are_skipped(send: Send) -> None:
    """100, 102 and 103 are not taken for the answer, and the answer not for the next request's."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nA: b\r\n\r\n" + b"HTTP/1.1 103 E\r\nLink: a\r\n\r\n" * 6
    with ScriptedServer([expect(), send_bytes(interim), respond(body=b"A"), expect(), respond(body=b"B")]) as server:
        assert [send(server.url).read(), send(server.url).read()] == [b"A", b"B"]
        assert server.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_given_not_followed(send: Send, status: int) -> None:
    """A 3xx is an answer like any other; its body is not read, however long, and its connection is not kept."""
    head = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 99999999\r\n\r\n".encode()
    with ScriptedServer([expect(), send_bytes(head + b"x" * 1000), stall()]) as server:
        answer = send(server.url)
        assert (answer.status, answer.headers["location"]) == (status, "http://127.0.0.1:1/")
        answer.close()
        assert len(server.requests) == 1


def test_nothing_is_taken_from_the_environment(send: Send, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A netrc, proxy variables, variables for certificates and cookies change nothing of a request."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login bob password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "missing"))
    with ScriptedServer([repeat(expect(), respond(headers={"Set-Cookie": "who=A; Path=/"}))]) as server:
        for _ in range(2):
            send(server.url, headers={"Authorization": "Bearer sk-1"}).read()
        for request in server.requests:
            assert request.headers["authorization"] == "Bearer sk-1"
            assert "cookie" not in request.headers


def test_every_answer_reaches_its_own_request(transport: HttpTransport) -> None:
    """Many threads on few kept connections each get the answer to what they asked, without a warning of a full pool."""

    def reply(peer: Peer) -> None:
        head = peer.receive_until(b"\r\n\r\n")
        respond(body=head.split(b" ")[1])(peer)

    small = HttpTransport(pool_size=4)
    wrong: list[object] = []
    with ScriptedServer([repeat(reply)]) as server:

        def work(name: int) -> None:
            for turn in range(10):
                path = f"/{name}/{turn}"
                request = HttpRequest("GET", server.base_url + path, {})
                answer = small.send(request, deadline=Deadline.after(10), connect=5, first_byte=math.inf)
                if answer.read() != path.encode():
                    wrong.append(path)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert wrong == []
        small.close()


def test_the_responses_library_still_intercepts(send: Send) -> None:
    """Users who test with ``responses`` see the request, and their answer is given, whole or in parts."""
    with responses.RequestsMock() as mock:
        mock.post("https://api.example.com/v1/x", json={"a": 1}, headers={"x-request-id": "r1"}, status=201)
        for stream in (False, True):
            answer = send("https://api.example.com/v1/x", body=b"{}", stream=stream)
            assert (answer.status, answer.headers["X-Request-Id"]) == (201, "r1")
            assert (b"".join(answer.chunks()) if stream else answer.read()) == b'{"a": 1}'
            answer.finish()
        assert mock.calls[0].request.headers["authorization"] == "Bearer sk-1"
        assert mock.calls[0].request.body == b"{}"


@pytest.mark.parametrize(
    ("raised", "kind", "sent"),
    [
        (requests.ConnectTimeout("?key=1"), ConnectError, "no"),
        (requests.exceptions.ProxyError("?key=1"), ConnectError, "no"),
        (requests.exceptions.SSLError("?key=1"), TlsError, "no"),
        (requests.ReadTimeout("?key=1"), DeadlineExceededError, "maybe"),
        (requests.ConnectionError("?key=1"), ConnectionLostError, "maybe"),
    ],
)
def test_errors_of_a_double_become_ours(send: Send, raised: Exception, kind: type[GatewayError], sent: str) -> None:
    """What a double of the adapter raises is given in our words, without its text."""
    with responses.RequestsMock() as mock:
        mock.post("https://api.example.com/", body=raised)
        with pytest.raises(kind) as caught:
            send("https://api.example.com/")
    assert caught.value.sent == sent
    assert "key" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_request_shows_no_secret() -> None:
    """Neither headers nor URL appear in the repr of a request."""
    assert repr(HttpRequest("GET", "https://a/?key=k", {"x-api-key": "k"})) == "<HttpRequest GET>"


def test_timeouts_take_numbers_and_timedeltas() -> None:
    """Times are kept as seconds; no limit is spelled as infinity."""
    times = Timeouts(connect=timedelta(seconds=2), total=math.inf)  # type: ignore[arg-type]
    assert (times.connect, times.first_byte, times.idle, times.total) == (2.0, 60.0, 60.0, math.inf)


@pytest.mark.parametrize("value", [None, 0, -1, math.nan, True, "5"])
def test_a_wrong_time_is_named(value: object) -> None:
    """What is no time is refused by the name of its field."""
    with pytest.raises(ConfigurationError) as caught:
        Timeouts(idle=value)  # type: ignore[arg-type]
    assert caught.value.field == "idle"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "http://127.0.0.1.example.com/",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "127.0.0.1",
        "https:///path",
        "https://",
        "https://user:pw@example.com/",
        "https://key@example.com/",
        "https://example.com/#fragment",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "https://example.com\\@evil.com/",
        "https://example.com:port/",
        "https://[::1/",
        "",
        None,
    ],
)
def test_wrong_urls_are_refused_before_anything_is_sent(send: Send, url: str) -> None:
    """Plain http to another host, credentials, controls and what is no URL are refused, unquoted."""
    with pytest.raises(ConfigurationError) as caught:
        send(url)
    assert caught.value.field == "url"
    assert "pw" not in str(caught.value)
    assert caught.value.__context__ is None


def test_plain_http_needs_leave_but_on_loopback(send: Send) -> None:
    """``allow_http`` lets plain http out; loopback by name or number needs none."""
    with ScriptedServer([expect(), respond(body=b"x")]) as server:
        assert send(f"http://localhost:{server.port}/").read() == b"x"
    open_transport = HttpTransport(allow_http=True)
    with responses.RequestsMock() as mock:
        mock.post("http://api.example.com/", body="x")
        assert send("http://api.example.com/", transport=open_transport).read() == b"x"
    with pytest.raises(ConnectError):
        send("http://[::1]:1/")
    open_transport.close()


def test_a_path_is_sent_encoded(send: Send) -> None:
    """Characters that a target cannot hold are percent-encoded, nothing else is changed."""
    with ScriptedServer([expect(), respond()]) as server:
        send(server.base_url + "/v1/модель:x?q=é&a=%2F")
        assert server.requests[0].path == "/v1/%D0%BC%D0%BE%D0%B4%D0%B5%D0%BB%D1%8C:x?q=%C3%A9&a=%2F"


def test_many_urls_cost_no_more_than_the_last_few(transport: HttpTransport, send: Send) -> None:
    """What is remembered of URLs is bounded, and forgetting loses no connection."""
    with ScriptedServer([repeat(expect(), respond())]) as server:
        for number in range(300):
            send(f"{server.base_url}/{number}").read()
        assert server.connections == 1
    assert len(transport._routes) <= 256


def test_a_closed_transport_sends_nothing(transport: HttpTransport, send: Send) -> None:
    """After ``close``, which may come twice, a request is refused, and an answer that was being read is still read."""
    with ScriptedServer([expect(), respond(body=b"late"), stall()]) as server:
        answer = send(server.url)
        transport.close()
        transport.close()
        assert answer.read() == b"late"
        with pytest.raises(ClosedError):
            send(server.url)
        assert len(server.requests) == 1


def test_a_transport_closed_in_mid_call_says_so(transport: HttpTransport, send: Send) -> None:
    """A call that finds its pool closed under it is told that the transport is closed."""
    with ScriptedServer([expect(), respond()]) as server:
        send(server.url).read()
        (route,) = transport._routes.values()
        route.pool.close()
        with pytest.raises(ClosedError):
            send(server.url)


def test_closing_closes_the_idle_connections(transport: HttpTransport, send: Send) -> None:
    """The server sees the end of a kept connection when the transport is closed."""
    left = threading.Event()
    with ScriptedServer([expect(), respond(), stall(), signal(left)]) as server:
        send(server.url).read()
        transport.close()
        assert left.wait(5)


def test_finish_lets_the_connection_serve_again(send: Send) -> None:
    """After the last event the end of the chunks is read, and the next call uses the same connection."""
    with ScriptedServer([repeat(expect(), sse("1", "[DONE]"))]) as server:
        for _ in range(2):
            answer = send(server.url, stream=True)
            next(answer.chunks())
            answer.finish()
            answer.finish()
        assert server.connections == 1


@pytest.mark.parametrize(
    "rest", [b"", b"data: more\n\n" * 1000, b"zz\r\n"], ids=["nothing comes", "too much comes", "nonsense comes"]
)
def test_finish_does_not_wait(send: Send, rest: bytes) -> None:
    """Where the end does not come at once the connection is given up, without an error."""
    left = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nend\r\n"
    more = rest if len(rest) < 10 else b"%x\r\n" % len(rest) + rest
    with ScriptedServer([expect(), send_bytes(head + more), stall(), signal(left)]) as server:
        answer = send(server.url, stream=True)
        assert next(answer.chunks()) == b"end"
        answer.finish()
        assert left.wait(5)


def test_finish_closes_at_once_what_cannot_serve_again(send: Send) -> None:
    """A body that ends with its connection is not waited for."""
    left = threading.Event()
    with ScriptedServer([expect(), send_bytes(b"HTTP/1.1 200 OK\r\n\r\nend"), stall(), signal(left)]) as server:
        answer = send(server.url, stream=True)
        assert next(answer.chunks()) == b"end"
        answer.finish()
        assert left.wait(5)


@pytest.mark.parametrize("size", [100, 101])
def test_a_body_is_bounded(send: Send, size: int) -> None:
    """A body of the limit is given, one byte more is refused."""
    with ScriptedServer([expect(), respond(body=b"x" * size)]) as server:
        answer = send(server.url)
        if size == 100:
            assert answer.read(100) == b"x" * 100
        else:
            with pytest.raises(MalformedResponseError, match="longer than 100 bytes"):
                answer.read(100)
