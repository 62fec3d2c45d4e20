"""Streams that are left before their end, in every way: connection closed, key free, money for what came."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from gateway_scripts import chunk, data, held, key_of, more, open_stream, streamed, wait_until

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import CallCancelledError, ClosedError, StreamInterruptedError
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, break_stream
from omnillm.testing.scripted import expect, reset, respond, send, signal, sse, stall
from omnillm.types.events import TextDelta
from omnillm.types.request import GenerationConfig, LlmRequest

REQUEST = LlmRequest("m", "one two three four five six", generation=GenerationConfig(max_output_tokens=50))
PROMPT = REQUEST.estimated_prompt_tokens()
RESERVED = PROMPT + 50

Leave = Callable[[Any, int], int]


def read(stream: Any, texts: int) -> int:
    """Read so many texts, and give how many characters they have."""
    chars = 0
    while texts:
        event = next(stream)
        if isinstance(event, TextDelta):
            chars += len(event.delta)
            texts -= 1
    return chars


def by_close(gateway: Any, texts: int) -> int:
    stream = gateway.stream(REQUEST)
    chars = read(stream, texts)
    stream.close()
    stream.close()
    with pytest.raises(ClosedError):
        next(stream)
    return chars


def by_with(gateway: Any, texts: int) -> int:
    with gateway.stream(REQUEST) as stream:
        return read(stream, texts)


def by_break_and_del(gateway: Any, texts: int) -> int:
    chars = 0
    for event in gateway.stream(REQUEST):  # the loop's iterator is the last reference
        if isinstance(event, TextDelta):
            if not texts:
                break
            chars, texts = chars + len(event.delta), texts - 1
            if not texts:
                break
    return chars


def by_an_exception(gateway: Any, texts: int) -> int:
    def consume() -> None:
        nonlocal chars
        stream = gateway.stream(REQUEST)
        chars = read(stream, texts)
        raise LookupError("the caller's own")

    chars = 0
    with pytest.raises(LookupError):
        consume()
    return chars


def by_exception_in_with(gateway: Any, texts: int) -> int:
    with pytest.raises(LookupError), gateway.stream(REQUEST) as stream:
        chars = read(stream, texts)
        raise LookupError("the caller's own")
    return chars


def by_a_lost_cycle(gateway: Any, texts: int) -> int:
    class Owner:
        def __init__(self) -> None:
            self.stream = gateway.stream(REQUEST)
            self.self = self

    chars = read(Owner().stream, texts)
    gc.collect()
    return chars


def by_the_text_iterator(gateway: Any, texts: int) -> int:
    text = gateway.stream(REQUEST).text()
    return sum(len(next(text)) for _ in range(texts))


WAYS = [
    by_close, by_with, by_break_and_del, by_an_exception, by_exception_in_with, by_a_lost_cycle, by_the_text_iterator,
]  # fmt: skip


@pytest.mark.parametrize("texts", [0, 1, 3])
@pytest.mark.parametrize("leave", WAYS)
def test_p17_leaving_gives_everything_back(provider: LocalProvider, build: Any, leave: Leave, texts: int) -> None:
    """The connection closes, the key is free, what was read is paid for: never nothing, never more than reserved."""
    provider.script(break_stream(9, how="hang"))
    gateway = build(provider, budget_limit_usd=float(RESERVED))
    chars = leave(gateway, texts)
    status = key_of(gateway)  # the gateway's next operation after a collection
    assert provider.wait_open_connections(0)
    assert (status.tpm_inflight, status.rpm_used, held(gateway)) == (0, 1, (0, 0))
    assert (status.available, status.consecutive_failures) == (True, 0)
    spent = gateway.budget_used_usd()
    assert PROMPT + -(-chars // 4) <= spent < RESERVED
    assert status.tpm_used == spent
    assert gateway.budget_remaining_usd() == RESERVED - spent
    assert gateway._core.allowance.in_flight == 0


@pytest.mark.parametrize("way", ["close", "with", "text", "gateway", "error"])
def test_p17_who_keeps_a_stream_that_was_left_keeps_no_connection(build: Any, way: str) -> None:
    """The server sees the end of the connection while the stream's object lives on: nothing waits for the collector."""
    left = threading.Event()
    broken = [more(b"data: {broken\n\n")] if way == "error" else []
    with ScriptedServer([expect(), open_stream(data(chunk("a"))), *broken, stall(), signal(left)]) as server:
        gateway = build(server)
        stream = gateway.stream(REQUEST)
        text = stream.text()
        assert next(text) == "a"
        if way == "with":
            with stream:
                pass
        elif way == "error":
            with pytest.raises(StreamInterruptedError):
                next(text)
        else:
            {"close": stream.close, "text": text.close, "gateway": gateway.close}[way]()
        assert left.wait(5)
        if way == "gateway":  # which ends it; whoever has it settles it
            with pytest.raises(ClosedError):
                next(text)
        snapshot = gateway._core.store.snapshot()
        assert (snapshot.held_tokens, snapshot.held_requests) == (0, 0)
        assert gateway.budget_used_usd() == PROMPT + 1
        assert next(stream, None) is None if way == "error" else stream is not None


@pytest.mark.parametrize("lock", ["store", "allowance"])
@pytest.mark.parametrize("whose", ["its own", "another"])
def test_p20_a_finaliser_takes_no_lock(
    provider: LocalProvider, build: Any, monkeypatch: pytest.MonkeyPatch, whose: str, lock: str
) -> None:
    """A stream that is collected while its thread, or another, is within a lock of ours waits for nobody, and raises nothing."""
    provider.script(break_stream(9, how="hang"))
    gateway, raised = build(provider), []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    held_lock = getattr(gateway._core, lock)._lock
    by_a_lost_cycle_uncollected(gateway)
    there, go = threading.Event(), threading.Event()

    def hold() -> None:
        with held_lock:
            there.set()
            go.wait(10)

    holder = threading.Thread(target=hold)
    if whose == "another":
        holder.start()
        assert there.wait(5)
        collector = threading.Thread(target=gc.collect)
        collector.start()
        collector.join(5)
        assert not collector.is_alive(), "it waits for the lock"
        go.set()
        holder.join(5)
    else:
        with held_lock:
            gc.collect()
    assert raised == []
    assert key_of(gateway).tpm_inflight == 0
    assert provider.wait_open_connections(0)
    assert (held(gateway), gateway._core.allowance.in_flight, gateway._core.reading) == ((0, 0), 0, {})


def by_a_lost_cycle_uncollected(gateway: Any) -> None:
    """Lose a stream in a cycle, which the collector has not seen yet."""

    class Owner:
        def __init__(self) -> None:
            self.stream, self.me = gateway.stream(REQUEST), self

    gc.collect()
    next(Owner().stream)


def test_a_late_close_changes_nothing(provider: LocalProvider, build: Any) -> None:
    """Closing a stream that came to its end leaves its settlement and its connection as they are."""
    gateway = build(provider)
    with gateway.stream(REQUEST) as stream:
        list(stream)
    stream.close()
    assert gateway.budget_used_usd() == stream.response.usage.total()
    assert provider.open_connections == 1


def test_p06_what_came_bounds_the_charge(build: Any) -> None:
    """However much text has come, a stream that is left costs no more than its output cap allows."""
    with ScriptedServer([expect(), open_stream(data(chunk("x" * 4_000))), stall()]) as server:
        gateway = build(server)
        with gateway.stream(REQUEST) as stream:
            read(stream, 1)
        assert gateway.budget_used_usd() == RESERVED


def test_p18_close_from_another_thread(build: Any) -> None:
    """``close()`` ends a reader that waits, with ``ClosedError``; key and money are settled when it returns."""
    waiting = threading.Event()
    with ScriptedServer([expect(), open_stream(data(chunk("a"))), lambda _: waiting.set(), stall()]) as server:
        gateway = build(server)
        stream = gateway.stream(REQUEST)
        read(stream, 1)
        caught: list[BaseException] = []

        def reader() -> None:
            try:
                next(stream)
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=reader)
        thread.start()
        assert waiting.wait(5)
        wait_until(lambda: stream._turn)
        stream.close()
        assert (held(gateway), gateway.budget_used_usd()) == ((0, 0), PROMPT + 1)
        thread.join(1)
        assert not thread.is_alive()
    assert [type(error) for error in caught] == [ClosedError]
    with pytest.raises(ClosedError):
        next(stream)


def test_close_ends_a_reader_in_backoff(build: Any, events: list[Any]) -> None:
    """A stream that is closed while it waits to be tried again is not tried again."""
    clock = FakeClock()
    with ScriptedServer([expect(), open_stream()], [expect(), respond(500)]) as server:
        gateway = build(server, clock=clock, retry=RetryPolicy(base=30))
        stream = gateway.stream(REQUEST)
        caught: list[BaseException] = []

        def reader() -> None:
            try:
                next(stream)
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=reader)
        thread.start()
        clock.await_sleepers(1)
        stream.close()
        clock.advance(0.06)
        thread.join(5)
        assert [type(error) for error in caught] == [ClosedError]
        assert (server.connections, held(gateway), gateway._core.allowance.in_flight) == (1, (0, 0), 0)
    assert [type(event).__name__ for event in events].count("CallEnded") == 1


@pytest.mark.parametrize("where", ["answer", "key", "its own token"])
def test_p18_close_while_it_is_opened_again(build: Any, where: str) -> None:
    """A stream that is closed while its second attempt waits for a key or for an answer ends then, and holds nothing."""
    token = CancellationToken() if where == "its own token" else None
    first, left = threading.Event(), threading.Event()
    steps: dict[str, Any] = {"retry": RetryPolicy(base=0.001)}
    if where == "key":
        steps["pool_config"] = PoolConfig(acquire_timeout=60)
    rpm_limit = 1 if where == "key" else 9
    with ScriptedServer([expect(), open_stream()], [expect(), lambda _: first.set(), stall(), signal(left)]) as server:
        gateway = build(server, [KeyConfig("sk-1", "k1", rpm_limit=rpm_limit)], **steps)
        stream = gateway.stream(REQUEST, cancel=token)
        caught: list[BaseException] = []

        def reader() -> None:
            try:
                next(stream)
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=reader)
        thread.start()
        wait_until(first.is_set if where != "key" else lambda: gateway._core.routes[0].pool._waiting)
        (stream.close if token is None else token.cancel)()
        thread.join(1)
        assert not thread.is_alive()
        assert where == "key" or left.wait(5)
        assert [type(error) for error in caught] == [ClosedError if token is None else CallCancelledError]
        assert (held(gateway), gateway._core.allowance.in_flight, gateway._core.reading) == ((0, 0), 0, {})
        assert token is None or not token._callbacks
        sent = 1 if where == "key" else 2
        assert (len(server.requests), gateway.budget_used_usd()) == (sent, sent * PROMPT)
    if token is None:
        with pytest.raises(ClosedError):
            next(stream)


def test_a_shared_token_keeps_no_stream_that_was_opened_again(build: Any) -> None:
    """A token that is given to one stream after another, each opened twice, keeps none of them."""
    token = CancellationToken()
    with ScriptedServer([expect(), open_stream()], [expect(), sse(streamed("good"))]) as server:
        gateway = build(server, retry=RetryPolicy(base=0.001))
        stream = gateway.stream(REQUEST, cancel=token)
        assert list(stream.text()) == ["good"]
        assert (token._callbacks, held(gateway)) == ({}, (0, 0))


def test_a_slow_reader_is_not_an_idle_provider(build: Any) -> None:
    """The time that the caller takes between two events does not count as idle."""
    clock = FakeClock()
    with ScriptedServer(
        [expect(), open_stream(data(chunk("a"))), more(data(chunk("b"), chunk(finish="stop"), "[DONE]"))]
    ) as server:
        stream = build(server, clock=clock, timeouts={"idle": 5}).stream(REQUEST)
        read(stream, 1)
        clock.advance(3_600)
        assert list(stream.text()) == ["b"]


def test_many_streams_at_once(provider: LocalProvider, build: Any) -> None:
    """Streams opened and left by many threads leave nothing behind, and the gateway closes meanwhile without a fault."""
    gateway = build(provider, 4)
    for _ in range(30):
        provider.script(break_stream(4, how="hang"))
    barrier, faults = threading.Barrier(6), []

    def work() -> None:
        barrier.wait(5)
        for _ in range(5):
            try:
                with gateway.stream(REQUEST) as stream:
                    read(stream, 1)
            except BaseException as error:
                faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (faults, held(gateway), gateway._core.reading) == ([], (0, 0), {})
    assert provider.wait_open_connections(0)


@pytest.mark.parametrize("failure", [respond(503, body=b"{}"), reset(), send(b"junk\r\n\r\n")], ids=["503", "reset", "junk"])
def test_a_stream_opened_after_a_failure_goes_at_once_too(build: Any, failure: Any) -> None:
    """What the call keeps of earlier failures does not keep its stream: dropping that closes the connection, uncollected."""
    gone = threading.Event()
    with ScriptedServer([expect(), failure], [expect(), open_stream(), stall(), signal(gone)]) as server:
        gateway = build(server, 2)
        gc.collect()
        gc.disable()
        try:
            stream = gateway.stream("hi")
            assert len(stream._walk.call.records) == 1
            del stream
            assert gone.wait(5)
            gateway.pool_status()
            assert held(gateway) == (0, 0)
        finally:
            gc.enable()
