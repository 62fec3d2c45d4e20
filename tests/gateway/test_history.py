"""What a call tried, as its response and its error tell: which keys, in which order, how long each took, why it failed."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_scripts import labels, whole

from omnillm.config import KeyConfig
from omnillm.errors import GatewayError, ServerError
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer, fail
from omnillm.testing.scripted import Peer, Step, expect, respond


def test_no_key_is_asked_again_while_another_has_room(provider: LocalProvider, build: Any, clock: FakeClock) -> None:
    """Of five keys a call that fails four times asks each once, whichever is drawn first."""
    steady = PoolConfig(circuit_breaker_threshold=10**6)
    gateway = build(provider, 5, clock=clock, retry=RetryPolicy(max_attempts=5, base=0.01), pool_config=steady)
    firsts = set()
    for _ in range(12):
        provider.script(fail(500, times=4))
        answer = gateway.call("hi")
        assert sorted(set(labels(answer))) == ["k1", "k2", "k3", "k4", "k5"]
        firsts.add(labels(answer)[0])
    assert len(firsts) > 1


@pytest.mark.parametrize("ends_well", [True, False])
def test_each_attempt_tells_how_long_it_took(build: Any, clock: FakeClock, ends_well: bool) -> None:
    """Waits between attempts belong to none; the response and the error, and what an endpoint further on did, tell alike."""

    def after(seconds: float, status: int) -> list[Step]:
        def step(peer: Peer) -> None:
            clock.advance(seconds)
            respond(status, {"Retry-After": "9"}, whole() if status == 200 else b"{}")(peer)

        return [expect(), step]

    with (
        ScriptedServer([*after(3, 503), *after(5, 500)]) as server,
        ScriptedServer(after(7, 200 if ends_well else 500)) as other,
    ):
        there = ProviderEndpoint.openai_compatible(f"{other.base_url}/v1")
        fallback = (there, [KeyConfig("sk-f", "f")], {"m": "n"})
        gateway = build(server, clock=clock, retry=RetryPolicy(max_attempts=2, base=0.0), add_fallback=fallback)
        before = clock.monotonic()
        if ends_well:
            told: Any = gateway.call("hi")
            assert told.latency == pytest.approx(3 + 9 + 5 + 7)
        else:
            with pytest.raises(GatewayError) as caught:
                gateway.call("hi")
            told = caught.value
            assert isinstance(told, ServerError)
        assert [record.status for record in told.attempts][:3] == [503, 500, 200 if ends_well else 500]
        assert [round(record.duration, 3) for record in told.attempts][:3] == [3, 5, 7]
        assert [record.outcome for record in told.attempts][:2] == ["failed", "failed"]
        assert [record.model for record in told.attempts][:3] == ["m", "m", "n"]
        assert [record.key_label for record in told.attempts][:3] == ["k1", "k1", "f"]
        assert [record.endpoint for record in told.attempts][1:3] == [gateway._core.routes[0].name, there.name]
        assert all("OverloadedError" in str(record.error) for record in told.attempts[:1])
        assert clock.monotonic() - before >= 3 + 9 + 5 + 7
