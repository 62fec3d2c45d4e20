"""Two hundred threads against an upstream that is down: retries add a fifth to the load, and no more."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from omnillm.config import KeyConfig
from omnillm.errors import GatewayError
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.limits import PoolConfig
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import ScriptedServer
from omnillm.testing.scripted import Step, expect, reset, respond

pytestmark = pytest.mark.stress

CALLS = 200
MOST = 1.2 * CALLS + 3


def build(base_url: str, policy: RetryPolicy, **pool: int) -> Gateway:
    """Make a gateway of four keys whose limits nobody reaches."""
    builder = GatewayBuilder(ProviderEndpoint("open_ai_chat_completions", f"{base_url}/v1")).default_model("m").retry(policy)
    builder.add_keys(KeyConfig(f"sk-{n}", rpm_limit=10**6, tpm_limit=10**9) for n in range(4))
    if pool:
        builder.pool_config(PoolConfig(**pool))  # type: ignore[arg-type]  # the fields that are counts
    return Gateway(builder.config(), rng=random.Random(3))


def crowd(gateway: Gateway, *, apart: float = 0.0) -> list[int]:
    """Call from two hundred threads, so many seconds apart; give how many attempts each call made."""
    attempts: list[int] = []
    barrier = threading.Barrier(CALLS)

    def one(place: int) -> None:
        barrier.wait(90)
        time.sleep(place * apart)
        with pytest.raises(GatewayError) as caught:
            gateway.call("hi", timeout=60)
        attempts.append(len(caught.value.attempts))

    threads = [threading.Thread(target=one, args=(place,)) for place in range(CALLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert len(attempts) == CALLS
    assert (gateway._core.allowance.in_flight, gateway._core.allowance.retrying) == (0, 0)
    assert gateway._core.store.snapshot().held_requests == 0
    return attempts


def together(answer: Step) -> Callable[[threading.Semaphore, threading.Event], Step]:
    """Let the first two hundred requests all be there before one is answered; those that follow are answered at once."""

    def make(arrived: threading.Semaphore, go: threading.Event) -> Step:
        def step(peer: Any) -> None:
            while True:
                expect()(peer)
                arrived.release()
                peer.pause(go)
                answer(peer)

        return step

    return make


@pytest.mark.parametrize("answer", [respond(503, body=b"{}"), respond(500, body=b"{}"), reset()], ids=["503", "500", "reset"])
@pytest.mark.parametrize("policy", [RetryPolicy(base=0.05), RetryPolicy(base=0.0), RetryPolicy(base=0.05, hedge_after=0.05)])
def test_all_at_once(answer: Step, policy: RetryPolicy) -> None:
    """Where all are in flight when the upstream fails, and no breaker helps, its attempts are 1.2 for each call and three."""
    arrived, go = threading.Semaphore(0), threading.Event()
    with (
        ScriptedServer([together(answer)(arrived, go)]) as server,
        build(server.base_url, policy, circuit_breaker_threshold=10**6) as gateway,
    ):

        def release() -> None:
            for _ in range(CALLS):
                assert arrived.acquire(timeout=90)
            go.set()

        releaser = threading.Thread(target=release)
        releaser.start()
        attempts = crowd(gateway)
        releaser.join()
        assert CALLS < len(server.requests) == sum(attempts) <= MOST


@pytest.mark.parametrize("apart", [0.0, 0.001])
@pytest.mark.parametrize("pool", [{}, {"circuit_breaker_threshold": 10**6}], ids=["breaker", "no breaker"])
def test_nothing_listens(apart: float, pool: dict[str, int]) -> None:
    """Where connections are refused at once, few calls overlap, by their back-offs alone, and the sum is the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with build(base_url, RetryPolicy(), **pool) as gateway:
        assert sum(crowd(gateway, apart=apart)) <= MOST
