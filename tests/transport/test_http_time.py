"""Time and cancellation: no peer extends a deadline, and another thread ends any wait at once."""

from __future__ import annotations

import gc
import math
import os
import signal as signals
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from omnillm._cancel import CancellationToken
from omnillm._clock import Deadline
from omnillm.errors import (
    CallCancelledError,
    ClosedError,
    ConnectError,
    DeadlineExceededError,
    GatewayError,
    TlsError,
)
from omnillm.testing.scripted import ScriptedServer, Step, dribble, expect, repeat, respond, signal, stall, wait
from omnillm.testing.scripted import send as send_bytes
from omnillm.transport import HttpResponse, HttpTransport

Send = Callable[..., HttpResponse]

SHORT = 0.15
LONG = 1.15  # what a short time may take on a busy machine
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


def test_a_tarpit_ends_with_the_connect_timeout(send: Send, tarpit: str) -> None:
    """Nobody answers: no connection, and nothing sent."""
    start = time.monotonic()
    with pytest.raises(ConnectError, match=r"within 0\.15 s") as caught:
        send(tarpit, connect=SHORT)
    assert caught.value.sent == "no"
    assert SHORT <= time.monotonic() - start < LONG


def test_a_tarpit_ends_with_the_deadline(send: Send, tarpit: str) -> None:
    """Where the whole call has less time than a connection, it is the call's that ran out."""
    with pytest.raises(DeadlineExceededError) as caught:
        send(tarpit, total=SHORT)
    assert (caught.value.phase, caught.value.sent) == ("connect", "no")


def test_https_to_a_plain_port_ends_with_the_connect_timeout(send: Send) -> None:
    """A server that waits for a request in plain text answers no handshake."""
    with ScriptedServer([stall()], scheme="https") as server:
        start = time.monotonic()
        with pytest.raises(TlsError) as caught:
            send(server.url, connect=SHORT)
        assert caught.value.sent == "no"
        assert time.monotonic() - start < LONG


def test_a_handshake_ends_with_the_deadline(send: Send) -> None:
    """The same by the time of the call."""
    with ScriptedServer([stall()], scheme="https") as server, pytest.raises(DeadlineExceededError) as caught:
        send(server.url, total=SHORT)
    assert (caught.value.phase, caught.value.sent) == ("connect", "no")


def test_no_time_sends_nothing(send: Send) -> None:
    """A call whose time is over opens no connection."""
    with ScriptedServer([]) as server:
        with pytest.raises(DeadlineExceededError) as caught:
            send(server.url, deadline=Deadline.after(-1))
        assert caught.value.sent == "no"
        assert server.connections == 0


WAITS: list[tuple[str, Sequence[Step], str]] = [
    ("no byte", [stall()], "maybe"),
    ("a dribbled status line", [dribble(b"HTTP/1.1 200 " + b"y" * 100, 0.02)], "yes"),
    ("dribbled headers", [send_bytes(b"HTTP/1.1 200 OK\r\n"), dribble(b"X-Pad: " + b"y" * 100, 0.02)], "yes"),
    ("dribbled interim answers", [dribble(b"HTTP/1.1 103 E\r\n\r\n" * 8, 0.02)], "yes"),
]


@pytest.mark.parametrize("limit", ["total", "first_byte"])
@pytest.mark.parametrize(("steps", "sent"), [row[1:] for row in WAITS], ids=[row[0] for row in WAITS])
def test_a_head_ends_with_its_time(send: Send, steps: Sequence[Step], sent: str, limit: str) -> None:
    """However the head is dribbled, the wait for it ends."""
    with ScriptedServer([expect(), *steps, stall()]) as server:
        start = time.monotonic()
        with pytest.raises(DeadlineExceededError) as caught:
            send(server.url, **{limit: SHORT})
        assert (caught.value.phase, caught.value.sent) == ("first_byte", sent)
        assert time.monotonic() - start < LONG


def test_a_timeout_on_a_kept_connection_is_not_tried_again(send: Send) -> None:
    """A silent server may be at work: only a connection that broke is replaced."""
    with ScriptedServer([expect(), respond(), expect(), stall()], [expect(), respond()]) as server:
        send(server.url).read()
        with pytest.raises(DeadlineExceededError):
            send(server.url, first_byte=SHORT)
        assert server.connections == 1


@pytest.mark.parametrize("stream", [True, False], ids=["chunks", "read"])
@pytest.mark.parametrize("steps", [[stall()], [dribble(b"x" * 100, 0.02)]], ids=["stalled", "dribbled"])
def test_a_body_ends_with_the_deadline(send: Send, steps: Sequence[Step], stream: bool) -> None:
    """However the body is dribbled, reading it ends with the call."""
    with ScriptedServer([expect(), send_bytes(HEAD), *steps, stall()]) as server:
        start = time.monotonic()
        answer = send(server.url, stream=stream, total=SHORT * 2)
        with pytest.raises(DeadlineExceededError) as caught:
            list(answer.chunks()) if stream else answer.read()
        assert (caught.value.phase, caught.value.sent) == ("body", "yes")
        assert time.monotonic() - start < LONG


def test_the_reader_moves_the_deadline(send: Send) -> None:
    """Each read goes by the deadline that was set before it; one before the call's own is an idle timeout."""
    with ScriptedServer([expect(), send_bytes(HEAD + b"one"), stall()]) as server:
        answer = send(server.url, stream=True)
        chunks = answer.chunks()
        answer.deadline = Deadline.after(3)
        assert next(chunks) == b"one"
        answer.deadline = Deadline.after(SHORT)
        with pytest.raises(DeadlineExceededError) as caught:
            next(chunks)
        assert caught.value.phase == "idle"


def test_no_limit_is_no_limit(send: Send) -> None:
    """Infinity is a time like any other."""
    with ScriptedServer([expect(), respond(body=b"x")]) as server:
        answer = send(server.url, deadline=Deadline(math.inf), connect=math.inf, first_byte=math.inf)
        assert answer.read() == b"x"


# --- cancellation -------------------------------------------------------------------------------------------------------------


def cancelled(work: Callable[[CancellationToken], object], ready: threading.Event | None = None) -> GatewayError:
    """Run work in a thread, cancel it when it is under way, and give what it raised, which must come at once."""
    token, raised = CancellationToken(), []

    def run() -> None:
        try:
            work(token)
        except GatewayError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    if ready is None:
        thread.join(SHORT)  # it is within a call of the system, of which nothing else tells
    else:
        assert ready.wait(5)
    start = time.monotonic()
    token.cancel()
    thread.join(5)
    assert time.monotonic() - start < 1
    (error,) = raised
    assert not token._callbacks
    return error


def test_cancelling_a_connection_attempt(send: Send, tarpit: str) -> None:
    """A call that waits for a connection ends; nothing was sent."""
    error = cancelled(lambda token: send(tarpit, cancel=token))
    assert isinstance(error, CallCancelledError)
    assert error.sent == "no"


def test_cancelling_a_handshake(send: Send) -> None:
    """A call that waits for a handshake ends, and its connection is closed."""
    begun, left = threading.Event(), threading.Event()
    script = [lambda peer: peer.receive(), signal(begun), stall(), signal(left)]
    with ScriptedServer(script, scheme="https") as server:
        error = cancelled(lambda token: send(server.url, cancel=token), begun)
        assert isinstance(error, CallCancelledError)
        assert error.sent == "no"
        assert left.wait(5)


@pytest.mark.parametrize(("head", "sent"), [(b"", "maybe"), (b"HTTP/1.1 2", "yes")])
def test_cancelling_a_wait_for_the_head(send: Send, head: bytes, sent: str) -> None:
    """A call that waits for its answer ends, and its connection is closed."""
    asked, left = threading.Event(), threading.Event()
    with ScriptedServer([expect(), send_bytes(head), signal(asked), stall(), signal(left)]) as server:
        error = cancelled(lambda token: send(server.url, cancel=token), asked)
        assert isinstance(error, CallCancelledError)
        assert error.sent in (sent, "maybe")
        assert left.wait(5)


@pytest.mark.parametrize("stream", [True, False], ids=["chunks", "read"])
def test_cancelling_a_reader(send: Send, stream: bool) -> None:
    """A call that reads ends, and its connection is closed."""
    reading, left = threading.Event(), threading.Event()

    def work(token: CancellationToken) -> None:
        answer = send(server.url, cancel=token, stream=stream)
        reading.set()
        list(answer.chunks()) if stream else answer.read()

    with ScriptedServer([expect(), send_bytes(HEAD + b"1"), stall(), signal(left)]) as server:
        error = cancelled(work, reading)
        assert isinstance(error, CallCancelledError)
        assert left.wait(5)


def test_a_cancelled_token_sends_nothing(send: Send) -> None:
    """A call with a token that was cancelled before opens no connection."""
    token = CancellationToken()
    token.cancel()
    with ScriptedServer([]) as server:
        with pytest.raises(CallCancelledError):
            send(server.url, cancel=token)
        assert server.connections == 0


def test_a_token_is_done_with_a_call_that_is_over(send: Send) -> None:
    """A token keeps nothing of calls that ended, well or not, and cancelling it then does not touch their connections."""
    token = CancellationToken()
    with ScriptedServer([expect(), respond(body=b"1"), expect(), respond(body=b"2"), expect()], []) as server:
        assert send(server.url, cancel=token).read() == b"1"
        assert not token._callbacks
        token.cancel()
        assert send(server.url).read() == b"2"
        token = CancellationToken()
        with pytest.raises(GatewayError):
            send(server.url, cancel=token)
        assert not token._callbacks
        assert server.connections == 2


def test_abort_of_an_answer_that_is_over_leaves_its_connection_to_the_next(send: Send) -> None:
    """A late abort, as from a finaliser, does not end the exchange that has the connection now."""
    asked, go_on = threading.Event(), threading.Event()
    script = [expect(), respond(body=b"1"), expect(), signal(asked), wait(go_on), respond(body=b"2")]
    with ScriptedServer(script) as server:
        first = send(server.url)
        assert first.read() == b"1"
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(send(server.url).read()))
        thread.start()
        assert asked.wait(5)
        first.abort()
        go_on.set()
        thread.join(5)
        assert got == [b"2"]


def test_reading_after_abort(send: Send) -> None:
    """A reader that comes after the abort is told so, and ``finish`` and ``close`` have nothing to say."""
    with ScriptedServer([expect(), send_bytes(HEAD + b"1"), stall()]) as server:
        answer = send(server.url, stream=True)
        answer.abort()
        for _ in range(2):
            with pytest.raises(CallCancelledError):
                answer.read()
        answer.finish()
        answer.close()
        answer.abort()


def test_abort_from_a_finaliser(send: Send) -> None:
    """A stream lost in a reference cycle is aborted by the collector, in whatever the thread is doing then."""
    left = threading.Event()

    class Owner:
        def __init__(self, answer: HttpResponse) -> None:
            self.answer, self.me = answer, self

        def __del__(self) -> None:
            self.answer.abort()

    with ScriptedServer([expect(), send_bytes(HEAD), stall(), signal(left)]) as server:
        Owner(send(server.url, stream=True))
        gc.collect()
        assert left.wait(5)


def test_an_exchange_within_another(send: Send) -> None:
    """What a signal handler does on the same thread, in the midst of a wait, gets its own answer."""
    asked, inner = threading.Event(), []
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")

    def handle(*_: object) -> None:
        inner.append(send(other.url).read())
        go_on.set()

    def interrupt() -> None:
        if asked.wait(5):
            os.kill(os.getpid(), signals.SIGUSR1)

    go_on = threading.Event()
    old = signals.signal(signals.SIGUSR1, handle)
    try:
        with (
            ScriptedServer([expect(), signal(asked), wait(go_on), respond(body=b"outer")]) as server,
            ScriptedServer([expect(), respond(body=b"inner")]) as other,
        ):
            thread = threading.Thread(target=interrupt)
            thread.start()
            assert send(server.url).read() == b"outer"
            thread.join(5)
    finally:
        signals.signal(signals.SIGUSR1, old)
    assert inner == [b"inner"]


INTERRUPTED = textwrap.dedent("""
    import math, sys
    from omnillm._clock import Deadline
    from omnillm.transport import HttpRequest, HttpTransport
    transport = HttpTransport()
    try:
        request = HttpRequest("POST", sys.argv[1], {}, b"")
        with transport.send(request, deadline=Deadline.after(60), connect=60, first_byte=60) as answer:
            answer.read()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    sys.stdin.read()
""")


@pytest.mark.parametrize("steps", [[], [send_bytes(HEAD + b"1")]], ids=["in the head", "in the body"])
def test_an_interrupt_closes_the_connection(steps: Sequence[Step]) -> None:
    """Ctrl-C in a wait comes at once, and the server sees the end of the connection while the process lives on."""
    asked, left = threading.Event(), threading.Event()
    with (
        ScriptedServer([expect(), *steps, signal(asked), stall(), signal(left)]) as server,
        subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert asked.wait(20)
        process.send_signal(signals.SIGINT)
        assert left.wait(5)
        out, _ = process.communicate("")
        assert out == "interrupted\n"


def test_a_closed_answer_raises_no_interrupt_of_its_own(send: Send) -> None:
    """What the caller's code raises while reading, the answer lets through, closed."""

    class Stop(BaseException):
        pass

    class Bad:
        def __call__(self, *_: object, **__: object) -> bytes:
            raise Stop

    left = threading.Event()
    with ScriptedServer([expect(), send_bytes(HEAD), stall(), signal(left)]) as server:
        answer = send(server.url)
        with pytest.raises(Stop):
            answer._receive(Bad(), 1)
        assert left.wait(5)
        with pytest.raises(ClosedError):
            answer.read()


def test_threads_share_no_time(transport: HttpTransport, send: Send) -> None:
    """A short call beside a long one ends alone."""
    ends: dict[str, object] = {}
    go_on = threading.Event()
    with (
        ScriptedServer([expect(), stall()]) as silent,
        ScriptedServer([repeat(expect(), wait(go_on), respond(body=b"x"))]) as slow,
    ):
        thread = threading.Thread(target=lambda: ends.update(slow=send(slow.url).read()))
        thread.start()
        with pytest.raises(DeadlineExceededError):
            send(silent.url, total=SHORT)
        go_on.set()
        thread.join(5)
        assert ends == {"slow": b"x"}
