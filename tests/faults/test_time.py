"""The total deadline: no upstream, however it dribbles, and no number of attempts extends it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fault_play import LONG, SHORT
from gateway_scripts import JSON_HEAD, chunk, data, held, more, open_stream

from omnillm.errors import DeadlineExceededError, GatewayError
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing.scripted import Step, dribble, expect, repeat, reset, respond, send

LATE = 2.0  # seconds after the deadline: the one of the promise, and one for a busy machine
OK = b"HTTP/1.1 200 OK\r\n"


def ticking(piece: bytes) -> Step:
    return repeat(send(piece), lambda peer: peer.pause(seconds=0.01))


DRIBBLES: dict[str, list[Step]] = {
    "status line": [dribble(b"HTTP/1.1 200 " + b"x" * 9_000, 0.01)],
    "headers": [send(OK), ticking(b"A: b\r\n")],
    "one header": [send(OK + b"A: "), ticking(b"b")],
    "interim answers": [dribble(b"HTTP/1.1 102 Wait\r\n\r\n" * 99, 0.01)],
    "body": [send(JSON_HEAD.encode() + b"Content-Length: 99999\r\n\r\n"), ticking(b" ")],
    "chunks": [send(JSON_HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n"), ticking(b"1\r\n \r\n")],
    "size of a chunk": [send(JSON_HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n1;"), ticking(b"x")],
    "trailers": [send(JSON_HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"), ticking(b"A: b\r\n")],
    "until the end": [send(JSON_HEAD.encode() + b"\r\n"), ticking(b" ")],
    "events": [open_stream(), repeat(more(data(chunk("x"))), lambda peer: peer.pause(seconds=0.01))],
    "pings": [open_stream(), repeat(more(b": ping\n\n"), lambda peer: peer.pause(seconds=0.01))],
    "half an event": [open_stream(b"data: "), repeat(more(b"x"), lambda peer: peer.pause(seconds=0.01))],
}


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("what", DRIBBLES)
def test_p12_a_dribbling_upstream_extends_nothing(build: Any, serve: Any, what: str, how: str) -> None:
    """A byte now and then keeps no call alive: it ends by its deadline, is not sent again, and its prompt is charged."""
    gateway = build(serve([expect(), *DRIBBLES[what]]), 2)
    begin = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        gateway.call("hi", timeout=SHORT) if how == "call" else list(gateway.stream("hi", timeout=SHORT))
    assert time.monotonic() - begin < SHORT + LATE
    assert held(gateway) == (0, 0)
    assert gateway.budget_used_usd() > 0


@pytest.mark.parametrize("fault", ["lost", "busy", "asked to wait"])
def test_one_deadline_over_all_attempts(build: Any, serve: Any, fault: str) -> None:
    """However many attempts there may be, waits included, they end with the call's time."""
    answer = {"lost": reset(), "busy": respond(503, {}, b"{}"), "asked to wait": respond(503, {"Retry-After": "1"}, b"{}")}[fault]
    gateway = build(
        serve([repeat(expect(), lambda peer: peer.pause(seconds=0.02), answer)]),
        retry=RetryPolicy(max_attempts=10**6, base=0.001, cap=0.01 if fault != "asked to wait" else 30),
        pool_config=PoolConfig(circuit_breaker_threshold=10**6),
    )
    begin = time.monotonic()
    with pytest.raises(GatewayError) as caught:
        gateway.call("hi", timeout=2 * SHORT)
    assert time.monotonic() - begin < 2 * SHORT + LATE
    assert len(caught.value.attempts) == 1 if fault == "asked to wait" else len(caught.value.attempts) > 2


def test_the_total_of_a_stream(build: Any, serve: Any) -> None:
    """A stream that keeps coming has no end of time but one that the call gives; what came is in the error."""
    ticks = [open_stream(), repeat(more(data(chunk("x"))), lambda peer: peer.pause(seconds=0.01))]
    gateway = build(serve([expect(), *ticks]), timeouts={"total": 0.01, "idle": LONG, "first_byte": LONG})
    with gateway.stream("hi") as stream:
        begin = time.monotonic()
        while time.monotonic() - begin < SHORT:
            next(stream)
    with pytest.raises(DeadlineExceededError) as caught:
        list(gateway.stream("hi", timeout=SHORT))
    assert set(str(caught.value.partial_response)) == {"x"}
