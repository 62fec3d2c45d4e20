"""A provider on loopback, and gateways to it that are closed when the test is over."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from omnillm.config import KeyConfig
from omnillm.gateway.builder import GatewayBuilder
from omnillm.gateway.gateway import Gateway
from omnillm.policy.pricing import PriceTable
from omnillm.policy.retry import RetryPolicy
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer
from omnillm.types.enums import ProviderProtocol
from omnillm.types.hooks import HookEvent

CHAT = ProviderProtocol.OPENAI_CHAT_COMPLETIONS
MODEL = "m"
DOLLAR_A_TOKEN = {MODEL: {"input": 1_000_000, "output": 1_000_000}}  # USD per million tokens: one dollar each

Build = Callable[..., Gateway]


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as it:
        yield it


@pytest.fixture
def clock() -> FakeClock:
    """A clock whose sleeps pass at once; sockets wait by it, too, and it stands still meanwhile."""
    return FakeClock(auto_advance=True)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """What is entered here is closed at the end of the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def events() -> list[HookEvent]:
    """What the hook of a built gateway was told."""
    return []


@pytest.fixture
def build(closing: ExitStack, events: list[HookEvent]) -> Build:
    """Make gateways: ``target`` is where to, ``keys`` how many or which; the rest are steps of the builder."""

    def build(
        target: LocalProvider | ScriptedServer | ProviderEndpoint,
        keys: int | list[KeyConfig] = 1,
        *,
        protocol: ProviderProtocol = CHAT,
        clock: FakeClock | None = None,
        **steps: Any,
    ) -> Gateway:
        builder = GatewayBuilder(endpoint_of(target, protocol)).default_model(MODEL).on_event(events.append)
        builder.add_keys([KeyConfig(f"sk-{n}", f"k{n}") for n in range(1, keys + 1)] if isinstance(keys, int) else keys)
        steps.setdefault("retry", RetryPolicy(base=0.001))
        steps.setdefault("pricing", PriceTable(DOLLAR_A_TOKEN, unknown="zero"))
        for name, value in steps.items():
            step = getattr(builder, name)
            if isinstance(value, dict):
                step(**value)
            else:
                step(*value) if isinstance(value, tuple) else step(value)
        more = {} if clock is None else {"clock": clock}
        return closing.enter_context(Gateway(builder.config(), rng=random.Random(7), **more))

    return build


def endpoint_of(target: LocalProvider | ScriptedServer | ProviderEndpoint, protocol: ProviderProtocol = CHAT) -> ProviderEndpoint:
    if isinstance(target, ProviderEndpoint):
        return target
    if isinstance(target, LocalProvider):
        return target.endpoint(protocol)
    return ProviderEndpoint(protocol.value, f"{target.base_url}/v1")
