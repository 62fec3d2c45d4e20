"""Status codes of failure: what they mean for the next attempt, the key and the money."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from fault_play import ONCE, SLACK, Play, good
from gateway_scripts import key_of

from omnillm.errors import NoAvailableKeyError
from omnillm.testing import FakeClock
from omnillm.testing.scripted import Step, dribble, expect, repeat, respond, send
from omnillm.types.request import LlmRequest

WALL = 1_700_000_000.0  # where the fake clock begins


def always(status: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> list[Step]:
    return [repeat(expect(), respond(status, headers, body))]


def once(status: int, headers: dict[str, str] | None = None, body: bytes = b"{}") -> list[Step]:
    return [expect(), respond(status, headers, body)]


def error(**fields: Any) -> bytes:
    return json.dumps({"error": fields}).encode()


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_row_46_a_redirect(play: Play, serve: Any, status: int) -> None:
    """The key goes nowhere else, and the body of a redirect is not read."""
    other = serve(good("call"))
    endless = repeat(send(b"1000\r\n" + b"x" * 4096 + b"\r\n"))
    head = f"HTTP/1.1 {status} Go\r\nLocation: {other.base_url}/?key=canary\r\nTransfer-Encoding: chunked\r\n\r\n"
    played: Any = play([expect(), send(head.encode()), endless])
    assert (other.connections, played.error.status) == (0, status)
    assert "canary" not in str(played.error)


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_row_47_a_mistake_of_the_callers(play: Play, status: int) -> None:
    """It is raised at once: another key would say the same."""
    play(always(status))


def test_row_48_401(play: Play, clock: FakeClock) -> None:
    """The key is never used again, however long one waits, until it is revived."""
    played = play(once(401), clock=clock)
    clock.advance(1e9)
    with pytest.raises(NoAvailableKeyError) as refused:
        played.gateway.call("hi")
    assert (refused.value.reason, len(played.server.requests)) == ("dead", 1)
    played.gateway.revive("k1")
    assert key_of(played.gateway).available


def test_row_49_403(play: Play) -> None:
    """The key may not use this model, and serves the others."""
    played = play([expect(), respond(403), *good("call")])
    with pytest.raises(NoAvailableKeyError) as refused:
        played.gateway.call("hi")
    assert refused.value.reason == "dead"
    assert played.gateway.call(LlmRequest("other", "hi")).key_label == "k1"


@pytest.mark.parametrize("status", [408, 409, 425])
def test_row_50_too_early_or_too_late(play: Play, status: int) -> None:
    """They are tried again, and blame no key."""
    play(always(status))


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "40"}, b"{}", 40),
        ({"Retry-After-Ms": "45500"}, b"{}", 45.5),
        ({"Retry-After": formatdate(WALL + 50, usegmt=True)}, b"{}", 50),
        ({"X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "1m5s"}, b"{}", 65),
        ({"Anthropic-RateLimit-Tokens-Remaining": "0", "Anthropic-RateLimit-Tokens-Reset": "2023-11-14T22:14:10Z"}, b"{}", 50),
        ({}, error(message="Please try again in 6m0s."), 360),
        (
            {},
            error(message="slow down", details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]),
            34,
        ),
    ],
)
def test_row_51_429_with_a_hint(play: Play, clock: FakeClock, headers: dict[str, str], body: bytes, seconds: float) -> None:
    """In whatever form, the key cools for as long as the server says, and not a moment less."""
    played = play(once(429, headers, body), clock=clock, cools=seconds)
    assert played.error is not None
    assert played.error.retry_after == pytest.approx(seconds, abs=3.0)


def test_row_51_a_short_hint_is_waited_for(build: Any, serve: Any, clock: FakeClock) -> None:
    """Where the only key is back soon, the call waits for it."""
    before = clock.monotonic()
    answer = build(serve([expect(), respond(429, {"Retry-After": "7"}), *good("call")]), clock=clock).call("hi")
    assert (answer.text, len(answer.attempts)) == ("hello", 2)
    assert 7 <= clock.monotonic() - before < 8


def test_row_52_429_without_a_hint(play: Play, clock: FakeClock) -> None:
    """The key cools for a minute."""
    played = play(once(429), clock=clock, cools=60)
    assert played.error is not None
    assert played.error.retry_after == 60


@pytest.mark.parametrize(
    ("hint", "seconds"),
    [
        *((hint, 60) for hint in ("-5", "nan", "inf", "1e9", "٣", "soon", "Fri, 31 Dec 99999 23:59:59 GMT", "0", "")),
        ("99999999", 3600),
    ],
)
def test_row_53_a_hint_that_is_none(play: Play, clock: FakeClock, hint: str, seconds: float) -> None:
    """It is ignored; only a number that is too large to be meant counts, for an hour."""
    line = f"HTTP/1.1 429 Slow\r\nRetry-After: {hint}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    play([expect(), send(line)], clock=clock, cools=seconds)


def test_row_54_429_beyond_the_deadline(play: Play, clock: FakeClock) -> None:
    """A wait that would fit the cap but not the call is the caller's: the error comes at once."""
    before = clock.monotonic()
    played = play(once(429, {"Retry-After": "20"}), clock=clock, options={"timeout": 10}, cools=20)
    assert played.error is not None
    assert (played.error.retry_after, clock.monotonic()) == (20, before)


@pytest.mark.parametrize(
    "body",
    [
        error(message="You exceeded your current quota", code="insufficient_quota"),
        error(message="insufficient balance: see billing"),
    ],
)
def test_row_55_429_for_good(play: Play, clock: FakeClock, body: bytes) -> None:
    """No credit is no rate: the key rests for an hour."""
    play(once(429, body=body), clock=clock)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_row_56_a_failure_of_the_server(play: Play, status: int) -> None:
    """Whatever its body is, the text is short and holds no key; the message is whole."""
    page = b"<h1>" + b"sk-1 " * 200 + b"</h1>"
    played = play(always(status, {"Content-Type": "text/html"}, page))
    assert played.error is not None
    assert "sk-1" not in played.error.message + str(vars(played.error))
    assert len(played.error.message) > 500


@pytest.mark.parametrize("status", [503, 529])
def test_row_57_overloaded(play: Play, clock: FakeClock, status: int) -> None:
    """With a hint the next attempt waits for it, without one for the back-off."""
    before = clock.monotonic()
    play(always(status), clock=clock)
    assert clock.monotonic() - before < 1
    play(always(status, {"Retry-After": "3"}), clock=clock)
    assert clock.monotonic() - before >= 3


@pytest.mark.parametrize(("face", "status", "word"), [("`false` on 503", 503, "false"), ("`true` on 400", 400, "true")])
def test_row_58_the_servers_word(play: Play, face: str, status: int, word: str) -> None:
    """It stands above the table."""
    play(always(status, {"X-Should-Retry": word}), face=face)


def test_row_58_never_past_an_event(build: Any, serve: Any) -> None:
    """Even so, a stream of which an event was given is not opened again."""
    from gateway_scripts import HEAD, chunk, data, http_chunk

    from omnillm.errors import StreamInterruptedError

    begun = (HEAD + "X-Should-Retry: true\r\nTransfer-Encoding: chunked\r\n\r\n").encode() + http_chunk(data(chunk("a")))
    server = serve([expect(), send(begun)], good("stream"))
    with pytest.raises(StreamInterruptedError):
        list(build(server).stream("hi"))
    assert server.connections == 1


@pytest.mark.parametrize("fault", ["slow", "endless"])
def test_row_59_the_body_of_an_error(play: Play, fault: str) -> None:
    """The status decides; no more than 64 KiB are read of it, and no more than two seconds are spent on it."""
    head = b"HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    rest = repeat(send(piece)) if fault == "endless" else dribble(b"1\r\nx\r\n" * 10_000, 0.02)
    played: Any = play([expect(), send(head), rest], retry=ONCE, within=2.0)
    assert len(played.error.raw_body) <= 64 << 10
    if fault == "endless":
        assert played.seconds < SLACK
