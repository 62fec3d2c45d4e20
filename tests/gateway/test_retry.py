"""What a failure means: for the key, for the next attempt, for the money, and for the error that the caller sees."""

from __future__ import annotations

import threading
from email.utils import formatdate
from typing import Any

import pytest
from gateway_scripts import held, key_of, labels, let_pass, whole

from omnillm.config import KeyConfig
from omnillm.errors import (
    BadRequestError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    NoAvailableKeyError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExhaustedError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
)
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, break_stream, fail
from omnillm.testing.scripted import expect, reset, respond, stall
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import RetryScheduled
from omnillm.types.request import LlmRequest

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
PROMPT = LlmRequest("m", "hi").estimated_prompt_tokens()
WALL = 1_700_000_000.0


def use_key(gateway: Any, provider: LocalProvider, label: str) -> Any:
    """Call until that key was asked first: keys are chosen at random."""
    for _ in range(64):
        before = len(provider.requests)
        answer = gateway.call("hi")
        if provider.requests[before].key == f"sk-{label[1:]}":
            return answer
    raise AssertionError("the key was never chosen")


# --- keys that are refused ----------------------------------------------------------------------------------------------------


def test_401_retires_the_key(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A key that is not accepted is never used again, until it is revived; the call goes to another one, at no cost."""
    provider.dead_keys.add("sk-1")
    gateway = build(provider, 2, clock=clock, retry=RetryPolicy(max_attempts=1))
    answer = use_key(gateway, provider, "k1")
    assert labels(answer) == ["k1", "k2"]
    assert [record.status for record in answer.attempts] == [401, 200]
    assert "UnauthorizedError" in (answer.attempts[0].error or "")
    clock.advance(1e9)
    for _ in range(10):
        assert labels(gateway.call("hi")) == ["k2"]
    assert (key_of(gateway).dead, key_of(gateway).reason) == (True, "dead")
    provider.dead_keys.clear()
    gateway.revive("k1")
    assert labels(use_key(gateway, provider, "k1")) == ["k1"]


def test_when_every_key_is_dead(provider: LocalProvider, build: Any) -> None:
    """The provider's refusal is raised with all that was tried; the next call is refused here, without a wait to give."""
    provider.dead_keys |= {"sk-1", "sk-2"}
    gateway = build(provider, 2)
    with pytest.raises(UnauthorizedError) as caught:
        gateway.call("hi")
    assert (sorted(labels(caught.value)), caught.value.retry_after) == (["k1", "k2"], None)
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert (refused.value.reason, refused.value.retry_after, refused.value.attempts) == ("dead", None, ())
    assert len(provider.requests) == 2


def test_403_sets_the_pair_aside(provider: LocalProvider, build: Any) -> None:
    """A key that may not use a model is set aside for that model, and serves the others."""
    provider.forbidden.add(("sk-1", "m"))
    gateway = build(provider)
    with pytest.raises(PermissionDeniedError):
        gateway.call("hi")
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert (refused.value.reason, len(provider.requests)) == ("dead", 1)
    assert gateway.call(LlmRequest("other", "hi")).key_label == "k1"
    assert not key_of(gateway).dead
    provider.forbidden.clear()
    gateway.revive("k1")
    assert gateway.call("hi").key_label == "k1"


# --- rate limits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "40"}, None, 40),
        ({"retry-after-ms": "45500"}, None, 45.5),
        ({"retry-after": formatdate(WALL + 50, usegmt=True)}, None, 50),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m5s"}, None, 65),
        ({}, {"error": {"message": "Please try again in 41s.", "code": "rate_limit_exceeded"}}, 41),
        ({}, None, 60),
        ({"retry-after": "-5"}, None, 60),
        ({"retry-after": "nan"}, None, 60),
        ({"retry-after": "soon"}, None, 60),
    ],
)
def test_p11_429_cools_the_key(
    provider: LocalProvider, build: Any, clock: FakeClock, headers: dict[str, str], body: Any, seconds: float
) -> None:
    """A rate-limited key rests as long as the provider says, else 60 s; the error says when to come back; the breaker is out."""
    provider.script(fail(429, headers=headers, body=body))
    gateway = build(provider, clock=clock)
    with pytest.raises(RateLimitedError) as caught:
        gateway.call("hi")
    assert caught.value.retry_after == pytest.approx(seconds, abs=0.01)
    status = key_of(gateway)
    assert (status.reason, status.consecutive_failures) == ("cooling", 0)
    assert status.cool_down_until == pytest.approx(WALL + seconds, abs=0.1)
    assert (gateway.budget_used_usd(), status.tpm_used) == (0, 0)
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert (refused.value.reason, len(provider.requests)) == ("cooling", 1)
    assert refused.value.retry_after == pytest.approx(seconds, abs=0.1)
    clock.advance(seconds)
    assert gateway.call("hi").text == "echo: hi"


def test_429_goes_to_another_key_for_free(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """With many keys a call passes by all that are rate-limited: that spends no attempts and no time."""
    provider.script(fail(429, retry_after=25, times=9))
    before = clock.monotonic()
    gateway = build(provider, 10, clock=clock, retry=RetryPolicy(max_attempts=1))
    answer = gateway.call("hi")
    assert len(set(labels(answer))) == len(answer.attempts) == 10
    assert clock.monotonic() == before


@pytest.mark.parametrize("keys", [1, 3])
def test_a_short_wait_is_waited_for(provider: LocalProvider, build: Any, clock: FakeClock, events: list[Any], keys: int) -> None:
    """Where every key is limited and the wait is not longer than the cap, the call waits it out, and not a moment less."""
    provider.script(fail(429, retry_after=7, times=keys))
    before = clock.monotonic()
    answer = build(provider, keys, clock=clock).call("hi")
    assert [record.status for record in answer.attempts] == [429] * keys + [200]
    assert 7 <= clock.monotonic() - before < 7.1
    assert [event.delay for event in events if isinstance(event, RetryScheduled)] == [7.0]


def test_the_key_that_is_back_first_decides(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Of several limited keys the call waits for the one that is back first, in whatever order they answered."""
    for first, second in ((2, 25), (25, 2)):
        provider.script(fail(429, retry_after=first), fail(429, retry_after=second))
        before = clock.monotonic()
        gateway = build(provider, 2, clock=clock)
        assert len(gateway.call("hi").attempts) == 3
        assert 2 <= clock.monotonic() - before < 2.1


def test_a_refused_key_does_not_hide_one_that_cools(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A 401 after a 429 changes nothing about the wait for the limited key."""
    provider.script(fail(429, retry_after=2), fail(401))
    answer = build(provider, 2, clock=clock).call("hi")
    assert [record.status for record in answer.attempts] == [429, 401, 200]
    assert labels(answer)[0] == labels(answer)[2]


@pytest.mark.parametrize(("wait", "timeout"), [(31, None), (20, 10)])
def test_p11_a_longer_wait_is_the_callers(
    provider: LocalProvider, build: Any, clock: FakeClock, wait: float, timeout: float | None
) -> None:
    """A wait beyond the policy's cap, or beyond the deadline, is raised at once with its length."""
    provider.script(fail(429, retry_after=wait))
    before = clock.monotonic()
    with pytest.raises(RateLimitedError) as caught:
        build(provider, clock=clock).call("hi", timeout=timeout)
    assert (caught.value.retry_after, clock.monotonic(), len(caught.value.attempts)) == (wait, before, 1)


def test_waits_spend_attempts(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A key that is limited again after each wait is asked ``max_attempts`` times, not for ever."""
    provider.script(fail(429, retry_after=1, times=50))
    with pytest.raises(RateLimitedError) as caught:
        build(provider, clock=clock).call("hi")
    assert len(caught.value.attempts) == 3


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (429, "insufficient_quota", "You exceeded your current quota"),
        (402, None, "pay first"),
        (429, None, "Your account has insufficient balance"),
        (400, None, "Your credit balance is too low to access the API"),
    ],
)
def test_an_exhausted_quota(
    provider: LocalProvider, build: Any, clock: FakeClock, status: int, code: str | None, message: str
) -> None:
    """A quota that is gone for good sets the key aside for an hour, whatever status says so; another key is tried."""
    provider.script(fail(status, code=code, message=message), key="sk-1")
    gateway = build(provider, clock=clock)
    with pytest.raises(QuotaExhaustedError) as caught:
        gateway.call("hi")
    assert (caught.value.status, caught.value.message) == (status, message)
    clock.advance(3_590)
    assert key_of(gateway).reason == "cooling"
    clock.advance(11)
    assert key_of(gateway).available
    provider.script(fail(status, code=code, message=message))
    assert len(build(provider, 2, clock=clock).call("hi").attempts) == 2


def test_limit_headers_correct_the_window(build: Any, clock: FakeClock) -> None:
    """Where the provider says that less is left than is counted here, it is believed until its window is whole again."""
    limits = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s"}
    with ScriptedServer([expect(), respond(headers=limits, body=whole()), expect(), respond(body=whole())]) as server:
        gateway = build(server, clock=clock)
        gateway.call("hi")
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call("hi")
        assert (refused.value.reason, refused.value.retry_after) == ("window", pytest.approx(20, abs=0.5))
        clock.advance(21)
        gateway.call("hi")


# --- failures of the provider -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "counted"),
    [
        (408, BadRequestError, 0),
        (409, BadRequestError, 0),
        (425, BadRequestError, 0),
        (500, ServerError, 1),
        (502, ServerError, 1),
        (503, OverloadedError, 1),
        (504, ServerError, 1),
        (529, OverloadedError, 1),
    ],
)
def test_retried_on_another_key_first(
    provider: LocalProvider,
    build: Any,
    clock: FakeClock,
    events: list[Any],
    status: int,
    error: type[ProviderError],
    counted: int,
) -> None:
    """A failure of the provider is tried again after a back-off, on another key while there is one; nothing is charged for it."""
    provider.script(fail(status, times=2))
    gateway = build(provider, 2, clock=clock)
    answer = gateway.call("hi")
    first, second, third = labels(answer)
    assert first != second
    assert third in (first, second)
    assert [record.status for record in answer.attempts] == [status, status, 200]
    assert error.__name__ in (answer.attempts[0].error or "")
    assert sum(isinstance(event, RetryScheduled) for event in events) == 2
    assert gateway.budget_used_usd() == answer.cost_usd
    other = key_of(gateway, str(second if third == first else first))
    assert (other.consecutive_failures, other.reason) == (counted, None)


def test_p10_attempts_are_counted_out(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """After ``max_attempts`` the provider's error is raised, with the history."""
    provider.script(fail(500, times=9, message="it broke"))
    with pytest.raises(ServerError, match="it broke") as caught:
        build(provider, clock=clock, retry=RetryPolicy(max_attempts=4)).call("hi")
    assert [(record.status, record.outcome, record.sent) for record in caught.value.attempts] == [(500, "failed", "yes")] * 4
    assert provider.steps_left == 5


def test_backoff_grows_within_its_bounds(provider: LocalProvider, build: Any, clock: FakeClock, events: list[Any]) -> None:
    """Waits are jittered below base, twice that, four times that, never above the cap, and as long as the server says."""
    provider.script(fail(500, times=4), fail(503, retry_after=9), fail(500))
    retry = RetryPolicy(max_attempts=7, base=1.0, cap=10)
    build(provider, clock=clock, retry=retry, pool_config=PoolConfig(circuit_breaker_threshold=99)).call("hi")
    delays = [event.delay for event in events if isinstance(event, RetryScheduled)]
    assert all(delay <= bound for delay, bound in zip(delays, (1, 2, 4, 8), strict=False))
    assert delays[4] >= 9
    assert all(delay <= 10 for delay in delays)
    assert len(set(delays)) == len(delays) == 6


@pytest.mark.parametrize(
    ("status", "word", "attempts"), [(500, "false", 1), (503, "false", 1), (400, "true", 2), (404, "true", 2), (500, "maybe", 2)]
)
def test_the_servers_word_is_obeyed(
    provider: LocalProvider, build: Any, clock: FakeClock, status: int, word: str, attempts: int
) -> None:
    """``x-should-retry`` stands above the table; a word that is none is ignored."""
    provider.script(fail(status, headers={"x-should-retry": word}))
    gateway = build(provider, clock=clock)
    if attempts == 2:
        assert len(gateway.call("hi").attempts) == 2
    else:
        with pytest.raises(ProviderError) as caught:
            gateway.call("hi")
        assert (caught.value.status, len(caught.value.attempts)) == (status, 1)


def test_the_server_may_forbid_the_same_key_not_another(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """``x-should-retry: false`` on a 429 ends the waiting for that key; a key that was not asked yet is tried."""
    provider.script(fail(429, retry_after=1, headers={"x-should-retry": "false"}))
    assert [record.status for record in build(provider, 2, clock=clock).call("hi").attempts] == [429, 200]
    provider.script(fail(429, retry_after=1, headers={"x-should-retry": "false"}))
    with pytest.raises(RateLimitedError) as caught:
        build(provider, clock=clock).call("hi")
    assert (caught.value.retry_after, len(caught.value.attempts)) == (1, 1)


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_p40_the_callers_mistakes_are_raised_at_once(provider: LocalProvider, build: Any, status: int) -> None:
    """Another 4xx is never retried, on no key and at no fallback."""
    provider.script(fail(status))
    gateway = build(provider, 2, add_fallback=(provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], None))
    with pytest.raises(BadRequestError) as caught:
        gateway.call("hi")
    assert (caught.value.status, len(provider.requests)) == (status, 1)


# --- the breaker --------------------------------------------------------------------------------------------------------------


def test_the_breaker_opens_and_one_trial_decides(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Five failures in a row open a key's breaker for 30 s; then one call is let through, whose end decides."""
    gateway = build(provider, clock=clock, retry=RetryPolicy(max_attempts=1))
    provider.script(fail(500, times=4))
    for _ in range(4):
        with pytest.raises(ServerError):
            gateway.call("hi")
    gateway.call("hi")
    assert key_of(gateway).consecutive_failures == 0
    provider.script(fail(500, times=6))
    for _ in range(5):
        with pytest.raises(ServerError):
            gateway.call("hi")
    with pytest.raises(NoAvailableKeyError) as refused:
        gateway.call("hi")
    assert (refused.value.reason, refused.value.retry_after) == ("breaker", pytest.approx(30))
    clock.advance(30)
    with pytest.raises(ServerError):
        gateway.call("hi")  # the trial fails
    with pytest.raises(NoAvailableKeyError, match="rest"):
        gateway.call("hi")
    assert provider.steps_left == 0
    clock.advance(30)
    gateway.call("hi")  # the trial succeeds
    assert (key_of(gateway).available, key_of(gateway).consecutive_failures) == (True, 0)


def test_p39_only_one_trial_at_a_time(build: Any, clock: FakeClock) -> None:
    """While a trial is under way, the key takes no other call."""
    asked, go = threading.Event(), threading.Event()
    with ScriptedServer(
        [expect(), respond(500, body=b"{}"), expect(), lambda _: asked.set(), lambda peer: peer.pause(go), respond(body=whole())]
    ) as server:
        gateway = build(
            server,
            clock=clock,
            retry=RetryPolicy(max_attempts=1),
            pool_config=PoolConfig(circuit_breaker_threshold=1, circuit_breaker_cooldown=5),
        )
        with pytest.raises(ServerError):
            gateway.call("hi")
        clock.advance(5)
        trial = threading.Thread(target=gateway.call, args=("hi",))
        trial.start()
        assert asked.wait(5)
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call("hi")
        go.set()
        trial.join(5)
    assert refused.value.reason == "breaker"
    assert key_of(gateway).available


# --- outcomes that nobody knows -----------------------------------------------------------------------------------------------


def test_p09_an_unknown_outcome_is_tried_again(build: Any, clock: FakeClock) -> None:
    """A connection lost before a byte of the answer is tried again; each lost attempt is charged its prompt."""
    with ScriptedServer([expect()], [expect(), reset()], [expect(), respond(body=whole())]) as server:
        gateway = build(server, clock=clock, budget_limit_usd=10_000.0)
        answer = gateway.call("hi")
    assert [(record.outcome, record.sent, record.status) for record in answer.attempts] == [
        ("failed", "maybe", None),
        ("failed", "maybe", None),
        ("ok", "yes", 200),
    ]
    assert gateway.budget_used_usd() == 2 * PROMPT + answer.cost_usd
    assert (held(gateway), key_of(gateway).rpm_used, key_of(gateway).tpm_used) == ((0, 0), 3, 2 * PROMPT + 8)


def test_p09_unless_the_policy_forbids_it(provider: LocalProvider, build: Any) -> None:
    """With ``retry_unknown=False`` a lost connection is raised, and no fallback is asked either: it was perhaps answered."""
    with ScriptedServer([expect()]) as server:
        gateway = build(
            server,
            retry=RetryPolicy(retry_unknown=False),
            add_fallback=(provider.endpoint(CHAT), [KeyConfig("sk-f", "f")], None),
        )
        with pytest.raises(ConnectionLostError) as caught:
            gateway.call("hi")
    assert (caught.value.sent, len(caught.value.attempts), server.connections, provider.connections) == ("maybe", 1, 1, 0)
    assert (gateway.budget_used_usd(), key_of(gateway).consecutive_failures) == (PROMPT, 1)


def test_a_timeout_after_sending_is_final(build: Any) -> None:
    """A call that was sent and not answered in time is not sent again, and its prompt is charged."""
    with ScriptedServer([expect(), stall()]) as server:
        gateway = build(server, 2)
        with pytest.raises(DeadlineExceededError) as caught:
            gateway.call("hi", timeout=0.5)
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.phase, caught.value.sent, len(caught.value.attempts)) == ("first_byte", "maybe", 1)
        assert (server.connections, gateway.budget_used_usd(), held(gateway)) == (1, PROMPT, (0, 0))


def test_nothing_listens(build: Any, closing: Any) -> None:
    """A refused connection is tried again, charged nothing, takes no place in the window, and counts for the breaker."""
    server = ScriptedServer()
    server.close()
    gateway = build(server, 2)
    with pytest.raises(ConnectError) as caught:
        gateway.call("hi")
    assert isinstance(caught.value, ConnectionError)
    assert [record.sent for record in caught.value.attempts] == ["no"] * 3
    assert (gateway.budget_used_usd(), sum(status.rpm_used for status in gateway.pool_status())) == (0, 0)
    assert sum(status.consecutive_failures for status in gateway.pool_status()) == 3


def test_a_kept_connection_that_died_is_replaced(build: Any) -> None:
    """A connection that the server closed while it was idle costs no attempt."""
    with ScriptedServer([expect(), respond(body=whole())], [expect(), respond(body=whole())]) as server:
        gateway = build(server)
        assert [len(gateway.call("hi").attempts) for _ in range(2)] == [1, 1]
        assert server.connections == 2


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_body_that_breaks_off(provider: LocalProvider, build: Any, clock: FakeClock, how: Any) -> None:
    """A whole answer cut in its body is an unknown outcome: tried again, the prompt charged."""
    provider.script(break_stream(how=how))
    gateway = build(provider, clock=clock)
    answer = gateway.call("hi")
    assert "mid-body" in (answer.attempts[0].error or "")
    assert gateway.budget_used_usd() == PROMPT + answer.cost_usd


def test_p10_the_allowance_bounds_retries(build: Any) -> None:
    """Of few calls in flight three may retry; the others give up with their error."""
    arrived, ended, go, clock = threading.Semaphore(0), threading.Semaphore(0), threading.Event(), FakeClock()

    def answer(peer: Any) -> None:
        expect()(peer)
        arrived.release()
        peer.pause(go)
        respond(500, body=b"{}")(peer)

    def one() -> None:
        with pytest.raises(ServerError) as caught:
            gateway.call("hi")
        counts.append(len(caught.value.attempts))
        ended.release()

    counts: list[int] = []
    with ScriptedServer([answer, answer]) as server:
        gateway = build(server, 8, clock=clock, retry=RetryPolicy(base=20, max_attempts=2))
        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert arrived.acquire(timeout=5)
        go.set()
        clock.await_sleepers(3)
        for _ in range(5):
            assert ended.acquire(timeout=5)
        assert counts == [1] * 5
        let_pass(clock, threads)
    assert sorted(counts) == [1] * 5 + [2] * 3
