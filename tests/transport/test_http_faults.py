"""What an upstream can do wrong, on real sockets: each fault by its error, with what the peer has seen of the request."""

from __future__ import annotations

import gzip
import pickle
import random
import socket
import threading
import traceback
from collections.abc import Callable, Sequence

import pytest

from omnillm.errors import (
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    GatewayError,
    MalformedResponseError,
    OmniLLMError,
    TransportError,
)
from omnillm.testing.scripted import (
    Peer,
    ScriptedServer,
    Step,
    dribble,
    expect,
    half_close,
    hang,
    repeat,
    reset,
    respond,
    signal,
    stall,
    wait,
)
from omnillm.testing.scripted import send as send_bytes
from omnillm.transport import HttpResponse, HttpTransport

Send = Callable[..., HttpResponse]

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

HEADS: list[tuple[str, Sequence[Step], type[TransportError], str]] = [
    ("closed without a byte", [], ConnectionLostError, "maybe"),
    ("reset without a byte", [reset()], ConnectionLostError, "maybe"),
    ("cut in the status line", [send_bytes(b"HTTP/1.1 20")], MalformedResponseError, "yes"),
    ("cut in the headers", [send_bytes(OK + b"Content-Length: 5\r\nContent-")], MalformedResponseError, "yes"),
    ("cut after a header", [send_bytes(OK + b"Content-Length: 5\r\n")], MalformedResponseError, "yes"),
    ("garbage", [send_bytes(b"\x15\x03\x01\x00\x02\x02\x16\r\n")], MalformedResponseError, "yes"),
    ("HTTP/0.9", [send_bytes(b"<html>hello</html>\n")], MalformedResponseError, "yes"),
    ("HTTP/2", [send_bytes(b"HTTP/2 200 OK\r\n\r\n")], MalformedResponseError, "yes"),
    ("a status of four digits", [send_bytes(b"HTTP/1.1 2000 OK\r\n\r\n")], MalformedResponseError, "yes"),
    ("a status below 100", [send_bytes(b"HTTP/1.1 099 OK\r\n\r\n")], MalformedResponseError, "yes"),
    ("an endless status line", [send_bytes(b"HTTP/1.1 200 " + b"x" * 70_000)], MalformedResponseError, "yes"),
    ("an endless header", [send_bytes(OK + b"A: " + b"x" * 70_000)], MalformedResponseError, "yes"),
    ("101 headers", [send_bytes(OK + b"A: b\r\n" * 101 + b"\r\n")], MalformedResponseError, "yes"),
    ("a header without a colon", [send_bytes(OK + b"Content-Length 5\r\n\r\n")], MalformedResponseError, "yes"),
    ("a blank before the colon", [send_bytes(OK + b"Content-Length : 5\r\n\r\n")], MalformedResponseError, "yes"),
    ("a folded header", [send_bytes(OK + b"A: b\r\n c\r\n\r\n")], MalformedResponseError, "yes"),
    ("a NUL in a header", [send_bytes(OK + b"A: \0\r\n\r\n")], MalformedResponseError, "yes"),
    ("two lengths", [send_bytes(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n")], MalformedResponseError, "yes"),
    ("two lengths in one", [send_bytes(OK + b"Content-Length: 5, 6\r\n\r\n")], MalformedResponseError, "yes"),
    ("a negative length", [send_bytes(OK + b"Content-Length: -5\r\n\r\n")], MalformedResponseError, "yes"),
    ("a length of no digits", [send_bytes(OK + b"Content-Length: five\r\n\r\n")], MalformedResponseError, "yes"),
    ("an unknown coding", [send_bytes(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n")], MalformedResponseError, "yes"),
    ("101 unasked", [send_bytes(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")], MalformedResponseError, "yes"),
    ("endless 103", [send_bytes(b"HTTP/1.1 103 E\r\n\r\n" * 100)], MalformedResponseError, "yes"),
]


@pytest.mark.parametrize(("steps", "kind", "sent"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_no_answer(send: Send, steps: Sequence[Step], kind: type[TransportError], sent: str) -> None:
    """What is no whole, plain head of an answer is an error of its kind; the connection is closed, nothing is tried again."""
    with ScriptedServer([expect(), *steps, half_close(), stall()]) as server:
        with pytest.raises(kind) as caught:
            send(server.url)
        assert caught.value.sent == sent
        assert str(server.port) in str(caught.value)
        assert server.connections == 1


def test_a_connection_without_an_answer_is_closed(send: Send) -> None:
    """The server sees its end at once."""
    left = threading.Event()
    with ScriptedServer([expect(), send_bytes(b"nonsense\n"), stall(), signal(left)]) as server:
        with pytest.raises(MalformedResponseError):
            send(server.url)
        assert left.wait(5)


BODIES: list[tuple[str, Sequence[Step], type[TransportError]]] = [
    ("short of its length", [send_bytes(OK + b"Content-Length: 10\r\n\r\n12345")], ConnectionLostError),
    ("empty, short of its length", [send_bytes(OK + b"Content-Length: 10\r\n\r\n")], ConnectionLostError),
    ("reset", [send_bytes(OK + b"Content-Length: 10\r\n\r\n12345"), reset()], ConnectionLostError),
    ("cut in a chunk", [send_bytes(CHUNKED + b"5\r\n123")], ConnectionLostError),
    ("cut between chunks", [send_bytes(CHUNKED + b"3\r\n123\r\n")], ConnectionLostError),
    ("cut in the size of a chunk", [send_bytes(CHUNKED + b"3\r\n123\r\n5")], ConnectionLostError),
    ("a chunk of no size", [send_bytes(CHUNKED + b"3\r\n123\r\nzz\r\n")], MalformedResponseError),
    ("a chunk of negative size", [send_bytes(CHUNKED + b"-5\r\n12345\r\n0\r\n\r\n")], MalformedResponseError),
    ("a chunk of endless size", [send_bytes(CHUNKED + b"1" * 70_000)], MalformedResponseError),
    ("corrupt gzip", [send_bytes(OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")], MalformedResponseError),
    (
        "six encodings",
        [send_bytes(OK + b"Content-Encoding: " + b"gzip, " * 5 + b"gzip\r\nContent-Length: 1\r\n\r\n1")],
        MalformedResponseError,
    ),
]


@pytest.mark.parametrize("stream", [True, False], ids=["chunks", "read"])
@pytest.mark.parametrize(("steps", "kind"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_no_whole_body(send: Send, steps: Sequence[Step], kind: type[TransportError], stream: bool) -> None:
    """A body that is cut or broken is an error, never a short body; what had come of a stream was given before."""
    with ScriptedServer([expect(), *steps]) as server:
        answer = send(server.url, stream=stream)
        with pytest.raises(kind) as caught:
            list(answer.chunks()) if stream else answer.read()
        assert caught.value.sent == "yes"
        assert getattr(caught.value, "phase", "body") == "body"


@pytest.mark.parametrize("stream", [True, False], ids=["chunks", "read"])
def test_a_bomb_is_not_inflated(send: Send, stream: bool) -> None:
    """64 MiB in 64 KB are refused at the limit, and given to a stream in parts of bounded size."""
    bomb = gzip.compress(bytes(64 << 20))
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with ScriptedServer([expect(), send_bytes(head + bomb)]) as server:
        answer = send(server.url, stream=stream)
        if stream:
            assert max(map(len, answer.chunks())) <= 1 << 16
        else:
            with pytest.raises(MalformedResponseError, match="longer"):
                answer.read(1 << 20)


def test_an_early_answer_counts_although_the_request_was_not_read(send: Send) -> None:
    """A server that refuses a large body by its size, and closes, is heard: its 413 is the answer."""
    refusal = [lambda peer: peer.receive_until(b"\r\n\r\n"), respond(413, body=b"too large")]
    with ScriptedServer([*refusal, half_close(), stall()]) as server:
        answer = send(server.url, body=bytes(8 << 20))
        assert (answer.status, answer.read()) == (413, b"too large")


def test_an_early_answer_counts_although_the_connection_was_reset(send: Send) -> None:
    """The same where the connection breaks while the body is still being sent."""
    answered = threading.Event()

    def refuse(peer: Peer) -> None:
        peer.receive_until(b"\r\n\r\n")
        respond(413)(peer)
        answered.set()

    with ScriptedServer([refuse]) as server:
        assert send(server.url, body=bytes(32 << 20)).status == 413


def test_nobody_listens(send: Send) -> None:
    """A refused connection was not sent over."""
    with ScriptedServer() as server:
        url = server.url
    with pytest.raises(ConnectError, match="refused") as caught:
        send(url)
    assert caught.value.sent == "no"


def test_a_name_that_does_not_resolve(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent to a name that is none."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectError, match="resolve") as caught:
        send("https://nowhere.invalid/v1?key=k")
    assert caught.value.sent == "no"
    assert "key" not in str(caught.value)


def test_no_descriptor_is_left(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no more descriptors is one that cannot connect."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ScriptedServer([expect(), respond()]) as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(ConnectError):
                send(server.url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- kept connections ---------------------------------------------------------------------------------------------------------


def test_a_connection_closed_while_idle_is_replaced(send: Send) -> None:
    """Nobody notices that the server closed the connection between two calls."""
    closed = threading.Event()

    def close(peer: Peer) -> None:
        peer.sock.close()
        closed.set()

    with ScriptedServer([expect(), respond(body=b"1"), close], [expect(), respond(body=b"2")]) as server:
        assert send(server.url).read() == b"1"
        assert closed.wait(5)
        assert send(server.url).read() == b"2"


@pytest.mark.parametrize("ending", [(), (reset(),)], ids=["closed", "reset"])
def test_a_connection_that_dies_as_it_is_used_again_is_replaced_once(send: Send, ending: Sequence[Step]) -> None:
    """The request goes out once more, on a new connection, and no third time."""
    with ScriptedServer([expect(), respond(body=b"1"), expect(), *ending], [expect(), respond(body=b"2")]) as server:
        assert [send(server.url).read(), send(server.url).read()] == [b"1", b"2"]
        assert (len(server.requests), server.connections) == (3, 2)
    with ScriptedServer([expect(), respond(body=b"1"), expect(), *ending], [expect()]) as server:
        send(server.url).read()
        with pytest.raises(ConnectionLostError):
            send(server.url)
        assert server.connections == 2


def test_all_dead_connections_are_passed_over(transport: HttpTransport, send: Send) -> None:
    """With several kept connections that all die, the second try is on a new one."""
    both = threading.Barrier(2)
    script = [expect(), lambda _: both.wait(5), respond(body=b"1"), expect()]
    with ScriptedServer(script, script, [expect(), respond(body=b"2")]) as server:
        threads = [threading.Thread(target=lambda: send(server.url).read()) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert send(server.url).read() == b"2"
        assert server.connections == 3


def test_a_first_byte_forbids_a_second_try(send: Send) -> None:
    """A kept connection that dies within the answer is an error, for the server may have done the work."""
    with ScriptedServer([expect(), respond(), expect(), send_bytes(b"H")], [expect(), respond()]) as server:
        send(server.url).read()
        with pytest.raises(MalformedResponseError):
            send(server.url)
        assert server.connections == 1


def test_bytes_on_an_idle_connection_are_thrown_away_with_it(send: Send) -> None:
    """An answer that nobody asked for is not taken for the next one's."""
    idle, sent = threading.Event(), threading.Event()
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    script = [expect(), respond(body=b"1"), wait(idle), send_bytes(forged), signal(sent), stall()]
    with ScriptedServer(script, [expect(), respond(body=b"2")]) as server:
        assert send(server.url).read() == b"1"
        idle.set()
        assert sent.wait(5)
        assert send(server.url).read() == b"2"


def test_bytes_behind_an_answer_are_thrown_away_with_its_connection(send: Send) -> None:
    """A second answer in the same breath as the first is not kept for the next request."""
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1" + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    with ScriptedServer([expect(), send_bytes(twice), stall()], [expect(), respond(body=b"2")]) as server:
        assert [send(server.url).read(), send(server.url).read()] == [b"1", b"2"]


@pytest.mark.parametrize("head", [b"Connection: close\r\nContent-Length: 1\r\n\r\n1", b"\r\n1"], ids=["by name", "by framing"])
def test_a_connection_that_is_to_close_is_closed(send: Send, head: bytes) -> None:
    """It is not kept, even where the server leaves it open."""
    left = threading.Event()
    with ScriptedServer([expect(), send_bytes(OK + head), half_close(), stall(), signal(left)]) as server:
        assert send(server.url).read() == b"1"
        assert left.wait(5)


def test_http_1_0_is_kept_only_where_it_says_so(send: Send) -> None:
    """HTTP/1.0 closes after an answer unless it says keep-alive."""
    kept = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n1"
    left = threading.Event()
    last = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n2"
    with ScriptedServer([expect(), send_bytes(kept), expect(), send_bytes(last), stall(), signal(left)]) as server:
        assert [send(server.url).read(), send(server.url).read()] == [b"1", b"2"]
        assert left.wait(5)
        assert server.connections == 1


def test_leaving_a_body_closes_its_connection(send: Send) -> None:
    """A connection whose answer was not read to its end is closed, never kept: the server sees it."""
    left = threading.Event()
    script = [expect(), send_bytes(OK + b"Content-Length: 10\r\n\r\n12345"), stall(), signal(left)]
    with ScriptedServer(script, [expect(), respond(body=b"2")]) as server:
        answer = send(server.url)
        answer.close()
        assert left.wait(5)
        assert send(server.url).read() == b"2"


def test_no_more_than_the_size_of_the_pool_is_kept(send: Send) -> None:
    """More connections than that are opened where they are needed, and closed after use."""
    small, both = HttpTransport(pool_size=1), threading.Barrier(2)
    script = [repeat(expect(), lambda _: both.wait(5), respond())]
    with ScriptedServer(script) as server:
        threads = [threading.Thread(target=lambda: send(server.url, transport=small).read()) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        (route,) = small._routes.values()
        assert route.pool.pool.qsize() == 1
    small.close()


# --- the words ------------------------------------------------------------------------------------------------------------------

SECRET = "sk-CANARY-0123456789"  # a canary, to be looked for


@pytest.mark.parametrize(
    "steps", [[], [send_bytes(b"nonsense\r\n")], [reset()], [dribble(OK, 0.05)]], ids=["lost", "malformed", "reset", "late"]
)
def test_no_error_shows_the_key(send: Send, steps: Sequence[Step]) -> None:
    """Neither header nor query is in the text, the chain or the pickle of an error, nor in what it keeps."""
    with ScriptedServer([expect(), *steps]) as server, pytest.raises(GatewayError) as caught:
        send(f"{server.url}?key={SECRET}", headers={"x-api-key": SECRET}, total=0.2)
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(vars(error))
    assert SECRET.encode() not in pickle.dumps(error)


def test_nothing_of_a_call_is_logged(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at its most talkative no line holds the path, the query or a header."""
    caplog.set_level("DEBUG")
    with ScriptedServer([expect(), respond(), expect()], []) as server:
        send(f"{server.base_url}/path-of-{SECRET}?key={SECRET}").read()
        with pytest.raises(ConnectionLostError):
            send(f"{server.base_url}/path-of-{SECRET}?key={SECRET}")
    assert SECRET not in caplog.text


@pytest.mark.parametrize("seed", range(10))
def test_random_bytes_raise_our_errors_only(send: Send, seed: int) -> None:
    """An answer with bytes changed, taken out and put in is read, or refused in our words; nothing else leaves."""
    chance = random.Random(seed)
    template = CHUNKED[:-2] + b"Content-Type: text/event-stream\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"

    def mutated(peer: Peer) -> None:
        data = bytearray(template)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(data))
            data[place : place + chance.randint(0, 2)] = chance.choice([b"", b"\r\n", b"\0", bytes([chance.randrange(256)])])
        peer.sock.sendall(bytes(data))

    with ScriptedServer([expect(), mutated, half_close(), stall()]) as server:
        for _ in range(30):
            try:
                list(send(server.url, total=2.0, stream=True).chunks())
            except OmniLLMError as error:
                assert not isinstance(error, DeadlineExceededError)  # noqa: PT017


def test_a_peer_that_reads_nothing_is_given_up(send: Send) -> None:
    """A request that cannot be sent off ends by its time."""
    with ScriptedServer([hang()]) as server:
        with pytest.raises(DeadlineExceededError) as caught:
            send(server.url, body=bytes(64 << 20), total=0.2)
        assert (caught.value.phase, caught.value.sent) == ("first_byte", "maybe")
