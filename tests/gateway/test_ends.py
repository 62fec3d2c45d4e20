"""The ends of calls and streams that somebody else brings about: another thread, an interrupt, the collector, ``close()``."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from gateway_scripts import chunk, data, held, key_of, more, open_stream, streamed, wait_until

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import (
    CallCancelledError,
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    GatewayError,
    StreamInterruptedError,
)
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, reset, respond, send, stall
from omnillm.transport.body import HttpResponse
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import HookEvent


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run it elsewhere; what it gives or raises is put into the list."""
    out: list[Any] = []

    def body() -> None:
        try:
            out.append(work())
        except BaseException as error:
            out.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, out


# --- close() of a stream ------------------------------------------------------------------------------------------------------


def test_closed_between_two_reads(provider: LocalProvider, build: Any) -> None:
    """A reader whose stream another thread closed is told so: what it has is no whole answer."""
    stream = build(provider).stream("one two three")
    next(stream)
    thread, _ = in_thread(stream.close)
    thread.join(5)
    for _ in range(2):
        with pytest.raises(ClosedError):
            next(stream)


def test_closed_before_the_last_events_were_read(build: Any) -> None:
    """An answer that has come, but was not read to its end, is not whole to its reader."""
    with ScriptedServer([expect(), open_stream(streamed("a", "b"))]) as server:
        stream = build(server).stream("hi")
        next(stream)
        stream.close()
        with pytest.raises(ClosedError):
            list(stream)


def test_closed_after_its_end(provider: LocalProvider, build: Any) -> None:
    """A stream that was read to its end has come to its end, closed or not."""
    stream = build(provider).stream("hi")
    list(stream)
    stream.close()
    assert list(stream) == []


@pytest.mark.parametrize("name", ["abort", "close"])
def test_an_interrupted_close_is_done_again(
    provider: LocalProvider, build: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Wherever a ``close()`` is interrupted, the next one, or the collector, closes what is open."""
    gateway = build(provider)
    for again in (True, False):
        stream = gateway.stream("one two three")
        next(stream)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(HttpResponse, name, _interrupted)
            stream.close()
        if again:
            stream.close()
        else:
            del stream
            gc.collect()
        assert key_of(gateway).tpm_inflight == 0
        assert (held(gateway), gateway._core.reading) == ((0, 0), {})
        assert provider.wait_open_connections(0)


def _interrupted(_: HttpResponse) -> None:
    raise KeyboardInterrupt


def test_two_threads_do_not_read_one_stream(build: Any) -> None:
    """The second is refused, and the first reads on."""
    go = threading.Event()
    ending = more(data(chunk("b"), chunk(finish="stop"), "[DONE]"))
    with ScriptedServer([expect(), open_stream(data(chunk("a"))), lambda peer: peer.pause(go), ending]) as server:
        stream = build(server).stream("hi")
        text = stream.text()
        assert next(text) == "a"
        thread, out = in_thread(lambda: list(text))
        wait_until(lambda: stream._turn)
        with pytest.raises(ConfigurationError, match="one thread at a time"):
            next(stream)
        go.set()
        thread.join(5)
    assert (out, stream.response.text) == ([["b"]], "ab")


def test_a_lost_stream_is_reported(provider: LocalProvider, build: Any, events: list[HookEvent]) -> None:
    """The hooks are told of the end of a stream that the collector found, once, by the gateway's next operation."""
    gateway = build(provider)
    stream = gateway.stream("one two three")
    next(stream)
    knot = [stream]
    knot.append(knot)  # type: ignore[arg-type]  # a cycle
    del stream, knot
    gc.collect()
    gateway.pool_status()
    gateway.pool_status()
    assert [type(event).__name__ for event in events] == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]
    ended: Any = events[-1]
    assert (ended.outcome, [record.outcome for record in ended.attempts], ended.attempts[0].status) == ("closed", ["failed"], 200)


# --- close() of the gateway ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("begun", [False, True])
def test_close_ends_what_is_in_flight(build: Any, how: str, *, begun: bool) -> None:
    """A call that waits for its answer, or is in the midst of it, ends at once with ``ClosedError``."""
    waits = threading.Event()
    head = [send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")] if begun else []
    with ScriptedServer([expect(), *head, lambda _: waits.set(), stall()]) as server:
        gateway = build(server)
        thread, out = in_thread(lambda: gateway.call("hi") if how == "call" else list(gateway.stream("hi")))
        assert waits.wait(5)
        gateway.close()
        thread.join(5)
        assert not thread.is_alive()
    assert [(type(error), error.sent != "no", len(error.attempts)) for error in out] == [(ClosedError, True, 1)]
    assert held(gateway) == (0, 0)


# --- what an error says -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_lost_attempt_is_not_denied(build: Any, how: str) -> None:
    """A call that ends in the wait for another attempt says that the first may have been sent."""
    clock, token = FakeClock(), CancellationToken()
    with ScriptedServer([expect(), reset()]) as server:
        gateway = build(server, clock=clock, retry=RetryPolicy(base=30))
        thread, out = in_thread(lambda: gateway.call("hi", cancel=token))
        clock.await_sleepers(1)
        token.cancel() if how == "cancel" else gateway.close()
        clock.advance(1)
        thread.join(5)
    assert [(type(error), error.sent) for error in out] == [(CallCancelledError if how == "cancel" else ClosedError, "maybe")]


def test_a_deadline_in_the_second_admission_denies_nothing(build: Any) -> None:
    """Nor does one whose time runs out while it waits for a key."""
    with ScriptedServer([expect(), reset()]) as server:
        gateway = build(
            server, [KeyConfig("sk-1", "k1", rpm_limit=1)], pool_config=PoolConfig(acquire_timeout=30), retry=RetryPolicy(base=0)
        )
        with pytest.raises(GatewayError) as caught:
            gateway.call("hi", timeout=0.2)
    assert caught.value.sent == "maybe"


def test_the_deadline_of_a_stream_keeps_what_came(build: Any) -> None:
    """``DeadlineExceededError`` has what had arrived."""
    script = [expect(), open_stream(data(chunk("a"))), stall()]
    with ScriptedServer(script) as server, pytest.raises(DeadlineExceededError) as caught:
        list(build(server).stream("hi", timeout=0.2))
    assert str(caught.value.partial_response) == "a"


def test_a_server_forbids_retries_at_its_own_endpoint_alone(build: Any, provider: LocalProvider) -> None:
    """``x-should-retry: false`` leaves the fallbacks, and means nothing for what would not have been tried again."""
    with ScriptedServer([expect(), respond(500, {"x-should-retry": "false"})], [expect(), respond(400)]) as server:
        gateway = build(
            server, add_fallback=(provider.endpoint(ProviderProtocol.OPENAI_CHAT_COMPLETIONS), [KeyConfig("sk-f", "f")])
        )
        response = gateway.call("hi")
        assert [record.key_label for record in response.attempts] == ["k1", "f"]
        with pytest.raises(GatewayError) as caught:
            gateway.call("hi")
    assert (len(caught.value.attempts), server.connections) == (1, 2)


# --- idle, and the allowance --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "noise", [b": keepalive\n\n", data(chunk(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}, choices=[]))]
)
def test_noise_is_no_progress(build: Any, noise: bytes) -> None:
    """Events without content do not end the time in which some must come, however many there are."""
    noisy = [step for _ in range(30) for step in (more(noise), lambda peer: peer.pause(seconds=0.05))]
    ending = more(data(chunk("b"), chunk(finish="stop"), "[DONE]"))
    with ScriptedServer([expect(), open_stream(data(chunk("a"))), *noisy, ending]) as server:
        stream = build(server, timeouts={"idle": 0.4}).stream("hi")
        with pytest.raises(StreamInterruptedError) as caught:
            list(stream)
    assert (caught.value.phase, str(caught.value.partial_response)) == ("idle", "a")


def test_streams_that_were_tried_again_hold_no_retries(provider: LocalProvider, build: Any) -> None:
    """A stream that is open after a retry does not keep another call from its own."""
    gateway = build(provider)
    streams = []
    for _ in range(4):
        provider.script(fail(500))
        streams.append(gateway.stream("one two three"))
    assert gateway._core.allowance.retrying == 0
    for stream in streams:
        stream.close()


def test_a_stream_whose_opening_was_cut_short_does_no_harm(provider: LocalProvider, build: Any) -> None:
    """An interrupt between the making of a stream's mark and its entry leaves one that has no hash; the gateway works on."""

    class Stream:
        pass

    gateway, stream = build(provider), Stream()
    mark = weakref.ref(stream, gateway._core.lost.append)
    del stream
    assert list(gateway._core.lost) == [mark]
    assert gateway.call("hi").text == "echo: hi"
    assert not gateway._core.lost
