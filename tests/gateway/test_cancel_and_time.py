"""Deadlines that nothing extends, cancellation from another thread, and the gateway's own end, in every place a call may wait."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_scripts import HEAD, chunk, data, held, http_chunk, key_of, more, open_stream, streamed, whole

from omnillm._cancel import CancellationToken
from omnillm.errors import CallCancelledError, ClosedError, DeadlineExceededError, GatewayError, StreamInterruptedError
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import dribble, expect, repeat, respond, send, stall
from omnillm.types.enums import ProviderProtocol
from omnillm.types.events import TextDelta
from omnillm.types.request import LlmRequest

PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()
CLAUDE = ProviderProtocol.CLAUDE_MESSAGES
SHORT = 0.2
AT_ONCE = 1.0  # seconds: what "at once" may take on a busy machine


def timed(step: Callable[[], Any]) -> float:
    """Take a step that runs out of time; give how long that took."""
    before = time.monotonic()
    step()
    return time.monotonic() - before


# --- deadlines ----------------------------------------------------------------------------------------------------------------


def test_the_gateways_own_deadline(build: Any) -> None:
    """``request_timeout`` bounds a call that gives none, and ``timeout=`` stands above it."""
    with ScriptedServer([expect(), stall()], [expect(), stall()]) as server:
        gateway = build(server, request_timeout=SHORT)
        with pytest.raises(DeadlineExceededError):
            gateway.call("hi")
        assert gateway._core.config.timeouts.total == SHORT
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        assert build(server, request_timeout=1e-9).call("hi", timeout=math.inf).text == "hello"


def test_one_deadline_over_all_attempts(build: Any, clock: FakeClock) -> None:
    """The deadline spans attempts and waits: where a wait does not fit, the last error is raised at once."""
    with ScriptedServer([repeat(expect(), respond(503, {"Retry-After": "4"}, b"{}"))]) as server:
        with pytest.raises(GatewayError) as caught:
            build(server, clock=clock, retry=RetryPolicy(max_attempts=9)).call("hi", timeout=10)
        assert (len(caught.value.attempts), caught.value.retry_after) == (3, 4)
        assert len(server.requests) == 3


def test_a_stream_has_a_total_where_one_is_given(build: Any) -> None:
    """A stream is not bounded by ``total``; with ``timeout=`` it is, whatever keeps coming."""
    ticking = repeat(more(data(chunk("tick"))), lambda peer: peer.pause(seconds=0.01))
    with ScriptedServer([expect(), open_stream(), ticking]) as server:
        gateway = build(server, timeouts={"total": 1e-6})
        stream = gateway.stream("hi")
        for _ in range(5):
            next(stream)
        stream.close()
        stream = gateway.stream("hi", timeout=SHORT)
        with pytest.raises(DeadlineExceededError) as caught:
            list(stream)
    assert (caught.value.phase, held(gateway)) == ("body", (0, 0))
    assert gateway.budget_used_usd() > 2 * PROMPT


def test_first_byte_is_for_streams(build: Any) -> None:
    """A stream whose status does not come in time is a time-out; a call is patient."""
    with ScriptedServer([expect(), stall()], [expect(), lambda p: p.pause(seconds=0.15), respond(body=whole())]) as server:
        gateway = build(server, timeouts={"first_byte": 0.1})
        with pytest.raises(DeadlineExceededError) as caught:
            gateway.stream("hi")
        assert caught.value.phase == "first_byte"
        assert gateway.call("hi").text == "hello"


@pytest.mark.parametrize("noise", [b": ping\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', b"\n\n"])
def test_pings_do_not_count_for_idle(build: Any, noise: bytes) -> None:
    """Only content keeps a stream alive: comments and pings do not. What came is in the error."""
    started = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 5}}
    first = _claude("message_start", message=started)
    text = _claude("content_block_start", index=0, content_block={"type": "text", "text": ""})
    text += _claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "abc"})
    noisy = repeat(more(noise), lambda peer: peer.pause(seconds=0.02))
    with ScriptedServer([expect(), open_stream(first + text), noisy]) as server:
        gateway = build(server, protocol=CLAUDE, timeouts={"idle": SHORT})
        stream = gateway.stream("hi")
        with pytest.raises(StreamInterruptedError) as caught:
            list(stream)
        assert server.connections == 1
    assert (caught.value.phase, caught.value.partial_response.text) == ("idle", "abc")
    assert (gateway.budget_used_usd(), key_of(gateway).consecutive_failures) == (5 + 1, 1)  # as was told, and what came


def _claude(kind: str, **fields: Any) -> bytes:
    import json

    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def test_content_does(build: Any) -> None:
    """A stream that sends content now and then lives longer than its idle time."""
    ticks = [step for _ in range(8) for step in (more(data(chunk("x"))), lambda peer: peer.pause(seconds=0.05))]
    with ScriptedServer([expect(), open_stream(), *ticks, more(streamed("!")), stall()]) as server:
        stream = build(server, timeouts={"idle": SHORT}).stream("hi")
        assert "".join(stream.text()) == "xxxxxxxx!"


def test_a_whole_answer_to_a_stream_may_not_stall(build: Any) -> None:
    """A JSON answer to a stream has the idle time to come in full: there is no event before."""
    with ScriptedServer(
        [expect(), send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"), stall()]
    ) as s:
        stream = build(s, timeouts={"idle": SHORT}).stream("hi")
        with pytest.raises(StreamInterruptedError) as caught:
            next(stream)
    assert caught.value.phase == "idle"


def test_waiting_for_a_key_ends_with_the_deadline(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A call that waits for a key stops at its deadline, with nothing sent."""
    from omnillm.config import KeyConfig

    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=1)], clock=clock, pool_config=PoolConfig(acquire_timeout=50))
    gateway.call("hi")
    with pytest.raises(DeadlineExceededError) as caught:
        gateway.call("hi", timeout=5)
    assert (caught.value.phase, caught.value.sent, len(provider.requests)) == ("admission", "no", 1)


def test_attempts_are_told_wherever_the_time_ran_out(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A deadline that passes while the call waits for a key again tells of the attempts before."""
    from omnillm.config import KeyConfig

    provider.script(fail(500))
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=1)], clock=clock, pool_config=PoolConfig(acquire_timeout=90))
    with pytest.raises(DeadlineExceededError) as caught:
        gateway.call("hi", timeout=20)
    assert [record.status for record in caught.value.attempts] == [500]


# --- cancel and close, wherever a call may be ---------------------------------------------------------------------------------


def test_a_stream_that_nobody_reads_is_closed_too(provider: LocalProvider, build: Any) -> None:
    """A stream between two reads is ended by ``gateway.close()``; its next event is ``ClosedError``."""
    from omnillm.testing import break_stream

    provider.script(break_stream(2, how="hang"))
    gateway = build(provider)
    stream = gateway.stream("one two three")
    while not isinstance(next(stream), TextDelta):
        pass
    gateway.close()
    assert provider.wait_open_connections(0)
    with pytest.raises(ClosedError, match="the gateway was closed"):
        list(stream)
    assert gateway._core.store.snapshot().held_requests == 0


def test_a_stream_that_is_opened_while_the_gateway_closes(build: Any) -> None:
    """A stream whose status comes after ``close()`` gives nothing."""
    asked, go = threading.Event(), threading.Event()
    steps = [expect(), lambda _: asked.set(), lambda peer: peer.pause(go), open_stream(data(chunk("a"))), stall()]
    caught: list[BaseException] = []
    with ScriptedServer(steps) as server:
        gateway = build(server)

        def read() -> None:
            try:
                list(gateway.stream("hi"))
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert asked.wait(5)
        gateway.close()
        go.set()
        thread.join(5)
    assert [type(error) for error in caught] == [ClosedError]


def test_a_token_cancelled_between_reads(provider: LocalProvider, build: Any) -> None:
    """A token that is cancelled while nobody reads ends the stream at its next read."""
    from omnillm.testing import break_stream

    provider.script(break_stream(3, how="hang"))
    token = CancellationToken()
    gateway = build(provider)
    stream = gateway.stream("one two three four", cancel=token)
    next(stream)
    token.cancel()
    assert provider.wait_open_connections(0)
    with pytest.raises(CallCancelledError):
        list(stream)
    assert held(gateway) == (0, 0)


def test_one_token_ends_many_calls(build: Any) -> None:
    """A token ends every call it was given to."""
    arrived = threading.Semaphore(0)
    token, caught = CancellationToken(), []
    script = [expect(), lambda _: arrived.release(), stall()]
    with ScriptedServer(script) as server:
        gateway = build(server)

        def call() -> None:
            try:
                gateway.call("hi", cancel=token)
            except BaseException as error:
                caught.append(type(error))

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert arrived.acquire(timeout=5)
        token.cancel()
        for thread in threads:
            thread.join(AT_ONCE)
    assert caught == [CallCancelledError] * 8


def test_p13_a_clock_that_is_set_changes_nothing(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Setting the wall clock by a day, either way, neither frees a key nor holds it longer."""
    provider.script(fail(429, retry_after=50))
    gateway = build(provider, clock=clock)
    with pytest.raises(GatewayError):
        gateway.call("hi")
    for step in (86_400, -2 * 86_400):
        clock.step_wall(step)
        with pytest.raises(GatewayError) as caught:
            gateway.call("hi")
        assert caught.value.retry_after == pytest.approx(50)
    clock.advance(50)
    gateway.call("hi")


def test_the_first_event_of_a_dribbled_stream(build: Any) -> None:
    """An event dribbled byte by byte is no event until it is whole: the idle time runs."""
    body = HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    with ScriptedServer([expect(), send(body), dribble(http_chunk(data(chunk("a")) * 9), 0.01)]) as server:
        stream = build(server, timeouts={"idle": SHORT}).stream("hi")
        with pytest.raises(StreamInterruptedError) as caught:
            next(stream)
    assert (caught.value.phase, server.connections) == ("idle", 1)
