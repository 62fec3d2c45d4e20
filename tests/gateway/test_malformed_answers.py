"""Answers that are none, or not what was asked for: pages, halves, redirects, streams, error bodies without an end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_scripts import held, key_of, whole

from omnillm.errors import (
    BadRequestError,
    GatewayError,
    ServerError,
)
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, break_stream, fail, malformed
from omnillm.testing.scripted import expect, respond, stall
from omnillm.types.request import LlmRequest

PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()

_MALFORMED = {
    "html": (malformed(b"<html>Log in</html>", content_type="text/html"), "page of HTML"),
    "half": (malformed(whole()[:40]), "not JSON"),
    "empty": (malformed(b""), "an empty body"),
    "array": (malformed(b"[1]"), "not its protocol's"),
    "shape": (malformed(b'{"choices": 5}'), "not its protocol's"),
    "nan": (malformed(b'{"choices": NaN}'), "NaN"),
    "deep": (malformed(b"[" * 500 + b"]" * 500), "deeper"),
}


@pytest.mark.parametrize("name", ["nan", "deep"])
def test_an_answer_beyond_bounds(provider: LocalProvider, build: Any, clock: FakeClock, name: str) -> None:
    """What is JSON in form and beyond the bounds would be so the next time: it is not asked for again."""
    step, said = _MALFORMED[name]
    provider.script(step)
    gateway = build(provider, clock=clock)
    with pytest.raises(GatewayError, match=said) as caught:
        gateway.call("hi")
    assert (len(caught.value.attempts), gateway.budget_used_usd(), held(gateway)) == (1, PROMPT, (0, 0))


@pytest.mark.parametrize("name", [name for name in _MALFORMED if name not in ("nan", "deep")])
def test_an_answer_that_is_none(provider: LocalProvider, build: Any, clock: FakeClock, name: str) -> None:
    """What is no answer is tried again like an unknown outcome, then raised; the prompts are charged, the breaker counts."""
    step, said = _MALFORMED[name]
    provider.script(step, step, step)
    gateway = build(provider, clock=clock)
    with pytest.raises(GatewayError, match=said) as caught:
        gateway.call("hi")
    assert type(caught.value).__name__ == "MalformedResponseError"
    assert (len(caught.value.attempts), gateway.budget_used_usd(), held(gateway)) == (3, 3 * PROMPT, (0, 0))
    assert key_of(gateway).consecutive_failures == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
@pytest.mark.parametrize("how", ["call", "stream"])
def test_redirects_are_not_followed(build: Any, how: str, status: int) -> None:
    """A redirect is an error, the key goes nowhere else, and neither do later attempts."""
    with ScriptedServer([expect(), respond(body=whole())]) as other:
        target = f"{other.base_url}/v1/chat/completions"
        with ScriptedServer([expect(), respond(status, {"Location": target}, b"")]) as server:
            with pytest.raises(GatewayError, match=f"answered {status}: redirects are not followed") as caught:
                getattr(build(server, 2), how)("hi")
            assert (server.connections, other.connections, len(caught.value.attempts)) == (1, 0, 1)
    assert caught.value.status == status  # type: ignore[attr-defined]


def test_an_error_object_with_200(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """An error that comes with a status of success is the error it says: this one is retried."""
    provider.script(break_stream(how="error_event", times=2))
    answer = build(provider, clock=clock).call("hi")
    assert len(answer.attempts) == 3
    assert "scripted failure" in (answer.attempts[0].error or "")


def test_a_stream_that_nobody_asked_for(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """An answer that comes as an event stream is read as what it is; one without its end is none."""
    from gateway_scripts import chunk, data, streamed

    provider.script(
        malformed(data(chunk("cut")), content_type="text/event-stream"),
        malformed(b"data: {broken\n\n", content_type="text/event-stream"),
        malformed(streamed("good ", "day"), content_type="text/event-stream; charset=utf-8"),
    )
    gateway = build(provider, clock=clock)
    with pytest.raises(GatewayError, match="without its terminal event"):
        gateway.call("hi")
    answer = gateway.call("hi")
    assert (answer.text, answer.usage.estimated, len(answer.attempts)) == ("good day", True, 2)


def test_an_error_event_where_no_stream_was_asked_for(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """An error event in a stream that nobody asked for is the provider's error, with its hint."""
    said = {"error": {"message": "slow down, try again in 12s", "code": "429", "type": "rate_limit_error", "status": 429}}
    provider.script(malformed(b"data: " + json.dumps(said).encode() + b"\n\n", content_type="text/event-stream", times=1))
    answer = build(provider, clock=clock).call("hi")
    assert (answer.text, len(answer.attempts)) == ("echo: hi", 2)


def test_a_huge_body(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A body over the bound is refused."""
    provider.script(malformed(b" " * ((32 << 20) + 1)))
    with pytest.raises(GatewayError, match="longer than"):
        build(provider, clock=clock, retry=RetryPolicy(max_attempts=1)).call("hi")


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b"", b"\xff\xfe", b"[[]]"])
def test_an_error_body_of_any_kind(provider: LocalProvider, build: Any, clock: FakeClock, body: bytes) -> None:
    """The status decides, whatever the body is; its text is the message, as far as it is one."""
    provider.script(fail(502, body=body, times=3))
    with pytest.raises(ServerError) as caught:
        build(provider, clock=clock).call("hi")
    assert (caught.value.status, len(caught.value.attempts)) == (502, 3)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize("how", ["call", "stream"])
def test_an_endless_error_body(build: Any, how: str) -> None:
    """Of an error's body 64 KiB are read, and two seconds are spent on it: then the status alone decides."""
    from omnillm.testing.scripted import repeat, send

    head = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = repeat(send(b"1000\r\n" + b"x" * 4096 + b"\r\n"))
    with ScriptedServer([expect(), send(head), endless]) as server, pytest.raises(BadRequestError) as caught:
        getattr(build(server), how)("hi")
    assert len(str(caught.value.raw_body)) == 64 << 10


def test_an_error_body_that_stalls(build: Any, clock: FakeClock, closing: Any) -> None:
    """The status of an error whose body never comes is known after two seconds at most, or with the call's deadline."""
    from omnillm.testing.scripted import send

    head = b'HTTP/1.1 422 No\r\nContent-Length: 90\r\n\r\n{"error'
    with ScriptedServer([expect(), send(head), stall()]) as server, pytest.raises(BadRequestError) as caught:
        build(server).call("hi", timeout=0.2)
    assert caught.value.status == 422
