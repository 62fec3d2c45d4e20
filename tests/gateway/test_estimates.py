"""A gateway whose estimates learn: what it reserves, for a call and the next."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from gateway_scripts import whole

from omnillm import (
    Budget,
    ConfigurationError,
    Gateway,
    GatewayBuilder,
    KeyConfig,
    PoolConfig,
    PriceTable,
    PrimitiveRequest,
    ProviderEndpoint,
)
from omnillm.testing import LocalProvider, ScriptedServer
from omnillm.testing.scripted import expect, respond
from omnillm.types.hooks import AttemptStarted

PROMPT = "a question of some length " * 100
TOKEN_PRICE = {"m": {"input": 1_000, "output": 1_000}}  # USD per million tokens
USAGE = {"prompt_tokens": 1_250, "completion_tokens": 1, "total_tokens": 1_251}


def _reserved(build: Any, calls: int, **options: Any) -> list[int]:
    """Give what each call reserved, tokens of prompt and output."""
    reserved: list[int] = []

    def note(event: object) -> None:
        if isinstance(event, AttemptStarted):
            reserved.append(event.lease.reserved_tokens)

    with ScriptedServer([expect(), respond(body=whole(usage=USAGE))] * calls) as server:
        gateway = build(server, on_event=note, **options)
        for _ in range(calls):
            gateway.call(PROMPT, model="gpt-4o-mini", max_output_tokens=10)
    return reserved


def test_the_usage_of_one_call_is_what_the_next_reserves(build: Any) -> None:
    """Reservations move from the first guess to what the provider reports."""
    reserved = _reserved(build, 20, pool_config=PoolConfig(prompt_estimates="learned"))
    assert reserved[0] < 800
    assert reserved[-1] == pytest.approx(1_260, rel=0.05)


def test_by_default_nothing_is_learned(build: Any) -> None:
    """Where nothing else is configured a prompt is a quarter of its bytes, whatever was reported."""
    assert _reserved(build, 3) == [650 + 10] * 3


def test_a_strict_budget_does_not_rely_on_what_was_learned(build: Any) -> None:
    """What a strict budget holds is the same, however little the model was learned to use."""
    fixed, learned = (_held(build, PoolConfig(prompt_estimates=kind)) for kind in ("fixed", "learned"))  # type: ignore[arg-type]
    assert fixed == learned


def _held(build: Any, pool: PoolConfig) -> list[float]:
    """Give what a strict budget had left at each event of three calls, each of which used little of what was held."""
    left: list[float] = []
    gateways: list[Gateway] = []

    def note(event: object) -> None:
        left.append(gateways[0].budget_remaining_usd())

    with ScriptedServer([expect(), respond(body=whole(usage={**USAGE, "prompt_tokens": 40}))] * 3) as server:
        budget = Budget(1_000_000.0, estimate="strict")
        gateways.append(build(server, budget=budget, pricing=PriceTable(TOKEN_PRICE), pool_config=pool, on_event=note))
        for _ in range(3):
            gateways[0].call(PROMPT, model="m", max_output_tokens=10)
    return left


def test_endpoints_are_called_beside_estimates_that_learn() -> None:
    """What generates no text is estimated as ever."""
    with LocalProvider() as provider:
        builder = GatewayBuilder(provider.endpoint("openai_chat_completions")).add_key(KeyConfig("sk-test"))
        with builder.pool_config(PoolConfig(prompt_estimates="learned")).build() as gateway:
            assert len(gateway.embed(["a", "b"], model="text-embedding-3-small").data) == 2
            body = {"model": "text-embedding-3-small", "input": "a"}
            native = PrimitiveRequest.json("open_ai", "embeddings", "open_ai_embeddings", None, body)
            assert gateway.primitive_call(native).status == 200


def test_a_tokenizer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tiktoken the gateway is not built, and the error says what to install."""
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    builder = (
        GatewayBuilder(ProviderEndpoint.openai_chat_completions())
        .add_key(KeyConfig("sk-test"))
        .pool_config(PoolConfig(prompt_estimates="tokenizer"))
    )
    with pytest.raises(ConfigurationError, match=r"pip install 'omnillm\[tokens\]'") as caught:
        builder.build()
    assert caught.value.field == "pool.prompt_estimates"
