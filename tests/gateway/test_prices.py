"""What a gateway takes a call to cost: whose price, at which tier of service, and how much of it is reserved."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from gateway_scripts import whole

from omnillm.config import KeyConfig
from omnillm.errors import BudgetExceededError
from omnillm.policy.limits import Budget, PoolConfig
from omnillm.policy.price import ModelPrice
from omnillm.policy.pricing import PriceTable
from omnillm.providers.endpoint import ProviderEndpoint
from omnillm.testing import FakeClock, LocalProvider, ScriptedServer
from omnillm.testing.scripted import expect, respond
from omnillm.types.capabilities import CapabilitySet
from omnillm.types.enums import MessageRole, OutputModality, ProviderProtocol
from omnillm.types.message import Message
from omnillm.types.parts import AudioPart, TextPart
from omnillm.types.request import GenerationConfig, LlmRequest

SHIPPED = PriceTable()
ASKED = LlmRequest("gpt-5.4", "hi", generation=GenerationConfig(max_output_tokens=5))
FLEX = LlmRequest("gpt-5.4", "hi", generation=GenerationConfig(max_output_tokens=5), vendor_extensions={"service_tier": "flex"})


def rates(tier: str | None) -> ModelPrice:
    return SHIPPED.require("gpt-5.4", tier=tier)


@pytest.mark.parametrize(
    ("request_", "answered", "tier"),
    [
        (ASKED, None, None),
        (ASKED, "default", None),
        (ASKED, "priority", "priority"),
        (ASKED, "flex", "flex"),
        (FLEX, "flex", "flex"),
        (FLEX, "default", None),
        (FLEX, None, "flex"),
    ],
)
def test_the_tier_that_answered_decides_the_price(
    build: Any, request_: LlmRequest, answered: str | None, tier: str | None
) -> None:
    """What the response says of its tier counts; where it says nothing, what was asked for."""
    said = {} if answered is None else {"service_tier": answered}
    with ScriptedServer([expect(), respond(body=whole(**said))]) as server:
        response = build(server, pricing=SHIPPED).call(request_)
    price = rates(tier)
    assert response.cost.total_pico == 6 * price.input + 2 * price.output
    assert response.cost_usd == response.cost.usd


def test_the_region_that_answered_decides_the_price(build: Any) -> None:
    """What is kept in one country costs more, and the usage tells."""
    said = {"input_tokens": 100, "output_tokens": 10, "inference_geo": "us"}
    body = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": said,
    }  # fmt: skip
    with ScriptedServer([expect(), respond(body=json.dumps(body).encode())]) as server:
        gateway = build(server, protocol=ProviderProtocol.CLAUDE_MESSAGES, pricing=SHIPPED)
        response = gateway.call(LlmRequest("claude-opus-4-7", "hi", generation=GenerationConfig(max_output_tokens=5)))
    price = SHIPPED.require("claude-opus-4-7")
    assert response.cost.total_pico * 10 == (100 * price.input + 10 * price.output) * 11


def test_the_tier_asked_for_is_reserved(build: Any, provider: LocalProvider) -> None:
    """A call at half the price is admitted by half the budget."""
    prompt = ASKED.estimated_prompt_tokens()
    standard, flex = rates(None).estimate(prompt, 5), rates("flex").estimate(prompt, 5)
    assert flex * 2 == standard
    gateway = build(provider, pricing=SHIPPED, budget_limit_usd=flex / 10**12)
    with pytest.raises(BudgetExceededError):
        gateway.call(ASKED)
    gateway.call(FLEX)


@pytest.mark.parametrize(("provider_", "listed"), [("groq", "groq"), ("cerebras", "cerebras"), (None, "openai")])
def test_the_endpoint_says_whose_prices_hold(build: Any, provider_: str | None, listed: str) -> None:
    """The same model costs what it does where it is served; an unknown host's costs what its maker takes."""
    model = "gpt-oss-120b" if listed == "cerebras" else "openai/gpt-oss-120b" if listed == "groq" else "gpt-5.4"
    with ScriptedServer([expect(), respond(body=whole())]) as server:
        endpoint = ProviderEndpoint("chat_completions", f"{server.base_url}/v1", provider=provider_)
        response = build(endpoint, pricing=SHIPPED).call(LlmRequest(model, "hi"))
    price = SHIPPED.require(model, listed)
    assert response.cost.total_pico == 6 * price.input + 2 * price.output


def test_a_price_is_looked_up_anew_when_it_may_have_changed(build: Any, provider: LocalProvider) -> None:
    """A price is kept as long as no date or half hour has begun."""
    asked: list[str] = []
    clock = FakeClock(auto_advance=True)

    def unknown(model: str) -> ModelPrice:
        asked.append(model)
        return ModelPrice(1, len(asked))

    core = build(provider, clock=clock, pricing=PriceTable(unknown=unknown))._core
    first = core.price("nobody's")
    assert core.price("nobody's") is first
    assert core.price("nobody's", "groq") != first
    clock.advance(1_800)
    assert core.price("nobody's") != first
    assert len(asked) == 3


def test_strict_reserves_for_the_dearest_tier_and_region_that_may_answer(build: Any) -> None:
    """An account's own default may be dearer; a request that settles its tier reserves for that alone."""
    settled = LlmRequest("gpt-5.4", "hi", generation=ASKED.generation, vendor_extensions={"service_tier": "default"})
    with ScriptedServer([expect(), respond(body=whole()), expect(), respond(body=whole())]) as server:
        gateway = build(server, pricing=SHIPPED, budget=Budget(1.0, estimate="strict"))
        for request in (ASKED, settled):
            gateway.call(request)
        sizes = [len(request.body) for request in server.requests]
    needed = [rates("priority").scaled(1_100).ceiling(sizes[0], 5), rates(None).scaled(1_100).ceiling(sizes[1], 5)]
    for request, pico in zip((ASKED, settled), needed, strict=True):
        with ScriptedServer() as server:
            gateway = build(server, pricing=SHIPPED, budget=Budget((pico - 1) / 10**12, estimate="strict"))
            with pytest.raises(BudgetExceededError) as caught:
                gateway.call(request)
            assert round(caught.value.needed_usd * 10**12) == pico


def test_strict_refuses_a_model_that_charges_for_what_it_finds(build: Any, provider: LocalProvider) -> None:
    """Citations are charged and in no count of the request."""
    gateway = build(provider, pricing=PriceTable({"m": ModelPrice(1, 1, citation=1)}), budget=Budget(1.0, estimate="strict"))
    with pytest.raises(BudgetExceededError, match="cites"):
        gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(max_output_tokens=5)))


def test_audio_is_reserved_at_its_own_rate(build: Any, provider: LocalProvider) -> None:
    """What is heard, and what is asked to be spoken, is reserved at the rates of audio."""
    price = ModelPrice(1, 2, audio_input=1_000, audio_output=5_000)
    spoken = LlmRequest(
        "m",
        Message(MessageRole.USER, (TextPart("hear"), AudioPart("AAAA", "audio/wav"))),
        capabilities=CapabilitySet(modalities=(OutputModality.TEXT, OutputModality.AUDIO)),
        generation=GenerationConfig(max_output_tokens=10),
    )
    gateway = build(provider, pricing=PriceTable({"m": price}), budget_limit_usd=1e-12)
    with pytest.raises(BudgetExceededError) as caught:
        gateway.call(spoken)
    prompt = spoken.estimated_prompt_tokens()
    assert round(caught.value.needed_usd * 10**12) == prompt - 1_000 + 1_000 * 1_000 + 10 * 5_000


def test_a_default_cap_is_no_more_than_the_model_can_write(build: Any) -> None:
    """A large default output is cut to the model's own cap, in the reservation and in what strict writes into the request."""
    for model, cap in (("computer-use-preview", 1_024), ("m", 5_000)):
        with ScriptedServer([expect(), respond(body=whole())]) as server:
            prices = PriceTable({model: {"input": 1, "output": 1}})
            pool = PoolConfig(default_output_tokens=5_000)
            gateway = build(
                server, [KeyConfig("sk-1", "k")], pricing=prices, pool_config=pool, budget=Budget(1.0, estimate="strict")
            )
            gateway.call(LlmRequest(model, "hi"))
            assert json.loads(server.requests[0].body)["max_completion_tokens"] == cap


def test_a_setting_that_the_model_refuses_is_said(build: Any, provider: LocalProvider, caplog: pytest.LogCaptureFixture) -> None:
    """Under ``warn`` the log names it; it is sent all the same."""
    endpoint = ProviderEndpoint("chat_completions", f"{provider.base_url}/v1", provider="bedrock")
    with caplog.at_level(logging.WARNING, logger="omnillm"):
        gateway = build(endpoint, losses="warn")
        gateway.call(LlmRequest("anthropic.claude-opus-4-7", "hi", generation=GenerationConfig(temperature=0.5)))
        gateway.call(LlmRequest("m", "hi", generation=GenerationConfig(temperature=0.5)))
    assert [record.getMessage() for record in caplog.records] == ["anthropic.claude-opus-4-7 is known to refuse temperature"]
    assert provider.requests[0].json["temperature"] == 0.5
