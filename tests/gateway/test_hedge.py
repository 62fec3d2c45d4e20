"""Hedging: a second attempt beside a late one; the first answer wins, and the other leaves nothing behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from typing import Any

import pytest
from gateway_scripts import held, key_of, labels, open_stream, streamed, wait_until, whole

from omnillm._cancel import CancellationToken
from omnillm.config import KeyConfig
from omnillm.errors import (
    BadRequestError,
    CallCancelledError,
    ClosedError,
    ConnectionLostError,
    DeadlineExceededError,
    RateLimitedError,
    ServerError,
)
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Step, expect, reset, respond, send, sse, stall, wait
from omnillm.testing.scripted import signal as tell
from omnillm.types.hooks import AttemptEnded, HedgeStarted
from omnillm.types.request import LlmRequest

PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()  # dollars, too
COST = 8.0  # of a whole answer
SOON = RetryPolicy(hedge_after=0.02, base=0.001)
LATE = [expect(), stall()]
ANSWER = [expect(), respond(body=whole("second"))]
STREAM = [expect(), open_stream(streamed("second")), send(b"0\r\n\r\n")]


def hedges() -> list[str]:
    """Name the threads of second attempts that run."""
    return [thread.name for thread in threading.enumerate() if thread.name == "omnillm-hedge"]


def nothing_is_left(gateway: Any) -> None:
    """No lease, no money and no thread is held."""
    wait_until(lambda: not hedges())
    assert held(gateway) == (0, 0)
    assert gateway._core.allowance.retrying == 0
    assert [status.consecutive_failures for status in gateway.pool_status()] == [0] * len(gateway.pool_status())


def ask(gateway: Any, how: str, **options: Any) -> Any:
    """Call, or read a stream to its end; give the response."""
    if how == "call":
        return gateway.call("hi", **options)
    stream = gateway.stream("hi", **options)
    list(stream)
    return stream.response


def pause(seconds: float) -> Step:
    """Let real time pass on the server's side."""
    return lambda peer: peer.pause(seconds=seconds)


# --- who wins -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["call", "stream"])
def test_the_second_attempt_wins(build: Any, events: list[Any], how: str) -> None:
    """Where the first byte is late the other key answers; the first connection is closed, its key blamed for nothing."""
    left = threading.Event()
    with ScriptedServer([*LATE, tell(left)], ANSWER if how == "call" else STREAM) as server:
        gateway = build(server, 2, retry=SOON)
        response = ask(gateway, how)
        assert response.text == "second"
        assert left.wait(5)
        assert (len(server.requests), server.connections) == (2, 2)
        assert len({request.headers["authorization"] for request in server.requests}) == 2
        assert sorted(labels(response)) == ["k1", "k2"]
        assert {record.outcome: record.key_label for record in response.attempts}["ok"] == response.key_label
        assert [record.sent for record in response.attempts] == ["maybe", "yes"]
        assert gateway.budget_used_usd() == PROMPT + response.cost_usd
        assert [type(event).__name__ for event in events].count("HedgeStarted") == 1
        assert sum(isinstance(event, AttemptEnded) for event in events) == 2
        nothing_is_left(gateway)


def test_the_second_attempt_of_an_endpoint_wins(build: Any) -> None:
    """A call of another endpoint tells of both attempts too, and pays for both."""
    vectors = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    body = json.dumps({**vectors, "usage": {"prompt_tokens": 2, "total_tokens": 2}}).encode()
    with ScriptedServer(LATE, [expect(), respond(body=body)]) as server:
        gateway = build(server, 2, retry=SOON)
        answer = gateway.embed("hi there")
        assert [record.outcome for record in answer.attempts] == ["failed", "ok"]
        assert sorted(labels(answer)) == ["k1", "k2"]
        assert gateway.budget_used_usd() == 2 + answer.cost_usd == 4
        nothing_is_left(gateway)


@pytest.mark.parametrize("how", ["call", "stream"])
def test_the_first_attempt_wins_after_all(build: Any, how: str) -> None:
    """Where the first answers while the second waits, the second is closed and charged its prompt."""
    asked, left = threading.Event(), threading.Event()
    answer = respond(body=whole("first")) if how == "call" else sse(streamed("first"))
    with ScriptedServer([expect(), wait(asked), answer], [expect(), tell(asked), stall(), tell(left)]) as server:
        gateway = build(server, 2, retry=SOON)
        response = ask(gateway, how)
        assert response.text == "first"
        assert left.wait(5)
        assert sorted(labels(response)) == ["k1", "k2"]
        assert gateway.budget_used_usd() == PROMPT + response.cost_usd
        nothing_is_left(gateway)


def test_in_time_there_is_no_second(build: Any, events: list[Any]) -> None:
    """An attempt that answers in time starts no thread and sends nothing twice."""
    with ScriptedServer([expect(), respond(body=whole()), expect(), respond(body=whole())]) as server:
        gateway = build(server, 2, retry=RetryPolicy(hedge_after=30))
        for _ in range(2):
            assert len(gateway.call("hi").attempts) == 1
        assert (len(server.requests), hedges()) == (2, [])
        assert not any(isinstance(event, HedgeStarted) for event in events)


def test_a_body_that_takes_long_is_not_late(build: Any) -> None:
    """What is late is the first byte: an answer that has begun has no second beside it."""
    go = threading.Event()
    body = whole("slow")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    timer = threading.Timer(0.15, go.set)
    with ScriptedServer([expect(), send(head), wait(go), send(body)]) as server:
        gateway = build(server, 2, retry=RetryPolicy(hedge_after=0.1))
        timer.start()
        assert gateway.call("hi").text == "slow"
        timer.join()
        assert len(server.requests) == 1


# --- what forbids it ----------------------------------------------------------------------------------------------------------


FORBIDDEN: dict[str, tuple[int | list[KeyConfig], dict[str, Any]]] = {
    "no other key": (1, {}),
    "no attempt left": (2, {"retry": RetryPolicy(max_attempts=1, hedge_after=0.02)}),
    "no money": (2, {"budget_limit_usd": PROMPT + 1024 + 5.0}),
}


@pytest.mark.parametrize("why", FORBIDDEN)
def test_no_second_without_admission(build: Any, why: str) -> None:
    """Without another key, an attempt left or the money, the first is waited for, and nothing else is sent."""
    keys, steps = FORBIDDEN[why]
    go = threading.Event()
    with ScriptedServer([expect(), wait(go), respond(body=whole("first"))]) as server:
        gateway = build(server, keys, **{"retry": SOON, **steps})
        timer = threading.Timer(0.2, go.set)
        timer.start()
        response = gateway.call("hi")
        timer.join()
        assert (response.text, len(response.attempts), len(server.requests)) == ("first", 1, 1)
        nothing_is_left(gateway)


def test_one_second_attempt_in_a_call(build: Any, events: list[Any]) -> None:
    """Where both have failed, the attempt that follows is late without another one beside it."""
    go = threading.Event()
    failing = [expect(), wait(go), respond(500, body=b"{}")]
    second = [expect(), tell(go), respond(500, body=b"{}")]
    with ScriptedServer(failing, second, [*LATE]) as server:
        gateway = build(server, 4, retry=RetryPolicy(max_attempts=9, hedge_after=0.02, base=0.001))
        with pytest.raises(DeadlineExceededError) as caught:
            gateway.call("hi", timeout=0.5)
        assert [record.status for record in caught.value.attempts] == [500, 500, None]
        assert len(set(labels(caught.value))) == 3
        assert sum(isinstance(event, HedgeStarted) for event in events) == 1


# --- failures beside each other -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["first", "second"])
@pytest.mark.parametrize("answer", [respond(500, body=b"{}"), respond(429, body=b"{}"), reset()], ids=["500", "429", "reset"])
def test_a_failure_leaves_the_call_to_the_other(build: Any, failing: str, answer: Step) -> None:
    """One of the two fails, the other answers: the call has its answer, and the failing key its due."""
    both, failed = threading.Event(), threading.Event()
    bad = [expect(), tell(both) if failing == "second" else wait(both), tell(failed), answer]
    good = [expect(), wait(failed) if failing == "second" else tell(both), pause(0.1), respond(body=whole("good"))]
    with ScriptedServer(*([bad, good] if failing == "first" else [good, bad])) as server:
        gateway = build(server, 2, retry=SOON)
        response = gateway.call("hi")
        assert response.text == "good"
        assert [record.outcome for record in response.attempts] == ["failed", "ok"]
        key = key_of(gateway, response.attempts[0].key_label)
        assert key.reason == "cooling" or key.consecutive_failures == 1
        assert held(gateway) == (0, 0)
        wait_until(lambda: not hedges())


@pytest.mark.parametrize(
    ("first", "second", "raised", "requests"),
    [
        (500, 500, ServerError, 3),
        (500, 400, BadRequestError, 2),
        (400, 500, BadRequestError, 2),
        (429, 429, RateLimitedError, 2),
        (429, 500, ServerError, 4),  # the first spent nothing
        (500, 429, ServerError, 3),
    ],
)
def test_both_fail(build: Any, first: int, second: int, raised: type[Exception], requests: int) -> None:
    """What follows is as after any two attempts: another key, another try, or the error that is final."""
    go = threading.Event()
    one = [expect(), wait(go), pause(0.02), respond(first, body=b"{}")]
    other = [expect(), tell(go), respond(second, body=b"{}")]
    with ScriptedServer(one, other, [expect(), respond(500, body=b"{}")]) as server:
        gateway = build(server, max(requests, 2), retry=SOON)
        with pytest.raises(raised) as caught:
            gateway.call("hi")
        assert len(server.requests) == len(caught.value.attempts) == requests  # type: ignore[attr-defined]  # a GatewayError
        assert sorted(record.status for record in caught.value.attempts)[:2]  # type: ignore[attr-defined]
        assert len(set(labels(caught.value))) == requests
        assert held(gateway) == (0, 0)


def test_an_unknown_outcome_of_either_is_final_where_the_policy_says_so(build: Any) -> None:
    """With ``retry_unknown=False`` nothing follows where one of the two was perhaps answered, whatever the other's error is."""
    go = threading.Event()
    with ScriptedServer(
        [expect(), wait(go), pause(0.05), respond(500, body=b"{}")], [expect(), tell(go), reset()], ANSWER
    ) as server:
        gateway = build(server, 3, retry=RetryPolicy(hedge_after=0.02, base=0.001, retry_unknown=False))
        with pytest.raises(ConnectionLostError):
            gateway.call("hi")
        assert len(server.requests) == 2


def test_the_second_counts_among_the_attempts(build: Any) -> None:
    """With two attempts in all, the two beside each other are all there are."""
    go = threading.Event()
    with ScriptedServer([expect(), wait(go), reset()], [expect(), tell(go), pause(0.05), reset()], ANSWER) as server:
        gateway = build(server, 3, retry=RetryPolicy(max_attempts=2, hedge_after=0.02, base=0.001))
        with pytest.raises(ConnectionLostError) as caught:
            gateway.call("hi")
        assert len(caught.value.attempts) == len(server.requests) == 2
        assert gateway.budget_used_usd() == 2 * PROMPT


# --- what ends both -----------------------------------------------------------------------------------------------------------


def ended(server: ScriptedServer) -> None:
    """Wait until both connections were asked."""
    wait_until(lambda: len(server.requests) == 2)


ENDS: dict[str, type[BaseException]] = {"cancel": CallCancelledError, "close": ClosedError}


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("end", ENDS)
def test_an_end_from_outside_ends_both(build: Any, how: str, end: str) -> None:
    """A token's ``cancel`` and the gateway's ``close`` close both connections; both prompts are charged, no key is blamed."""
    gone = [threading.Event(), threading.Event()]
    token, caught = CancellationToken(), []
    with ScriptedServer(*([*LATE, tell(event)] for event in gone)) as server:
        gateway = build(server, 2, retry=SOON)

        def run() -> None:
            try:
                ask(gateway, how, cancel=token)
            except BaseException as error:  # looked at below
                caught.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        ended(server)
        token.cancel() if end == "cancel" else gateway.close()
        thread.join(1)
        assert [type(error) for error in caught] == [ENDS[end]]
        assert all(event.wait(5) for event in gone)
        assert len(caught[0].attempts) == 2
        assert gateway.budget_used_usd() == 2 * PROMPT
        nothing_is_left(gateway)
        assert not token._callbacks


@pytest.mark.parametrize("how", ["call", "stream"])
def test_the_deadline_ends_both(build: Any, how: str) -> None:
    """The deadline is one over both; the error says where the time was spent."""
    with ScriptedServer(LATE) as server:
        gateway = build(server, 2, retry=SOON)
        before = time.monotonic()
        with pytest.raises(DeadlineExceededError) as caught:
            ask(gateway, how, timeout=0.3)
        assert time.monotonic() - before < 1.3
        assert (caught.value.phase, caught.value.sent, len(caught.value.attempts)) == ("first_byte", "maybe", 2)
        assert gateway.budget_used_usd() == 2 * PROMPT
        assert held(gateway) == (0, 0)
        wait_until(lambda: not hedges())


def test_the_deadline_while_only_the_second_runs(build: Any) -> None:
    """Where the first has failed and the second is waited for, the deadline ends that wait, too."""
    go = threading.Event()
    with ScriptedServer([expect(), wait(go), reset()], [expect(), tell(go), stall()]) as server:
        gateway = build(server, 2, retry=SOON)
        with pytest.raises(DeadlineExceededError) as caught:
            gateway.call("hi", timeout=0.3)
        assert (caught.value.phase, len(caught.value.attempts)) == ("first_byte", 2)
        assert held(gateway) == (0, 0)


@pytest.mark.parametrize("end", ENDS)
def test_an_end_while_only_the_second_runs(build: Any, end: str) -> None:
    """The wait for the second alone ends at once on ``cancel`` and ``close``."""
    go, token, caught = threading.Event(), CancellationToken(), []
    with ScriptedServer([expect(), wait(go), reset()], [expect(), tell(go), stall()]) as server:
        gateway = build(server, 2, retry=SOON)

        def run() -> None:
            with pytest.raises(ENDS[end]) as raised:
                gateway.call("hi", cancel=token)
            caught.append(raised.value)

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(gateway.budget_used_usd)  # the first was lost, and charged
        token.cancel() if end == "cancel" else gateway.close()
        thread.join(1)
        assert len(caught[0].attempts) == 2
        assert sorted(status.consecutive_failures for status in gateway.pool_status()) == [0, 1]
        assert held(gateway) == (0, 0)


@pytest.mark.parametrize("how", ["call", "stream"])
def test_ctrl_c_while_both_run(build: Any, how: str) -> None:
    """Ctrl-C ends both at once, closes both connections and gives everything back."""
    gone = [threading.Event(), threading.Event()]
    with ScriptedServer(*([*LATE, tell(event)] for event in gone)) as server:
        gateway = build(server, 2, retry=SOON)
        thread = threading.Thread(target=lambda: (ended(server), os.kill(os.getpid(), signal.SIGINT)))
        thread.start()
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ask(gateway, how)
        assert time.monotonic() - before < 2
        thread.join()
        assert all(event.wait(5) for event in gone)
        assert gateway.budget_used_usd() == 2 * PROMPT
        nothing_is_left(gateway)


def test_a_fork_while_both_run(build: Any) -> None:
    """In the child of a fork nothing is held and calls work; the parent's two attempts go on undisturbed."""
    go = threading.Event()
    with ScriptedServer(
        LATE, [expect(), wait(go), respond(body=whole("second"))], [expect(), respond(body=whole("child"))]
    ) as server:
        gateway, told = build(server, 2, retry=SOON), []
        thread = threading.Thread(target=lambda: told.append(gateway.call("hi")))
        thread.start()
        ended(server)
        child = os.fork()
        if not child:
            ok = held(gateway) == (0, 0) and gateway.call("hi", timeout=5).text == "child"
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go.set()
        thread.join(5)
        assert told[0].text == "second"
        nothing_is_left(gateway)


# --- the stream that won ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["close", "drop"])
def test_a_stream_that_won_is_left_as_any_other(build: Any, leave: str) -> None:
    """Leaving the second attempt's stream closes its connection at once, without waiting for a collection."""
    gone = threading.Event()
    with ScriptedServer(LATE, [expect(), open_stream(streamed("second")[:60]), stall(), tell(gone)]) as server:
        gateway = build(server, 2, retry=SOON)
        gc.disable()
        try:
            stream = gateway.stream("hi")
            if leave == "close":
                stream.close()
            del stream
            assert gone.wait(5)
            wait_until(lambda: held(gateway) == (0, 0))  # the thread that raced may be on its last steps
        finally:
            gc.enable()
        nothing_is_left(gateway)


def test_a_race_that_nobody_waits_for_any_more(build: Any) -> None:
    """A caller that was torn away leaves the second attempt to its thread, which closes what it opened and settles it."""
    from omnillm.gateway.attempt import Attempt
    from omnillm.gateway.call import Call
    from omnillm.gateway.hedge import Race
    from omnillm.gateway.route import Walk

    go, gone = threading.Event(), threading.Event()
    with ScriptedServer([expect(), wait(go), open_stream(), stall(), tell(gone)]) as server:
        gateway = build(server, 2, retry=SOON)
        core = gateway._core
        call = Call(core, LlmRequest("m", "hi"), streaming=True, timeout=None, cancel=None, tenant=None)
        walk = Walk(core, call)
        first = walk._admit()
        race = Race(walk, first, Attempt.open, 0.0)
        race._start()
        wait_until(lambda: server.requests)
        first.cancel()
        del race
        go.set()
        assert gone.wait(5)
        call.ended(core, "failed")
        nothing_is_left(gateway)
        assert gateway.budget_used_usd() == PROMPT


def test_no_thread_is_left_on_the_machine(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the first attempt is waited for, and what was admitted is given back."""
    go = threading.Event()

    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name != "omnillm-hedge":
            begin(thread)  # of the server's
            return
        go.set()
        raise RuntimeError("can't start new thread")

    with ScriptedServer([expect(), wait(go), respond(body=whole("first"))]) as server:
        gateway = build(server, 2, retry=SOON)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            assert len(gateway.call("hi").attempts) == 1
        nothing_is_left(gateway)
        assert sum(status.rpm_used for status in gateway.pool_status()) == 1


def test_a_late_key_is_not_a_failing_one(build: Any) -> None:
    """Losing against the other key never opens a breaker, nor decides a trial."""
    with ScriptedServer(*[LATE, ANSWER] * 10) as server:
        gateway = build(server, 2, retry=SOON, pool_config=PoolConfig(circuit_breaker_threshold=1))
        for _ in range(10):
            gateway.call("hi")
        assert all(status.available for status in gateway.pool_status())
