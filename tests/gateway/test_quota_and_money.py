"""What the promises about quota and money say, word for word: nothing is kept, nothing is lost, nothing counts twice."""

from __future__ import annotations

import gc
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gateway_scripts import chunk, data, held, key_of, open_stream, wait_until, whole

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import (
    AdmissionError,
    BudgetExceededError,
    ClosedError,
    DeadlineExceededError,
    GatewayError,
    NoAvailableKeyError,
)
from omnillm.policy.limits import Budget, ModelLimits, PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, respond, signal, sse, stall, wait
from omnillm.types.enums import ProviderProtocol
from omnillm.types.request import GenerationConfig, LlmRequest

TEN = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=10))
PROMPT = TEN.estimated_prompt_tokens()
RESERVED = PROMPT + 10


def answer(prompt: int, output: int) -> bytes:
    """Give the body of an answer that reports so much."""
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    return json.dumps({**json.loads(whole()), "usage": usage}).encode()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is collected but what nobody refers to any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
@pytest.mark.parametrize("where", ["call", "stream", "event"])
def test_p01_who_keeps_an_interrupt_keeps_no_quota(
    build: Any, uncollected: None, monkeypatch: pytest.MonkeyPatch, where: str, kind: type[BaseException]
) -> None:
    """What ends a call, of whatever kind, gives everything back at once, though its traceback is kept."""
    left = threading.Event()
    first = [open_stream(data(chunk("a")))] if where == "event" else []

    def interrupt(*_: object) -> int:
        raise kind

    with ScriptedServer([expect(), *first, stall(), signal(left)]) as server:
        gateway = build(server, budget_limit_usd=1e6)
        stream = None
        if where == "event":
            stream = gateway.stream(TEN)
            while next(stream.text(), None) != "a":
                pass
        with monkeypatch.context() as patch, pytest.raises(kind) as kept:
            patch.setattr(socket.socket, "recv_into", interrupt)
            if stream is not None:
                list(stream)
            gateway.call(TEN) if where == "call" else gateway.stream(TEN)
        assert kept.value.__traceback__ is not None
        assert (held(gateway), gateway._core.allowance.in_flight, gateway._core.reading) == ((0, 0), 0, {})
        assert left.wait(5)
        status = key_of(gateway)
        assert (status.tpm_inflight, status.rpm_used, status.consecutive_failures) == (0, 1, 0)
        assert gateway.budget_used_usd() == PROMPT + (where == "event")
        assert gateway.budget_remaining_usd() + gateway.budget_used_usd() == 1e6


def test_p03_only_what_calls_in_flight_cost_above_their_reservations_comes_on_top(build: Any) -> None:
    """Where calls cost more than was reserved, that sum passes the limit and no more: nothing is admitted after it is known."""
    calls, more_each = 4, 25
    there, go, ended = threading.Semaphore(0), threading.Event(), []
    script = [expect(), lambda _: there.release(), wait(go), respond(body=answer(PROMPT + more_each, 10))]
    limit = float(calls * RESERVED + RESERVED - 1)  # room for four, and not for a fifth
    with ScriptedServer(*[script] * calls, [expect(), respond(body=answer(PROMPT, 10))]) as server:
        gateway = build(server, budget_limit_usd=limit)

        def one() -> None:
            ended.append(gateway.call(TEN).cost_usd)

        threads = [threading.Thread(target=one) for _ in range(calls)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert there.acquire(timeout=5)
        with pytest.raises(BudgetExceededError) as caught:
            gateway.call(TEN)
        assert (caught.value.used_usd, caught.value.reserved_usd) == (0, calls * RESERVED)
        assert caught.value.used_usd + caught.value.reserved_usd <= limit
        go.set()
        for thread in threads:
            thread.join(5)
        assert ended == [RESERVED + more_each] * calls
        assert gateway.budget_used_usd() == sum(ended) == calls * (RESERVED + more_each)
        assert limit < gateway.budget_used_usd() <= limit + calls * more_each
        assert gateway.budget_remaining_usd() == 0
        with pytest.raises(BudgetExceededError):
            gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=1)))
        assert len(server.requests) == calls


def test_p03_nothing_comes_on_top_where_the_cap_is_kept(build: Any) -> None:
    """With an output cap that the provider keeps, and a prompt as estimated, a budget is met to the cent and never passed."""
    with ScriptedServer([step for _ in range(9) for step in (expect(), respond(body=answer(PROMPT, 10)))]) as server:
        gateway = build(server, budget_limit_usd=float(3 * RESERVED + 5))
        refused = 0
        for _ in range(9):
            try:
                gateway.call(TEN)
            except BudgetExceededError:
                refused += 1
        assert (gateway.budget_used_usd(), refused, len(server.requests)) == (3 * RESERVED, 6, 3)


@pytest.mark.parametrize("window", ["day", "month"])
def test_p03_what_is_in_flight_counts_in_the_window_to_come(build: Any, clock: FakeClock, window: Any) -> None:
    """A day or month that ends while a call runs forgets what was spent, and not what is reserved."""
    go, there = threading.Event(), threading.Event()
    late = [expect(), signal(there), wait(go), respond(body=answer(PROMPT, 10))]
    with ScriptedServer(late, [expect(), respond(body=answer(PROMPT, 10))]) as server:
        gateway = build(server, budget=Budget(float(RESERVED + 5), window=window), clock=clock)
        thread = threading.Thread(target=gateway.call, args=(TEN,))
        thread.start()
        assert there.wait(5)
        clock.step_wall(40 * 86_400.0)
        with pytest.raises(BudgetExceededError) as caught:
            gateway.call(TEN)
        assert (caught.value.used_usd, caught.value.reserved_usd) == (0, RESERVED)
        go.set()
        thread.join(5)
        with pytest.raises(BudgetExceededError) as caught:
            gateway.call(TEN)
        assert (caught.value.used_usd, caught.value.reserved_usd) == (RESERVED, 0)


def test_p05_a_stream_that_two_threads_close_while_a_third_reads_is_paid_once(build: Any) -> None:
    """Whoever closes it, and whoever is woken by that, settle one call: one charge, one record, one end."""
    with ScriptedServer([expect(), open_stream(data(chunk("abcd"))), stall()]) as server:
        told: list[Any] = []
        gateway = build(server, on_event=told.append, budget_limit_usd=1e6)
        stream = gateway.stream(TEN)
        while next(stream.text(), None) != "abcd":
            pass
        barrier, caught = threading.Barrier(2), []

        def read() -> None:
            try:
                list(stream)
            except BaseException as error:
                caught.append(type(error))

        def close() -> None:
            barrier.wait(5)
            stream.close()

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: stream._turn)
        closers = [threading.Thread(target=close) for _ in range(2)]
        for thread in closers:
            thread.start()
        for thread in (*closers, reader):
            thread.join(5)
        stream.close()
        gc.collect()
        assert (caught, held(gateway)) == ([ClosedError], (0, 0))
        assert gateway.budget_used_usd() == PROMPT + 1 == key_of(gateway).tpm_used
        assert [type(event).__name__ for event in told] == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]


@pytest.mark.parametrize("way", ["close", "del", "cycle", "break"])
@pytest.mark.parametrize(("told", "due"), [({"input_tokens": 90, "output_tokens": 1}, 90), ({"input_tokens": 0}, 0)])
def test_p06_what_was_reported_before_a_stream_was_left_is_paid(build: Any, way: str, told: dict[str, int], due: int) -> None:
    """Usage that came before the stream was left counts, where it is more than the estimate; never less than that is charged."""
    started = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": told}
    events = [
        ("message_start", {"message": started}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "x" * 20}}),
    ]
    body = "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n" for kind, fields in events).encode()
    with ScriptedServer([expect(), open_stream(body), stall()]) as server:
        gateway = build(server, protocol=ProviderProtocol.CLAUDE_MESSAGES, budget_limit_usd=1e6)
        leave: dict[str, Callable[[Any], object]] = {"close": lambda stream: stream.close(), "cycle": _into_a_cycle}
        stream = gateway.stream(TEN)
        for text in stream.text():
            assert text == "x" * 20
            if way == "break":
                break
            leave.get(way, bool)(stream)
            break
        del stream
        gc.collect()
        assert (held(gateway), gateway.budget_used_usd()) == ((0, 0), max(PROMPT, due) + 5)


def _into_a_cycle(stream: Any) -> None:
    class Owner:
        pass

    owner: Any = Owner()
    owner.me, owner.stream = owner, stream


@pytest.mark.parametrize("piece", ["tool", "reasoning", "refusal"])
def test_p06_every_kind_of_output_is_paid(build: Any, piece: str) -> None:
    """Of a stream that is left not the visible text alone is paid: arguments, reasoning and refusals were written too."""
    delta = {
        "tool": {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "x" * 20}}]},
        "reasoning": {"reasoning_content": "x" * 20},
        "refusal": {"refusal": "x" * 20},
    }[piece]
    frame = json.dumps({"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta}]})
    with ScriptedServer([expect(), open_stream(data(frame)), stall()]) as server:
        gateway = build(server, budget_limit_usd=1e6)
        stream = gateway.stream(TEN)
        while not any(getattr(event, "delta", "") for event in [next(stream)]):
            pass
        stream.close()
        assert gateway.budget_used_usd() == PROMPT + 5


REFUSED: dict[str, tuple[dict[str, Any], Any]] = {
    "breaker": ({"pool_config": PoolConfig(circuit_breaker_threshold=1)}, "breaker"),
    "cooling": ({}, "cooling"),
    "dead": ({}, "dead"),
    "window": ({}, "window"),
    "tokens": ({}, "window"),
    "model": ({}, "window"),
    "too large": ({}, "too_large"),
    "money": ({"budget_limit_usd": RESERVED + 1.0}, None),
    "tenant": ({"budget": Budget(RESERVED + 1.0, scope="tenant")}, None),
    "key": ({"budget": Budget(RESERVED + 1.0, scope="key")}, None),
}


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("why", REFUSED)
def test_p07_whatever_refuses_a_call_it_leaves_no_trace(provider: LocalProvider, build: Any, why: str, how: str) -> None:
    """Refused for a key of any state, for its size, or for money of any scope: not a byte is sent, nothing counts."""
    steps, reason = REFUSED[why]
    limits = {"window": {"rpm_limit": 1}, "tokens": {"tpm_limit": RESERVED + 1}}.get(why, {})
    models = {"m": ModelLimits(RESERVED + 1, 9)} if why == "model" else None
    gateway = build(provider, [KeyConfig("sk-1", "k1", models=models, **limits)], retry=RetryPolicy(max_attempts=1), **steps)
    status = {"breaker": 500, "cooling": 429, "dead": 401}.get(why)
    if status is not None:
        provider.script(fail(status))
    if why != "too large":
        try:
            gateway.call(TEN, tenant="t")
        except GatewayError:
            assert status is not None
    wait_until(lambda: provider.open_connections <= 1)
    seen = gateway.pool_status(), gateway._core.store.snapshot(), provider.connections, len(provider.requests)
    asked = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=10**9)) if why == "too large" else TEN
    for _ in range(3):
        with pytest.raises(AdmissionError) as caught:
            getattr(gateway, how)(asked, tenant="t")
        if reason is None:
            assert isinstance(caught.value, BudgetExceededError)
        else:
            assert isinstance(caught.value, NoAvailableKeyError)
            assert caught.value.reason == reason
        assert (caught.value.sent, caught.value.attempts) == ("no", ())
    now = gateway.pool_status(), gateway._core.store.snapshot(), provider.connections, len(provider.requests)
    assert [_without_times(one) for one in now] == [_without_times(one) for one in seen]
    assert (held(gateway), gateway._core.allowance.in_flight) == ((0, 0), 0)


def _without_times(value: object) -> object:
    """Give a status without the moments in it, which two clocks make, and so differ by a hair."""
    return re.sub(r"(until=)[0-9.e+]+", r"\1…", repr(value))


def test_p09_where_retry_unknown_is_off_a_refused_call_is_tried_again_all_the_same(build: Any, clock: FakeClock) -> None:
    """What the provider refused, or never got, is no unknown outcome: 503, 529, 500 and 429 are tried again, and cost nothing."""
    policy = RetryPolicy(retry_unknown=False, max_attempts=4, base=0.001)
    refusals = [step for status in (503, 529, 500) for step in (expect(), respond(status, body=b"{}"))]
    limited = [expect(), respond(429, {"Retry-After": "1"}, b"{}")]
    with ScriptedServer([*refusals, *limited, expect(), respond(body=answer(PROMPT, 2))]) as server:
        gateway = build(server, 5, clock=clock, retry=policy)
        response = gateway.call(TEN)
        assert [record.status for record in response.attempts] == [503, 529, 500, 429, 200]
        assert gateway.budget_used_usd() == response.cost_usd == PROMPT + 2


UNKNOWN: dict[str, list[Any]] = {
    "no answer": [expect()],
    "a cut head": [expect(), lambda peer: peer.sock.sendall(b"HTTP/1.1 200 OK\r\nConten")],
    "no HTTP": [expect(), lambda peer: peer.sock.sendall(b"garbage\r\n\r\n")],
    "a cut body": [expect(), lambda peer: peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")],
    "half a JSON": [expect(), respond(body=whole()[:-20])],
    "a page": [expect(), respond(headers={"Content-Type": "text/html"}, body=b"<html>")],
    "a cut stream": [expect(), open_stream()],
    "a broken event": [expect(), sse(b"data: {broken\n\n")],
}


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("what", UNKNOWN)
def test_p09_an_unknown_outcome_is_tried_again_only_where_that_is_allowed(build: Any, what: str, allowed: bool) -> None:
    """Whatever was lost after sending: one request where the policy forbids another, else all; each prompt is paid."""
    streamed = what in ("a cut stream", "a broken event")
    with ScriptedServer(UNKNOWN[what]) as server:
        gateway = build(server, 2, retry=RetryPolicy(max_attempts=3, base=0.001, retry_unknown=allowed))
        with pytest.raises(GatewayError) as caught:
            list(gateway.stream(TEN)) if streamed else gateway.call(TEN)
        tries = 3 if allowed else 1
        assert (len(server.requests), len(caught.value.attempts)) == (tries, tries)
        assert (gateway.budget_used_usd(), held(gateway)) == (tries * PROMPT, (0, 0))


def test_p09_a_time_out_after_sending_is_not_tried_again(build: Any) -> None:
    """Though the call has time left, and keys: what was slow once would be as slow again, and as dear."""
    with ScriptedServer([expect(), stall()]) as server:
        gateway = build(server, 3, timeouts={"first_byte": 0.1}, retry=RetryPolicy(max_attempts=3, base=0.001))
        with pytest.raises(DeadlineExceededError) as caught:
            gateway.stream(TEN)
        assert (caught.value.phase, caught.value.sent, len(caught.value.attempts)) == ("first_byte", "maybe", 1)
        assert (len(server.requests), gateway.budget_used_usd(), held(gateway)) == (1, PROMPT, (0, 0))


def test_p09_only_a_reused_connection_is_replaced_unseen(build: Any) -> None:
    """Even where the policy forbids it a kept connection that is dead is replaced; one that answered a byte is not."""
    kept = [expect(), respond(body=answer(PROMPT, 2)), expect()]
    with ScriptedServer(kept, [expect(), respond(body=answer(PROMPT, 2))]) as server:
        gateway = build(server, retry=RetryPolicy(retry_unknown=False))
        responses = [gateway.call(TEN) for _ in range(2)]
        assert [len(response.attempts) for response in responses] == [1, 1]
        assert (len(server.requests), gateway.budget_used_usd()) == (3, 2 * (PROMPT + 2))
    with ScriptedServer([*kept, lambda peer: peer.sock.sendall(b"HTTP/1.1 2")]) as server:
        gateway = build(server, retry=RetryPolicy(retry_unknown=False))
        gateway.call(TEN)
        with pytest.raises(GatewayError):
            gateway.call(TEN)
        assert (len(server.requests), server.connections) == (2, 1)


@pytest.mark.parametrize("how", ["cancel", "deadline", "400", "404", "422", "Ctrl-C", "left", "lost", "lost in a cycle"])
def test_p40_what_says_nothing_about_a_key_never_opens_its_breaker(
    build: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """However often: the caller's mistakes, its cancellations and interrupts, and streams it left, are no failures."""
    pool = PoolConfig(circuit_breaker_threshold=1)
    steps: Any = [open_stream(data(chunk("a"))), stall()] if how.startswith(("left", "lost")) else [stall()]
    if how.isdigit():
        steps = [respond(int(how), body=b"{}")]
    with ScriptedServer([expect(), *steps]) as server:
        gateway = build(server, pool_config=pool)

        def once() -> None:
            if how == "cancel":
                token = CancellationToken()
                timer = threading.Timer(0.02, token.cancel)
                timer.start()
                gateway.call(TEN, cancel=token)
            elif how == "Ctrl-C":
                with monkeypatch.context() as patch:
                    patch.setattr(socket.socket, "recv_into", _interrupt)
                    gateway.call(TEN)
            elif how == "deadline":
                gateway.call(TEN, timeout=1e-9)  # over before anything is sent
            elif how == "left":
                with gateway.stream(TEN) as stream:
                    next(stream)
            elif how == "lost":
                next(gateway.stream(TEN))
            elif how == "lost in a cycle":
                _into_a_cycle(gateway.stream(TEN))
                gc.collect()
            else:
                gateway.call(TEN)

        for _ in range(3):
            try:
                once()
            except AdmissionError:
                raise
            except (GatewayError, KeyboardInterrupt):
                pass
        status = key_of(gateway)
        assert (status.available, status.reason, status.consecutive_failures) == (True, None, 0)


def _interrupt(*_: object) -> int:
    raise KeyboardInterrupt


def test_p40_401_and_403_are_matters_of_the_key_not_of_its_endpoint(provider: LocalProvider, build: Any) -> None:
    """A key that is refused counts no failure for any breaker: the other key of the endpoint is asked at once, and answers."""
    provider.script(fail(401), fail(403))
    gateway = build(provider, 3, pool_config=PoolConfig(circuit_breaker_threshold=1))
    response = gateway.call(TEN)
    assert [record.status for record in response.attempts] == [401, 403, 200]
    assert len({record.key_label for record in response.attempts}) == 3
    assert [status.consecutive_failures for status in gateway.pool_status()] == [0, 0, 0]
    assert sorted(status.dead for status in gateway.pool_status()) == [False, False, True]
