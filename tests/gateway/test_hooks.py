"""Hooks: what they are told, in which order, and that nothing they do reaches a call."""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from typing import Any

import pytest
from gateway_scripts import held, wait_until

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import BadRequestError, NoAvailableKeyError, StreamInterruptedError
from omnillm.state import KeyLease
from omnillm.testing import FakeClock, LocalProvider, break_stream, fail, hang
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import AttemptStarted, CallEnded

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_every_event_in_order(provider: LocalProvider, build: Any, clock: FakeClock, events: list[Any]) -> None:
    """A call tells of each attempt, each wait, each fallback and its end, in the order of time."""
    provider.script(fail(503, times=2), fail(401), fail(500))
    away = (provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], None)
    answer = build(provider, clock=clock, add_fallback=away).call("hi")
    attempt = ["AttemptStarted", "AttemptEnded"]
    assert names(events) == [
        "CallStarted", *attempt, "RetryScheduled", *attempt, "RetryScheduled", *attempt, "FallbackTaken", *attempt,
        "RetryScheduled", *attempt, "CallEnded",
    ]  # fmt: skip
    assert [event.record for event in events if type(event).__name__ == "AttemptEnded"] == list(answer.attempts)
    last = events[-1]
    assert (last.outcome, last.attempts, last.usage, last.cost_usd) == ("ok", answer.attempts, answer.usage, answer.cost_usd)
    assert isinstance(events[1], AttemptStarted)
    assert (events[1].key_label, events[1].model, events[1].reserved_tokens) == ("k1", "m", 1025)
    assert isinstance(events[1].lease, KeyLease)
    assert (events[1].lease.label, events[1].lease.reserved_tokens) == ("k1", 1025)


@pytest.mark.parametrize("how", ["call", "stream"])
def test_a_failed_call_ends_too(provider: LocalProvider, build: Any, events: list[Any], how: str) -> None:
    """A call, or a stream that is never opened, tells of its end where it fails, and where it is not even admitted."""
    gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=1)])
    provider.script(fail(400))
    with pytest.raises(BadRequestError):
        getattr(gateway, how)("hi")
    assert names(events) == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]
    with pytest.raises(NoAvailableKeyError):
        getattr(gateway, how)("hi")
    assert names(events)[4:] == ["CallStarted", "CallEnded"]
    assert [event.outcome for event in events if isinstance(event, CallEnded)] == ["failed", "failed"]


@pytest.mark.parametrize(("end", "outcome"), [("read", "ok"), ("close", "closed"), ("break", "failed")])
def test_a_stream_ends_once(provider: LocalProvider, build: Any, events: list[Any], end: str, outcome: str) -> None:
    """A stream tells of its end when it is over, whichever way, once."""
    if end == "break":
        provider.script(break_stream(3))
    stream = build(provider).stream("one two three")
    assert names(events) == ["CallStarted", "AttemptStarted"]
    with pytest.raises(StreamInterruptedError) if end == "break" else nullcontext():
        next(stream) if end == "close" else list(stream)
    stream.close()
    stream.close()
    assert names(events) == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]
    assert (events[-1].outcome, events[-1].usage is not None) == (outcome, end == "read")


def test_what_a_hook_raises_is_swallowed(
    provider: LocalProvider, build: Any, events: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A hook's exception is logged by its class and the hook's name, and reaches no call, nor the other hooks."""

    def broken(_: Any) -> None:
        raise RuntimeError("sk-1 and all I know")

    assert build(provider, on_event=broken).call("hi").text == "echo: hi"
    assert len(events) == caplog.text.count("RuntimeError") == caplog.text.count("<locals>.broken raised") == 4
    assert "sk-1" not in caplog.text
    assert all(record.exc_info is None for record in caplog.records)


def test_a_hook_may_call_the_gateway(provider: LocalProvider, build: Any) -> None:
    """A hook that calls back, reads the figures or closes a stream neither deadlocks nor disturbs the call."""
    answers: list[str] = []

    def again(event: Any) -> None:
        if len(answers) < 3:
            answers.append("")
            answers.append(gateway.call("from the hook").text)
            gateway.pool_status()
            gateway.budget_used_usd()

    gateway = build(provider, on_event=again)
    worker = threading.Thread(target=gateway.call, args=("hi",))
    worker.start()
    worker.join(10)
    assert not worker.is_alive()
    assert "echo: from the hook" in answers
    assert held(gateway) == (0, 0)


def test_a_hook_that_blocks_holds_up_its_call_alone(provider: LocalProvider, build: Any) -> None:
    """While one call's hook blocks, no lock is held: other calls go on."""
    blocked, go = threading.Event(), threading.Event()

    def block(event: Any) -> None:
        if threading.current_thread().name == "blocked":
            blocked.set()
            go.wait(10)

    gateway = build(provider, on_event=block)
    worker = threading.Thread(target=gateway.call, args=("hi",), name="blocked")
    worker.start()
    assert blocked.wait(5)
    assert gateway.call("meanwhile").text == "echo: meanwhile"
    assert gateway.pool_status()[0].available
    go.set()
    worker.join(5)
    assert not worker.is_alive()


def test_no_lock_is_held_where_users_code_runs(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """The store's lock is free whenever a hook runs, the clock sleeps, or a line is logged."""
    seen: list[str] = []

    def note(what: str) -> None:
        seen.append("held" if gateway._core.store._lock._is_owned() else what)

    def hook(_: Any) -> None:
        note("hook")
        raise LookupError

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note("log")

    sleep = clock.sleep
    clock.sleep = lambda seconds: (note("sleep"), sleep(seconds))[1]  # type: ignore[method-assign]  # the double's own
    handler = Handler()
    logging.getLogger("omnillm").addHandler(handler)
    try:
        provider.script(fail(500))
        gateway = build(provider, clock=clock, on_event=hook)
        gateway.call("hi")
    finally:
        logging.getLogger("omnillm").removeHandler(handler)
    assert set(seen) == {"hook", "log", "sleep"}


@pytest.mark.parametrize("how", ["close", "token", "cancel"])
def test_p19_no_lock_is_held_where_a_future_tells_of_its_end(provider: LocalProvider, build: Any, how: str) -> None:
    """Callbacks of futures that wait for a worker, or run, are entered with neither its lock nor the workers' held."""
    provider.script(hang())
    gateway = build(provider, max_workers=1)
    token, told = CancellationToken(), []
    futures = [gateway.submit("hi", cancel=token) for _ in range(3)]

    def tell(future: Any) -> None:
        locks = (gateway._core.workers._lock, future._gate, future._condition._lock, gateway._core.store._lock)
        told.append([lock._is_owned() for lock in locks])

    for future in futures:
        future.add_done_callback(tell)
    assert provider.wait_requests(1)
    if how == "cancel":
        for future in reversed(futures):
            future.cancel()
    else:
        (gateway.close if how == "close" else token.cancel)()
    for future in futures:
        future.exception(5) if not future.cancelled() else None
    wait_until(lambda: len(told) == 3)
    assert told == [[False] * 4] * 3


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_hook_is_no_fault_of_the_hook(provider: LocalProvider, build: Any, kind: type[BaseException]) -> None:
    """Ctrl-C passes through a hook to the caller; what the call held is back, and nothing was sent."""

    def interrupted(event: Any) -> None:
        if isinstance(event, AttemptStarted):
            raise kind

    gateway = build(provider, on_event=interrupted)
    with pytest.raises(kind):
        gateway.call("hi")
    assert (held(gateway), provider.connections, gateway.budget_used_usd()) == ((0, 0), 0, 0)
    assert gateway.pool_status()[0].rpm_used == 0


def test_an_interrupt_in_a_stream(provider: LocalProvider, build: Any, events: list[Any]) -> None:
    """Ctrl-C while a stream is read ends it: key back, money for what came, no breaker count, no retry."""

    def interrupted(event: Any) -> None:
        if type(event).__name__ == "AttemptEnded":
            raise KeyboardInterrupt

    gateway = build(provider, on_event=interrupted)
    stream = gateway.stream("hi")
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert (held(gateway), gateway._core.allowance.in_flight) == ((0, 0), 0)
    assert gateway.pool_status()[0].consecutive_failures == 0
