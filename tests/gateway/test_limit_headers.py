"""What providers say of their own windows steers ours: downward, for as long as they say, and never past the configuration."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from gateway_scripts import key_of, wait_until, whole

from omnillm.config import KeyConfig
from omnillm.errors import NoAvailableKeyError, RateLimitedError
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import ModelLimits
from omnillm.policy.retry import RetryPolicy
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, repeat, respond, wait
from omnillm.types.enums import ProviderProtocol
from omnillm.types.request import GenerationConfig, LlmRequest

CLAUDE = ProviderProtocol.CLAUDE_MESSAGES
WALL = 1_700_000_000.0
KEY = KeyConfig("sk-1", "k1", rpm_limit=10, tpm_limit=1_000)
ASK = LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=50))


def at(seconds: float) -> str:
    """Write the moment that many seconds after the first call, as Anthropic does."""
    return datetime.fromtimestamp(WALL + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FULL: dict[str, tuple[dict[str, str], float]] = {
    "openai requests": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s"}, 20),
    "openai tokens": ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": "1m30s"}, 90),
    "no reset": ({"x-ratelimit-remaining-requests": "0"}, 60),
    "anthropic requests": ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": at(20)}, 20),
    "anthropic tokens": ({"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": at(45)}, 45),
    "anthropic input": (
        {"anthropic-ratelimit-input-tokens-remaining": "0", "anthropic-ratelimit-input-tokens-reset": at(45)},
        45,
    ),
    "cerebras": ({"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "3011.382867"}, 3_011.382867),
    "openrouter": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((WALL + 30) * 1_000))}, 30),
    "absurdly long": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9999999h"}, 60),
    "a day": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "24h"}, 86_400),
    "far future": ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": at(10**9)}, 60),
}


@pytest.mark.parametrize("name", FULL)
def test_a_full_window_is_believed_until_its_reset(build: Any, clock: FakeClock, name: str) -> None:
    """Where the provider says that nothing is left, nothing is sent until then, and not a moment longer."""
    headers, seconds = FULL[name]
    with ScriptedServer([expect(), respond(headers=headers, body=whole()), expect(), respond(body=whole())]) as server:
        gateway: Gateway = build(server, [KEY], clock=clock)
        gateway.call(ASK)
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call(ASK)
        assert refused.value.reason == "window"
        assert refused.value.retry_after == pytest.approx(seconds, abs=0.01)
        assert refused.value.retry_after is not None
        clock.advance(refused.value.retry_after)
        gateway.call(ASK)


NOTHING: dict[str, dict[str, str]] = {
    "azure unknown": {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-remaining-tokens": "-1"},
    "azure no limit": {
        "x-ratelimit-limit-tokens": "0",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-limit-requests": "-1",
        "x-ratelimit-remaining-requests": "0",
    },
    "over already": {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "0s"},
    "past": {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": at(-5)},
    "junk": {"x-ratelimit-remaining-requests": "none", "x-ratelimit-remaining-tokens": "1e3"},
    "no window named": {"x-ratelimit-remaining": "0"},
    "plenty": {"x-ratelimit-remaining-requests": "999999", "x-ratelimit-remaining-tokens": "999999999"},
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_says_nothing_changes_nothing(build: Any, clock: FakeClock, name: str) -> None:
    """Unknown, past, unreadable and larger figures leave the windows as configured: ten requests, and the eleventh is refused."""
    with ScriptedServer([repeat(expect(), respond(headers=NOTHING[name], body=whole()))]) as server:
        gateway = build(server, [KEY], clock=clock)
        for _ in range(10):
            gateway.call(ASK)
        with pytest.raises(NoAvailableKeyError):
            gateway.call(ASK)
        assert len(server.requests) == 10


def test_the_newest_word_counts(build: Any, clock: FakeClock) -> None:
    """A later answer that tells of more room takes an earlier one's word back."""
    answers = [{"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": "1h"} for left in ("1", "0", "8")]
    script = [step for headers in answers for step in (expect(), respond(headers=headers, body=whole()))]
    with ScriptedServer(script) as server:
        gateway = build(server, [KEY], clock=clock)
        gateway.call(ASK)
        assert key_of(gateway).rpm_used == 9
        gateway.call(ASK)
        assert (key_of(gateway).rpm_used, key_of(gateway).reason) == (10, "window")
        clock.advance(3_600)
        assert key_of(gateway).rpm_used == 0
        gateway.call(ASK)
        assert key_of(gateway).rpm_used == 2


def test_a_refusals_headers_count_too(build: Any, clock: FakeClock) -> None:
    """The headers of an error are as good as those of an answer."""
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2m"}
    with ScriptedServer([expect(), respond(400, headers=headers, body=b"{}")]) as server:
        gateway = build(server, [KEY], clock=clock)
        with pytest.raises(Exception, match="400"):
            gateway.call(ASK)
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call(ASK)
        assert refused.value.retry_after == pytest.approx(120, abs=0.01)


def test_one_keys_headers_are_no_matter_of_anothers(build: Any, clock: FakeClock) -> None:
    """With another key the calls go on."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    with ScriptedServer([expect(), respond(headers=headers, body=whole()), repeat(expect(), respond(body=whole()))]) as server:
        gateway = build(server, [KEY, KeyConfig("sk-2", "k2")], clock=clock)
        first = gateway.call(ASK).key_label
        assert {gateway.call(ASK).key_label for _ in range(8)} == {"k1", "k2"} - {first}


@pytest.mark.parametrize(("asked", "other"), [("m", "n"), ("n", "m")])
def test_one_models_headers_are_no_matter_of_anothers(build: Any, clock: FakeClock, asked: str, other: str) -> None:
    """Where a model has limits of its own, what its answers say is of its own window, and of no other model's."""
    key = KeyConfig("sk-1", "k1", rpm_limit=10, tpm_limit=1_000, models={"m": ModelLimits(1_000, 10)})
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    with ScriptedServer([expect(), respond(headers=headers, body=whole()), repeat(expect(), respond(body=whole()))]) as server:
        gateway = build(server, [key], clock=clock)
        gateway.call(ASK, model=asked)
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call(ASK, model=asked)
        assert refused.value.retry_after == pytest.approx(3_600, abs=0.01)
        assert gateway.call(ASK, model=other).text == "hello"
        status = key_of(gateway)
        assert [it.rpm_used for it in (status, status.models["m"])] == ([1, 10] if asked == "m" else [10, 1])


@pytest.mark.parametrize("order", [(100, 5), (5, 100)])
def test_p11_a_shorter_wait_shortens_no_longer_one(build: Any, clock: FakeClock, order: tuple[int, int]) -> None:
    """Of two calls that a key is refused for at once, the longer wait holds, whichever is told first."""
    there, first, second = threading.Semaphore(0), threading.Event(), threading.Event()

    def script(go: threading.Event, seconds: int) -> list[Any]:
        return [expect(), lambda _: there.release(), wait(go), respond(429, {"Retry-After": str(seconds)}, b"{}")]

    with ScriptedServer(script(first, order[0]), script(second, order[1])) as server:
        gateway = build(server, clock=clock, retry=RetryPolicy(max_attempts=1))
        caught: list[float | None] = []

        def call() -> None:
            with pytest.raises(RateLimitedError) as refused:
                gateway.call("hi")
            caught.append(refused.value.retry_after)

        threads = [threading.Thread(target=call) for _ in order]
        for thread in threads:
            thread.start()
        for _ in order:
            assert there.acquire(timeout=5)
        for place, go in enumerate((first, second)):
            go.set()
            wait_until(lambda place=place: len(caught) > place)
        for thread in threads:
            thread.join(5)
        assert (key_of(gateway).cool_down_until or 0) - clock.wall() == pytest.approx(100)
        clock.advance(99)
        with pytest.raises(NoAvailableKeyError) as refused:
            gateway.call("hi")
        assert (refused.value.retry_after, len(server.requests)) == (pytest.approx(1), 2)


def test_p11_the_caller_is_told_of_the_key_that_is_back_first(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Of a key that was not asked, for it cools since another call, too."""
    gateway = build(provider, 2, clock=clock, retry=RetryPolicy(max_attempts=1))
    provider.script(fail(429, retry_after=20))
    assert gateway.call("hi").text == "echo: hi"  # by the other key
    provider.script(fail(429, retry_after=50))
    with pytest.raises(RateLimitedError) as caught:
        gateway.call("hi")
    assert (caught.value.retry_after, len(caught.value.attempts)) == (pytest.approx(20), 1)
