"""P25: every bound is where it is said to be: what is as large passes, and one more is refused."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_scripts import HEAD, chunk, data, held, http_chunk, whole

from omnillm import _json
from omnillm.errors import BadRequestError, InvalidJsonError, MalformedResponseError, ProtocolError
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import expect, send, signal, stall
from omnillm.transport import MAX_BODY
from omnillm.wire import SseDecoder

ONCE = RetryPolicy(max_attempts=1)
OK = b"HTTP/1.1 200 OK\r\n"


def framed(body: bytes, *fields: bytes) -> bytes:
    """Give an answer with those fields beside the two that every one here has."""
    lines = b"".join(field + b"\r\n" for field in (b"Content-Type: application/json", b"Content-Length: %d" % len(body), *fields))
    return OK + lines + b"\r\n" + body


def line(size: int) -> bytes:
    """Give a header of so many bytes, its end included."""
    return b"A: " + b"x" * (size - 5)


def packed(times: int) -> bytes:
    body = whole()
    for _ in range(times):
        body = gzip.compress(body)
    return framed(body, b"Content-Encoding: " + b", ".join([b"gzip"] * times))


ANSWERS: dict[str, Callable[[int], bytes]] = {
    "a header of 64 KiB": lambda more: framed(whole(), line((64 << 10) + more)),
    "a status line of 64 KiB": lambda more: b"HTTP/1.1 200 " + b"x" * ((64 << 10) - 15 + more) + framed(whole())[15:],
    "100 headers": lambda more: framed(whole(), *[b"A: b"] * (98 + more)),
    "8 interim answers": lambda more: b"HTTP/1.1 103 Early\r\n\r\n" * (8 + more) + framed(whole()),
    "5 encodings": lambda more: packed(5 + more),
    "a body of 32 MiB": lambda more: framed(whole() + b" " * (MAX_BODY - len(whole()) + more)),
    "a depth of 100": lambda more: framed(whole(deep=_nested(99 + more))),
}


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("name", ANSWERS)
def test_p25_a_bound_is_exact(build: Any, name: str) -> None:
    """An answer at the bound is read, one beyond it is an error of ours, and leaves nothing held."""
    with ScriptedServer([expect(), send(ANSWERS[name](0))], [expect(), send(ANSWERS[name](1))]) as server:
        gateway = build(server, retry=ONCE)
        assert gateway.call("hi").text == "hello"
        gateway._core.transport._adapter.close()
        with pytest.raises(MalformedResponseError):
            gateway.call("hi")
        assert held(gateway) == (0, 0)


def test_p25_the_depth_of_json_is_exact() -> None:
    """A hundred levels of lists or objects are read, one more is refused."""
    for begin, end in ((b"[", b"]"), (b'{"a":', b"}")):
        middle = b"1" if begin != b"[" else b""
        assert _json.loads(begin * 100 + middle + end * 100)
        with pytest.raises(InvalidJsonError, match="deeper than 100"):
            _json.loads(begin * 101 + middle + end * 101)


@pytest.mark.parametrize("pieces", [1, 3])
def test_p25_an_event_of_a_mebibyte_is_read_and_no_larger(build: Any, pieces: int) -> None:
    """By the decoder's own default, however it comes, and by a gateway, which uses it."""
    block = b"data: " + b"x" * ((1 << 20) - 6)
    for more in (0, 1):
        decoder, body = SseDecoder(), block + b"x" * more + b"\n\n"
        cuts = [body[at : at + len(body) // pieces + 1] for at in range(0, len(body), len(body) // pieces + 1)]
        if not more:
            assert [len(frame.data) for cut in cuts for frame in decoder.feed(cut)] == [(1 << 20) - 6]
            continue
        with pytest.raises(ProtocolError, match="too large"):
            for cut in cuts:
                decoder.feed(cut)
    text = "x" * ((1 << 20) - 6 - len(chunk("")))
    for more in (0, 1):
        stream = (HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + http_chunk(data(chunk(text + "y" * more)))
        with ScriptedServer([expect(), send(stream + http_chunk(data(chunk(finish="stop"), "[DONE]")) + b"0\r\n\r\n")]) as server:
            gateway = build(server, retry=ONCE)
            if not more:
                assert "".join(gateway.stream("hi").text()) == text
                continue
            with pytest.raises(MalformedResponseError, match="too large"):
                list(gateway.stream("hi"))


def test_p25_the_body_of_an_error_and_of_a_redirect_are_not_read_on(build: Any) -> None:
    """Of an error 64 KiB are kept, of a redirect nothing: what follows goes with the connection."""
    long = b"Transfer-Encoding: chunked\r\n\r\n" + http_chunk(b"x" * (1 << 20))
    left = threading.Event()
    for status, error in ((400, BadRequestError), (302, MalformedResponseError)):
        left.clear()
        with ScriptedServer([expect(), send(b"HTTP/1.1 %d No\r\n" % status + long), stall(), signal(left)]) as server:
            begin = time.monotonic()
            with pytest.raises(error) as caught:
                build(server, retry=ONCE).call("hi", timeout=5)
            assert time.monotonic() - begin < 1.8  # who reads on waits for two seconds
            assert left.wait(5)
            assert len(getattr(caught.value, "raw_body", None) or "") == (64 << 10 if status == 400 else 0)
