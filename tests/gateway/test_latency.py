"""Which key gets the calls where the fastest is preferred: by the time that answers and first events really took."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from gateway_scripts import streamed, whole

from omnillm.policy.limits import PoolConfig
from omnillm.testing import FakeClock, ScriptedServer
from omnillm.testing.scripted import Peer, expect, repeat, respond, sse

TAKES = {"Bearer sk-1": 0.2, "Bearer sk-2": 0.3, "Bearer sk-3": 6.0}


@pytest.mark.parametrize("how", ["call", "stream"])
def test_a_slow_key_gets_few_calls_and_comes_back_when_it_is_fast(build: Any, clock: FakeClock, how: str) -> None:
    """Of three keys the slow one is seldom asked; once it is as fast as the others it gets its share again."""
    takes = dict(TAKES)

    def answer(peer: Peer) -> None:
        request = next(it for it in reversed(peer.server.requests) if it.connection == peer.number)
        clock.advance(takes[request.headers["authorization"]])
        (respond(body=whole()) if how == "call" else sse(streamed("hi")))(peer)

    def labels_of(count: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(count):
            if how == "call":
                found[gateway.call("hi").key_label] += 1
            else:
                stream = gateway.stream("hi")
                list(stream)
                found[stream.response.key_label] += 1
            clock.advance(1)
        return found

    with ScriptedServer([repeat(expect(), answer)]) as server:
        gateway = build(server, 3, clock=clock, pool_config=PoolConfig(selection="latency"))
        slow = labels_of(80)
        assert 0 < slow["k3"] < 10
        takes["Bearer sk-3"] = 0.01
        assert labels_of(160)["k3"] > 60
