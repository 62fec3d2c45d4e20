"""Fallbacks: which endpoint comes next, under which name the model goes there, and whose error is raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gateway_scripts import labels

from omnillm.config import KeyConfig
from omnillm.errors import (
    BadRequestError,
    ConnectionLostError,
    NoAvailableKeyError,
    RateLimitedError,
    ServerError,
    TlsError,
    UnauthorizedError,
)
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import expect, send, stall
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import FallbackTaken
from omnillm.types.request import LlmRequest

CHAT, CLAUDE = ProviderProtocol.OPENAI_CHAT_COMPLETIONS, ProviderProtocol.CLAUDE_MESSAGES


@pytest.fixture
def other() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it


def fallback(provider: LocalProvider, label: str = "f", protocol: ProviderProtocol = CHAT, **model_map: str) -> Any:
    return (provider.endpoint(protocol), [KeyConfig(f"sk-{label}", label)], model_map)


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (403, 1), (429, 1), (402, 1), (500, 3), (503, 3), (529, 3)])
def test_the_fallback_is_taken(
    provider: LocalProvider, other: LocalProvider, build: Any, clock: FakeClock, status: int, attempts: int
) -> None:
    """Where an endpoint cannot serve, the next one does, with its own keys and its own attempts."""
    provider.script(fail(status, times=9, retry_after=500 if status == 429 else None))
    other.script(fail(500, times=2))
    answer = build(provider, clock=clock, add_fallback=fallback(other)).call("hi")
    assert labels(answer) == ["k1"] * attempts + ["f"] * 3
    assert answer.key_label == "f"


def test_the_model_is_named_there(provider: LocalProvider, other: LocalProvider, build: Any, clock: FakeClock) -> None:
    """The model map names the model at the fallback; another model keeps its name; the request is translated."""
    provider.script(fail(500, times=6))
    gateway = build(provider, clock=clock, add_fallback=fallback(other, protocol=CLAUDE, m="claude-x"))
    answer = gateway.call("hi")
    assert (answer.model, answer.provider_protocol) == ("claude-x", CLAUDE)
    assert [record.model for record in answer.attempts] == ["m", "m", "m", "claude-x"]
    gateway.revive("k1")
    assert gateway.call(LlmRequest("mine", "hi")).model == "mine"


def test_the_same_endpoint_with_another_model(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """A fallback to the same endpoint sends the request under the model's other name, at that model's price."""
    from omnillm.policy.pricing import PriceTable

    prices = PriceTable({"m": {"input": 1e6, "output": 1e6}, "small": {"input": 1, "output": 1}})
    provider.script(fail(500, times=3))
    gateway = build(provider, clock=clock, add_fallback=fallback(provider, m="small"), pricing=prices)
    answer = gateway.call("hi")
    assert [request.json["model"] for request in provider.requests] == ["m", "m", "m", "small"]
    assert (answer.model, answer.cost_usd) == ("small", answer.usage.total() / 1e6)


def test_in_the_order_given(provider: LocalProvider, other: LocalProvider, build: Any, events: list[Any]) -> None:
    """Fallbacks are tried in order, each told to the hook; the first provider's error is raised where none serves."""
    provider.script(fail(401), fail(503, message="the first fallback"), protocol=CHAT)
    other.script(fail(403))
    chain = [fallback(provider, "f1"), fallback(other, "f2")]
    config = build(provider, add_fallback=chain[0])._core.config
    import dataclasses

    from omnillm.config import RouteConfig
    from omnillm.gateway.gateway import Gateway

    config = dataclasses.replace(config, routes=(*config.routes, RouteConfig(*chain[1])), retry=RetryPolicy(max_attempts=1))
    with Gateway(config) as gateway, pytest.raises(UnauthorizedError) as caught:
        gateway.call("hi")
    assert labels(caught.value) == ["k1", "f1", "f2"]
    assert [event.error for event in events if isinstance(event, FallbackTaken)] == ["UnauthorizedError", "OverloadedError"]


def test_keys_without_room_lead_to_the_fallback(provider: LocalProvider, other: LocalProvider, build: Any) -> None:
    """Where no key has room here, the fallback is asked; where it fails, its error tells more than the refusal here."""
    gateway = build(
        provider, [KeyConfig("sk-1", "k1", rpm_limit=1)], add_fallback=fallback(other), retry=RetryPolicy(max_attempts=1)
    )
    assert [gateway.call("hi").key_label for _ in range(2)] == ["k1", "f"]
    other.script(fail(500))
    with pytest.raises(ServerError):
        gateway.call("hi")
    assert len(provider.requests) == 1


def test_what_was_sent_tells_more_than_a_refusal(provider: LocalProvider, build: Any) -> None:
    """A connection lost at the fallback is raised rather than the refusal here: something was sent."""
    with ScriptedServer([expect()]) as server:
        away = (ProviderEndpoint(CHAT.value, f"{server.base_url}/v1"), [KeyConfig("sk-f", "f")], None)
        gateway = build(provider, [KeyConfig("sk-1", "k1", rpm_limit=1)], add_fallback=away, retry=RetryPolicy(max_attempts=1))
        gateway.call("hi")
        with pytest.raises(ConnectionLostError) as caught:
            gateway.call("hi")
    assert caught.value.sent == "maybe"


def test_no_room_anywhere(provider: LocalProvider, other: LocalProvider, build: Any) -> None:
    """Where no endpoint has room, the refusal of the first is raised."""
    keys = [KeyConfig("sk-1", "k1", rpm_limit=1)]
    away = (other.endpoint(CHAT), [KeyConfig("sk-f", "f", tpm_limit=10)], None)
    gateway = build(provider, keys, add_fallback=away)
    gateway.call("hi")
    with pytest.raises(NoAvailableKeyError) as caught:
        gateway.call("hi")
    assert (caught.value.reason, other.connections) == ("window", 0)


def test_the_first_error_is_raised_with_its_wait(
    provider: LocalProvider, other: LocalProvider, build: Any, clock: FakeClock
) -> None:
    """Where all fail, the first endpoint's error is raised, with all attempts in its history."""
    provider.script(fail(429, retry_after=300))
    other.script(fail(503, times=3))
    with pytest.raises(RateLimitedError) as caught:
        build(provider, clock=clock, add_fallback=fallback(other)).call("hi")
    assert (labels(caught.value), caught.value.retry_after) == (["k1", "f", "f", "f"], 300)
    assert "Overloaded" in (caught.value.attempts[-1].error or "")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_not_after_the_callers_mistake(provider: LocalProvider, other: LocalProvider, build: Any, status: int) -> None:
    """What the caller got wrong is wrong everywhere: no fallback is asked."""
    provider.script(fail(status))
    with pytest.raises(BadRequestError):
        build(provider, add_fallback=fallback(other)).call("hi")
    assert other.connections == 0


def test_not_past_the_deadline(build: Any, other: LocalProvider) -> None:
    """A call whose time is over asks nobody else."""
    with ScriptedServer([expect(), stall()]) as server:
        gateway = build(server, add_fallback=fallback(other))
        with pytest.raises(TimeoutError):
            gateway.call("hi", timeout=0.1)
    assert other.connections == 0


def test_not_past_it_either_where_the_endpoint_answered(
    provider: LocalProvider, other: LocalProvider, build: Any, clock: FakeClock
) -> None:
    """An answer that came with the deadline is the last one."""

    def late(event: Any) -> None:
        if type(event).__name__ == "AttemptEnded":
            clock.advance(100)

    provider.script(fail(500))
    with pytest.raises(ServerError) as caught:
        build(provider, clock=clock, add_fallback=fallback(other), on_event=late).call("hi", timeout=50)
    assert (len(caught.value.attempts), other.connections) == (1, 0)


def test_a_broken_certificate_leads_to_the_fallback(build: Any, other: LocalProvider) -> None:
    """TLS that fails is not tried again, and another endpoint may serve."""
    with ScriptedServer([send(b"this is no TLS\r\n"), stall()], scheme="https") as server:
        endpoint = ProviderEndpoint(CHAT.value, f"{server.base_url}/v1")
        with pytest.raises(TlsError):
            build(endpoint).call("hi")
        answer = build(endpoint, add_fallback=fallback(other)).call("hi")
    assert labels(answer) == ["k1", "f"]
